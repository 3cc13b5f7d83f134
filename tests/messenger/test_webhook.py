"""The Messenger webhook from outside: a signed body in, calls of the Graph API out, on both databases."""
import base64
import hashlib
import hmac
import json
import pathlib
import shutil
import time

import pytest

from support.processes import (FALLBACK, SECRET, WELCOME, Graph, Loquat, eventually, intent, sign, sqlite_sql, temporary_folder, text_item, webhook,
                               write_bot)

PAYLOADS = sorted(pathlib.Path(__file__).with_name("payloads").glob("*.json"))
PERSON = "7012345678901234"
LONG = " ".join(f"word{i:04}" for i in range(500))  # 4499 characters


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request):
    """One process with settings in the environment, its Graph API and a bot; the cases differ by people and message ids."""
    folder = pathlib.Path(temporary_folder())
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    url = server.database() if server else f"sqlite:///{folder}/loquat.db"
    graph = Graph(folder)
    process = Loquat(folder, graph=graph, database=url, start=False)
    bot = write_bot(folder / "bot.json", intent("init_conversation", "Welcome", WELCOME, ["hello"]), intent("parts", "one ### ### two ###three"),
                    intent("long", LONG), intent("quiet", ""), intent("who", "{{ context.page_id }} {{ context.channel }} {{ context.is_postback }}"))
    assert process.run("import", bot).returncode == 0
    process.start()
    process.graph, process.kind, process.server, process.database_url = graph, request.param, server, url
    process.people = iter(range(10_000, 100_000))
    yield process
    process.stop()
    graph.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def person(service):
    return str(next(service.people))


def rows(service, text):
    if service.kind == "sqlite":
        return sqlite_sql(service.database_url.removeprefix("sqlite:///"), text)
    return [tuple(line.split("|")) for line in service.server.sql(text, service.database_url).splitlines()]


def turns_of(service, person):
    answer = service.get(f"/states/{person}/history?limit=1000")
    return list(reversed(answer.json()["items"])) if answer.status == 200 else []


def replies(service, person, count):
    """Waits for as many messages; then for those that would be too many."""
    eventually(lambda: len(service.graph.texts(person)) >= count)
    eventually(lambda: service.metric("bus_pending") == 0, 0.1)
    return service.graph.texts(person)


# --- verification -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/webhook", "/bots/channels/facebook/webhook", "/webhook/"])
@pytest.mark.parametrize("query, status, text", [
    ("hub.mode=subscribe&hub.verify_token=verify&hub.challenge=1158201444", 200, "1158201444"),
    ("hub.mode=subscribe&hub.verify_token=verify&hub.challenge=a%20b%2B%C3%A4", 200, "a b+ä"),
    ("hub.challenge=1&hub.verify_token=verify&hub.mode=subscribe", 200, "1"),
    ("hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1", 403, "Invalid verification token"),
    ("hub.mode=subscribe&hub.verify_token=verif&hub.challenge=1", 403, "Invalid verification token"),
    ("hub.mode=unsubscribe&hub.verify_token=verify&hub.challenge=1", 403, "Invalid verification token"),
    ("hub.verify_token=verify&hub.challenge=1", 400, "Invalid request parameters"),
    ("hub.mode=subscribe&hub.challenge=1", 400, "Invalid request parameters"),
    ("hub.mode=&hub.verify_token=&hub.challenge=1", 400, "Invalid request parameters"),
    ("hub.mode=subscribe&hub.verify_token=verify", 400, "Invalid request parameters"),
    ("", 400, "Invalid request parameters"),
])
def test_verification(service, path, query, status, text):
    answer = service.get(f"{path}?{query}")
    assert answer.status == status
    if status == 200:
        assert answer.text == text and answer.headers["Content-Type"].startswith("text/plain")
    else:
        assert answer.json() == {"detail": text}


# --- signatures ---------------------------------------------------------------------------------------------------

def digest(body, algorithm, secret=SECRET):
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


