"""The REST channel as a service: both spellings, who may use it, keys, rates, and 100 people and editors at once. What bots say in it is tested with the
dialogue (tests/dialogue)."""
import concurrent.futures
import http.server
import json
import os
import threading
import time

import pytest

from support.processes import eventually, intent, write_bot

SECONDS = float(os.environ.get("LOQUAT_CROWD_SECONDS", "60"))
CROWD = int(os.environ.get("LOQUAT_CROWD", "100"))
NOT_AVAILABLE = "Service is not available. Please try again later."
PATHS = ["/bots/channels/rest/webbook", "/bots/channels/rest/webbook/", "/bots/channels/rest/webhook", "/bots/channels/rest/webhook/"]
REST = PATHS[0]


def say(process, thread, text, context=None, path=REST, headers=None):
    return process.post(path, {"thread_id": thread, "text": text, "context": context or {}}, headers)


@pytest.fixture
def process(start, database):
    return start(database=database, env={"REST_RATE_PER_ADDRESS": "1000000", "REST_RATE_PER_THREAD": "1000000"})


# --- the channel --------------------------------------------------------------------------------------------------

def test_every_spelling_is_the_same_channel(process):
    for n, path in enumerate(PATHS):
        answer = say(process, "t", "/init_conversation", {"username": "Ada"}, path)
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
        assert [list(reply) for reply in answer.json()] == [["text"], ["text"]]
        assert "Ada" in answer.json()[0]["text"]
        assert process.get("/states/t?channel=rest").json()["version"] == n + 1
    for path in PATHS:
        wrong = process.get(path)
        assert (wrong.status, wrong.json(), wrong.headers["Allow"]) == (405, {"detail": "Method Not Allowed"}, "POST")


def test_any_text_has_an_answer(process):
    for n, text in enumerate(["", " ", "/", "//", "/nothing", "\u0001", "😀" * 500, "x" * 20_000, "{{ 1 }}", "' OR 1=1 --", "/cancel/" + "y" * 1000]):
        answer = say(process, f"t{n}", text)
        assert answer.status == 200 and answer.json() and all(reply["text"] for reply in answer.json()), text
        assert process.get(f"/states/t{n}").json()["user_message"]["text"] == text


def test_bodies_that_are_none(process):
    for raw, status, kind in ((b"{bad", 422, "json_invalid"), (b"", 422, "missing"), (b"[]", 422, "dict_type"), (b'"x"', 422, "dict_type"), (b"\xff", 400, None)):
        answer = process.post(REST, raw, {"Content-Type": "application/json"})
        assert answer.status == status, raw
        assert kind is None or answer.json()["detail"][0]["type"] == kind


def test_too_large(process):
    assert say(process, "t", "x" * (1 << 20)).status == 413
    assert process.post(REST, b"{}", {"Content-Encoding": "gzip"}).status == 415
    assert process.get("/states/t").status == 404


def test_the_channel_is_open_and_the_test_chat_is_not(start, folder):
    process = start(database=f"sqlite:///{folder}/loquat.db", env={"ADMIN_TOKEN": "letmein", "CORS_ORIGINS": "https://shop.example"})
    assert say(process, "t", "hi", headers={"Origin": "https://shop.example"}).headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in say(process, "t", "hi", headers={"Origin": "https://evil.example"}).headers
    assert say(process, "t", "hi", path="/admin/test/chat").status == 401
    assert say(process, "t", "hi", path="/admin/test/chat", headers={"Authorization": "Bearer letmein"}).status == 200


def test_the_channel_is_the_servers(process):
    """A client cannot pretend to be a page."""
    say(process, "t", "hi", {"channel": "facebook", "page_id": "9", "timestamp": 1, "is_postback": True, "own": 1})
    state = process.get("/states/t").json()
    assert state["user_message"]["channel"] == "rest" and state["context"] == {"own": 1}
    assert process.get("/states/t?channel=facebook").status == 404


def test_keys_of_two_processes(start, postgres, folder):
    """One key, many requests, two processes: one turn."""
    url = postgres.database()
    processes = [start(database=url), start(database=url, data_dir=folder / "second")]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: say(processes[n % 2], "t", "/cancel", headers={"Idempotency-Key": "one"}), range(20)))
    assert {answer.status for answer in answers} == {200} and len({answer.body for answer in answers}) == 1
    assert processes[0].get("/states/t").json()["version"] == 1
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: say(processes[n % 2], "t", "/cancel", {f"n{n}": n}), range(30)))
    assert {answer.status for answer in answers} == {200}
    state = processes[1].get("/states/t").json()
    assert (state["version"], len(state["context"])) == (31, 30), "a turn sees the one before it, whichever process made it"