@pytest.mark.parametrize("make, valid", [
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256")}, True),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256").upper()}, True),
    (lambda b: {"X-Hub-Signature": "sha1=" + digest(b, "sha1")}, True),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256"), "X-Hub-Signature": "sha1=" + "0" * 40}, True),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + "0" * 64, "X-Hub-Signature": "sha1=" + digest(b, "sha1")}, False),
    (lambda b: {}, False),
    (lambda b: {"X-Hub-Signature-256": ""}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256="}, False),
    (lambda b: {"X-Hub-Signature-256": digest(b, "sha256")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha1=" + digest(b, "sha1")}, False),
    (lambda b: {"X-Hub-Signature": "sha256=" + digest(b, "sha256")}, False),
    (lambda b: {"X-Hub-Signature": "md5=" + digest(b, "md5")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha512=" + digest(b, "sha512")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256")[:-1]}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256") + "0"}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256", "other")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b, "sha256", "")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + digest(b + b" ", "sha256")}, False),
    (lambda b: {"X-Hub-Signature-256": "sha256=" + base64.b64encode(hmac.new(SECRET.encode(), b, hashlib.sha256).digest()).decode()}, False),
])
@pytest.mark.parametrize("path", ["/webhook", "/bots/channels/facebook/webhook"])
def test_signature(service, person, path, make, valid):
    body = webhook([text_item(person, "hello", f"m_sig_{person}")])
    answer = service.post(path, body, make(body))
    if valid:
        assert (answer.status, answer.body) == (200, b'{"success":true}')
        assert replies(service, person, 1) == ["Welcome"]
    else:
        assert answer.status == 403 and answer.json() == {"detail": "Invalid request signature"}
        assert service.graph.texts(person) == []


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"1", 400), (b'"page"', 400), (b"{} x", 400), (b"\xff\xfe", 400), (b"{}", 200),
    (b'\xef\xbb\xbf{"object":"page","entry":[]}', None), (b'{"object":"page","entry":null}', 200), (b'{"object":"page","entry":{}}', 200),
    (b'{"object":"page","entry":[]}', 200), (b'{"object":5,"entry":[]}', 200), (b'{"object":"page","entry":[{"id":"1","messaging":{}}]}', 200),
])
def test_bodies_that_hold_nothing(service, body, status):
    answer = service.deliver(body)
    assert answer.status in ([status] if status else [200, 400])
    assert service.deliver(body, secret="other").status == 403, "the signature is checked before the body"


# --- every kind of event ------------------------------------------------------------------------------------------