def test_a_turn_that_was_stopped_is_not_half_done(start, database):
    process = start(database=database)
    assert say(process, "t", "/cancel", headers={"Idempotency-Key": "a"}).status == 200
    process.kill()
    process.start()
    assert say(process, "t", "/cancel", headers={"Idempotency-Key": "a"}).status == 200
    assert process.get("/states/t").json()["version"] == 1


# --- what bots call -----------------------------------------------------------------------------------------------

class Inside:
    """A service that only the own network should reach."""

    def __init__(self):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b'"inside"')

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def inside():
    service = Inside()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
def test_a_public_process_calls_no_private_address(start, folder, inside, host):
    process = start(database=f"sqlite:///{folder}/loquat.db", env={"HOST": "0.0.0.0", "AUTH": "none"})
    bot = write_bot(folder / "bot.json", intent("call", "{{ result }}", apiTrigger=True, apiDetails={"url": f"http://{host}:{inside.port}/x", "requestType": "GET", "headers": []}))
    assert process.run("import", bot).returncode == 0
    assert eventually(lambda: say(process, "t", "/call").json() == [{"text": NOT_AVAILABLE}], 5)
    assert inside.asked == []


def test_an_allowed_address_is_called(start, folder, inside):
    process = start(database=f"sqlite:///{folder}/loquat.db", env={"HOST": "0.0.0.0", "AUTH": "none", "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"})
    bot = write_bot(folder / "bot.json", intent("call", "{{ result }}", apiTrigger=True, apiDetails={"url": f"http://127.0.0.1:{inside.port}/x", "requestType": "get", "headers": []}))
    assert process.run("import", bot).returncode == 0
    assert eventually(lambda: say(process, "t", "/call").json() == [{"text": "inside"}], 5)


# --- a crowd ------------------------------------------------------------------------------------------------------

def test_a_crowd_of_editors_and_chatters(process):
    """Half of them edit under If-Match, the others chat; one builds. No 5xx, no lost update."""
    intents = [process.post("/admin/intents", {"name": f"c{n}", "intentId": f"c{n}", "speechResponse": "0"}).json()["id"] for n in range(5)]
    end = time.monotonic() + SECONDS
    lock, done, statuses, turns = threading.Lock(), dict.fromkeys(intents, 0), set(), {}

    def note(answer):
        with lock:
            statuses.add(answer.status)
        return answer

    def edit(n):
        path = f"/admin/intents/{intents[n % len(intents)]}"
        while time.monotonic() < end:
            current = note(process.get(path))
            body = current.json()
            answer = note(process.call("PUT", path, body | {"speechResponse": str(int(body["speechResponse"]) + 1)}, {"If-Match": current.headers["ETag"]}))
            if answer.status == 200:
                with lock:
                    done[intents[n % len(intents)]] += 1

    def chat(n):
        count = 0
        while time.monotonic() < end:
            answer = note(say(process, f"p{n}", f"/c{count % 5}", {f"k{count}": 1}))
            count += answer.status == 200
        turns[f"p{n}"] = count

    def build(_):
        while time.monotonic() < end:
            note(process.post("/admin/train/build_models", {}))
            note(process.get("/admin/nlu/status"))
            time.sleep(0.5)

    with concurrent.futures.ThreadPoolExecutor(CROWD + 1) as pool:
        futures = [pool.submit(edit if n % 2 else chat, n) for n in range(CROWD)] + [pool.submit(build, 0)]
        for future in futures:
            future.result()
    assert statuses <= {200, 412}, statuses
    assert sum(done.values()) > 0 and sum(turns.values()) > 0
    for identity, count in done.items():
        assert int(process.get(f"/admin/intents/{identity}").json()["speechResponse"]) == count, "an update was lost"
    for person, count in list(turns.items())[:10]:
        if count:
            state = process.get(f"/states/{person}").json()
            assert (state["version"], len(state["context"])) == (count, count)
    assert not [entry for entry in process.logs() if entry["level"] in ("error", "critical")]
    assert json.loads(process.get("/admin/nlu/status").body)["state"] in ("ready", "training")