def fill(path, person):
    """The case's body and expectation with times of now and people and message ids of its own."""
    case = json.loads(path.read_text())
    now = int(time.time() * 1000)

    def place(text, seconds):
        text = text.replace('"@now_seconds_number"', str(now // 1000)).replace('"@now_seconds_text"', f'"{now // 1000}"')
        return text.replace('"@now_seconds"', seconds).replace('"@now"', str(now)).replace(PERSON, person).replace("7098765432109876", person + "9") \
            .replace("m_", f"m_{person}_").replace("ref-4711", f"ref-{person}").replace('"12334"', f'"{person}8"')

    body = case["body_text"] if "body_text" in case else json.dumps(case["body"])
    return place(body, str(now // 1000)), json.loads(place(json.dumps(case["expect"]), str(now // 1000 * 1000)))


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_event_kinds(service, person, path):
    body, expected = fill(path, person)
    counts = {kind: service.metric("messenger_events_total", kind=kind) for kind in expected["counts"]}
    dead = len(rows(service, "SELECT seq FROM parked WHERE next_at IS NULL"))
    answer = service.deliver(body.encode("utf-8", "surrogatepass"))
    assert (answer.status, answer.body) == (200, b'{"success":true}')
    for kind, before in counts.items():
        assert service.metric("messenger_events_total", kind=kind) == before + expected["counts"][kind], kind
    answered = [event for event in expected["events"] if event["kind"] not in ("unsend", "unreadable")]
    people = {event["thread_id"] for event in answered} | {person}
    for who in people:
        own = [event for event in answered if event["thread_id"] == who]
        assert eventually(lambda: sum(entry["recipient"] == who for entry in service.graph.entries()) >= len(own))
        pages = sorted({event["page"] for event in own})
        for page in pages:
            wanted = [event for event in own if event["page"] == page]
            history = service.get(f"/states/{who}/history?account={page}&channel=facebook").json()["items"][::-1]
            assert [turn["user_message"]["text"] for turn in history] == [event["text"] for event in wanted]
            for turn, event in zip(history, wanted):
                given = turn["user_message"]["context"]
                assert {name: given.get(name) for name in event["context"]} == event["context"]
                assert ("is_postback" in given) == ("is_postback" in event["context"])
    unreadable = sum(event["kind"] == "unreadable" for event in expected["events"])
    assert len(rows(service, "SELECT seq FROM parked WHERE next_at IS NULL")) == dead + unreadable
    # Delivered again: nothing new, neither a turn nor a dead letter that is there already.
    sent = len(service.graph.entries())
    assert service.deliver(body.encode("utf-8", "surrogatepass")).status == 200
    assert eventually(lambda: service.metric("bus_pending") == 0)
    assert len(service.graph.entries()) == sent
    assert len(rows(service, "SELECT seq FROM parked WHERE next_at IS NULL")) == dead + unreadable


def test_echo_is_never_answered(service, person):
    echo = {"sender": {"id": "1"}, "recipient": {"id": person}, "timestamp": 1, "message": {"mid": f"m_e_{person}", "text": "hello", "is_echo": True, "app_id": 5}}
    assert service.deliver(webhook([echo])).status == 200
    assert service.say(person, "hello").status == 200
    assert replies(service, person, 1) == ["Welcome"]


# --- what goes out ------------------------------------------------------------------------------------------------

def test_the_request_to_the_graph_api(service, person):
    service.say(person, "hello", page="4711")
    assert replies(service, person, 1) == ["Welcome"]
    [entry] = [e for e in service.graph.entries() if e["recipient"] == person]
    assert entry["path"] == "/v25.0/me/messages"
    assert entry["type"] == "RESPONSE"
    assert entry["token"] == "token"
    assert entry["proof"] == hmac.new(SECRET.encode(), b"token", hashlib.sha256).hexdigest()
    assert entry["metadata"].endswith(":0") and len(entry["metadata"]) < 1000
    assert set(entry["message"]) == {"text", "metadata"}


def test_parts_go_out_in_order(service, person):
    service.say(person, "/parts")
    assert replies(service, person, 3) == ["one ", " two ", "three"]  # nothing is trimmed
    metadata = [e["metadata"] for e in service.graph.entries() if e["recipient"] == person]
    assert [m.rsplit(":", 1)[1] for m in metadata] == ["0", "1", "2"] and len({m.rsplit(":", 1)[0] for m in metadata}) == 1


def test_a_long_answer_is_split_between_words(service, person):
    service.say(person, "/long")
    parts = replies(service, person, 3)
    assert all(len(part) <= 2000 for part in parts) and len(parts) == 3
    assert " ".join(parts).split() == LONG.split()


def test_context_and_account(service, person):
    service.say(person, "/who", page="77")
    service.deliver(webhook([{"sender": {"id": person}, "recipient": {"id": "78"}, "timestamp": 1, "postback": {"mid": f"m_p_{person}", "payload": "/who"}}], "78"))
    assert sorted(replies(service, person, 2)) == ["77 facebook ", "78 facebook True"]


def test_a_turn_without_replies_is_done(service, person):
    service.say(person, "/quiet")
    assert eventually(lambda: turns_of(service, person))
    assert eventually(lambda: service.metric("bus_pending") == 0)
    assert service.graph.texts(person) == []


# --- redeliveries and batches -------------------------------------------------------------------------------------

def test_duplicates_in_one_batch_and_later(service, person):
    item = text_item(person, "hello", f"m_d_{person}")
    body = webhook([item, item, item])
    for _ in range(3):
        assert service.deliver(body).status == 200
    other = webhook([text_item(person + "1", "hello", f"m_o_{person}"), item])
    assert service.deliver(other).status == 200
    assert replies(service, person, 1) == ["Welcome"]
    assert replies(service, person + "1", 1) == ["Welcome"]
    assert [turn["version"] for turn in turns_of(service, person)] == [1]


def test_duplicates_at_once(service, person):
    from concurrent.futures import ThreadPoolExecutor
    bodies = [webhook([text_item(person, f"text {i}", f"m_c_{person}_{i}")]) for i in range(10) for _ in range(8)]
    with ThreadPoolExecutor(16) as pool:
        assert {answer.status for answer in pool.map(service.deliver, bodies)} == {200}
    assert eventually(lambda: len(turns_of(service, person)) >= 10)
    assert len(replies(service, person, 10)) == 10
    assert sorted(turn["user_message"]["text"] for turn in turns_of(service, person)) == sorted(f"text {i}" for i in range(10))


def test_a_batch_keeps_order_in_each_conversation(service, person):
    people = [f"{person}{i}" for i in range(5)]
    entries = []
    for k in range(20):
        items = [text_item(who, f"{k}", f"m_b_{who}_{k}", "9", 1_700_000_000_000 + k) for who in people]
        entries.append({"id": "9", "time": 5, "messaging": items})
    assert service.deliver(json.dumps({"object": "page", "entry": entries}).encode()).status == 200
    for who in people:
        assert len(replies(service, who, 20)) == 20
        assert [turn["user_message"]["text"] for turn in turns_of(service, who)] == [str(k) for k in range(20)]


def test_within_a_batch_timestamps_decide(service, person):
    now = int(time.time() * 1000)
    items = [text_item(person, f"{k}", f"m_t_{person}_{k}", timestamp=now - k) for k in range(10)]
    assert service.deliver(webhook(items)).status == 200
    assert len(replies(service, person, 10)) == 10
    assert [turn["user_message"]["text"] for turn in turns_of(service, person)] == [str(k) for k in reversed(range(10))]


def test_a_batch_of_a_thousand(service, person):
    items = [text_item(f"{person}_{k % 100}", "hello", f"m_k_{person}_{k}", str(9000 + k % 100)) for k in range(1000)]
    by_page = {}
    for item in items:
        by_page.setdefault(item["recipient"]["id"], []).append(item)
    body = json.dumps({"object": "page", "entry": [{"id": page, "time": 1, "messaging": own} for page, own in by_page.items()]}).encode()
    assert service.deliver(body).status == 200
    assert eventually(lambda: sum(e["recipient"].startswith(person + "_") for e in service.graph.entries()) == 1000, 40)


def test_unsend_erases_the_text(service, person):
    mid = f"m_secret_{person}"
    service.say(person, "my number is 4711-0815", mid)
    assert replies(service, person, 1) == ["I do not know"]
    gone = {"sender": {"id": person}, "recipient": {"id": "1"}, "timestamp": int(time.time() * 1000), "message": {"mid": mid, "is_deleted": True}}
    assert service.deliver(webhook([gone])).status == 200
    assert eventually(lambda: "4711-0815" not in json.dumps(turns_of(service, person)))
    assert len(turns_of(service, person)) == 1 and len(service.graph.texts(person)) == 1
    found = rows(service, f"SELECT * FROM states WHERE thread_id = '{person}'")
    assert found and "4711-0815" not in str(found)


def test_unsend_of_a_picture(service, person):
    mid = f"m_picture_{person}"
    picture = text_item(person, "", mid)
    picture["message"] = {"mid": mid, "attachments": [{"type": "image", "payload": {"url": "https://x.example/private.jpg"}}]}
    assert service.deliver(webhook([picture])).status == 200
    replies(service, person, 1)
    service.say(person, "hello")
    replies(service, person, 2)
    gone = {"sender": {"id": person}, "recipient": {"id": "1"}, "timestamp": int(time.time() * 1000), "message": {"mid": mid, "is_deleted": True}}
    assert service.deliver(webhook([gone])).status == 200
    kept = lambda: str(rows(service, f"SELECT * FROM states WHERE thread_id = '{person}'"))
    assert eventually(lambda: "private.jpg" not in kept()), kept()
    service.say(person, "hello")
    replies(service, person, 3)
    assert "private.jpg" not in kept() and "private.jpg" not in json.dumps(turns_of(service, person))


def test_unsend_in_a_blocked_conversation(service, person):
    """Another app holds the thread, so nothing of it moves for minutes; what is taken back is gone at once."""
    service.graph.control(by_recipient={person: [{"status": 400, "code": 10, "subcode": 2018300}]})
    parked = lambda: str(rows(service, f"SELECT event FROM parked WHERE conv LIKE '%{person}'"))
    service.say(person, "decided 4711-0815", f"m_first_{person}")
    assert eventually(lambda: "4711-0815" in parked())
    service.say(person, "behind 4711-0815", f"m_second_{person}")
    assert eventually(lambda: "behind 4711-0815" in parked())
    for mid in (f"m_first_{person}", f"m_second_{person}"):
        gone = {"sender": {"id": person}, "recipient": {"id": "1"}, "timestamp": int(time.time() * 1000), "message": {"mid": mid, "is_deleted": True}}
        assert service.deliver(webhook([gone])).status == 200
    kept = lambda: parked() + str(rows(service, f"SELECT * FROM states WHERE thread_id = '{person}'"))
    assert eventually(lambda: "4711-0815" not in kept()), kept()


def test_unsend_of_a_message_that_never_came(service, person):
    gone = {"sender": {"id": person}, "recipient": {"id": "1"}, "timestamp": 1, "message": {"mid": f"m_n_{person}", "is_deleted": True}}
    assert service.deliver(webhook([gone])).status == 200
    service.say(person, "hello")
    assert replies(service, person, 1) == ["Welcome"]


# --- settings from the integration --------------------------------------------------------------------------------

@pytest.fixture
def by_integration(start, graph, database):
    return start(database=database, env={"GRAPH_API_URL": graph.url, "TYPING": "off", "SERVICE_TOKEN": "svc"})


def set_facebook(process, status=True, **settings):
    body = {"id": "facebook", "name": "Facebook Messenger", "description": "d", "status": status, "settings": settings}
    answer = process.call("PUT", "/admin/integrations/facebook", body)
    assert answer.status == 200, answer
    return answer.json()


def test_not_configured(by_integration):
    body = webhook([text_item("5", "hello", "m_1")])
    # Until the settings have been read for the first time Meta is asked to come again.
    assert eventually(lambda: by_integration.deliver(body).status != 503, 3)
    for answer in (by_integration.deliver(body), by_integration.get("/webhook?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1")):
        assert answer.status == 404 and answer.json() == {"detail": "Facebook integration not configured or disabled"}


def test_several_pages_by_integration(by_integration, graph):
    process = by_integration
    pages = [{"page_id": "11", "page_access_token": "token-11"}, {"page_id": "12", "page_access_token": "token-12"}]
    shown = set_facebook(process, verify="v", secret="s3cret", page_access_token="", pages=pages)
    assert shown["settings"]["secret"] == "•" * 8 and shown["settings"]["page_access_token"] == ""
    assert [p["page_access_token"] for p in shown["settings"]["pages"]] == ["•" * 8] * 2
    assert "token-11" not in process.get("/integrations").text
    verify = "/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=7"
    assert eventually(lambda: process.get(verify).status == 200, 2.5), "a change counts within 2 s"
    for page in ("11", "12", "13"):
        assert process.deliver(webhook([text_item("5", "hello", f"m_{page}", page)], page), "s3cret").status == 200
    assert eventually(lambda: len({e["token"] for e in graph.entries()}) == 2)
    assert {e["token"] for e in graph.entries()} == {"token-11", "token-12"}
    assert process.metric("messenger_events_total", kind="foreign_page") == 1
    # The masks sent back leave the secrets as they are; a new token of one page changes only that one.
    masked = process.get("/admin/integrations/facebook").json()["settings"]
    masked["pages"][1]["page_access_token"] = "token-12b"
    set_facebook(process, **masked)
    clear = process.get("/integrations/facebook", {"Authorization": "Bearer svc"}).json()["settings"]
    assert [p["page_access_token"] for p in clear["pages"]] == ["token-11", "token-12b"] and clear["secret"] == "s3cret"

    def uses_new_token():
        process.deliver(webhook([text_item("6", "hello", f"m_{time.time_ns()}", "12")], "12"), "s3cret")
        return any(e["token"] == "token-12b" for e in graph.entries())
    assert eventually(uses_new_token, 4, 0.3)
    set_facebook(process, status=False, **process.get("/admin/integrations/facebook").json()["settings"])
    assert eventually(lambda: process.get(verify).status == 404, 2.5)


def test_an_integration_without_secret_fails_closed(by_integration):
    set_facebook(by_integration, verify="v", secret="", page_access_token="t")
    assert eventually(lambda: by_integration.get("/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=7").status == 200, 2.5)
    body = webhook([text_item("5", "hello", "m_1")])
    assert by_integration.deliver(body, secret="").status == 403
    assert by_integration.post("/webhook", body).status == 403


def test_a_message_waits_for_its_token(by_integration, graph):
    set_facebook(by_integration, verify="v", secret="k", page_access_token="")
    assert eventually(lambda: by_integration.deliver(webhook([text_item("5", "/init_conversation", "m_1")]), "k").status == 200, 2.5)
    assert eventually(lambda: by_integration.metric("bus_parked", reason="no_token") == 1, 10)
    set_facebook(by_integration, verify="v", secret="•" * 8, page_access_token="late")
    assert eventually(lambda: len(graph.texts("5")) == 2, 10) and {e["token"] for e in graph.entries()} == {"late"}


def test_marks_come_before_the_message(start, graph, database):
    process = start(graph=graph, database=database, env={"TYPING": "on"})
    # What was taken before this process had its partitions gets no marks: someone else speaks first.
    process.say("4", "/init_conversation")
    assert eventually(lambda: len(graph.texts("4")) == 2)
    process.say("5", "/init_conversation")
    assert eventually(lambda: len(graph.texts("5")) == 2)
    order = [e["action"] or e["text"] for e in graph.entries(None) if e["recipient"] == "5"]
    assert order == ["mark_seen", "typing_on", "Hello there! ", " How can I help you?"]


def test_the_old_form_of_the_graph_url(start, graph, database):
    process = start(graph=graph, database=database, env={"GRAPH_API_URL": graph.url + "/v18.0/me/messages"})
    process.say("5", "/init_conversation")
    assert eventually(lambda: len(graph.texts("5")) == 2)
    assert {e["path"] for e in graph.entries()} <= {"/v18.0/me/messages", "/v25.0/me/messages"}
