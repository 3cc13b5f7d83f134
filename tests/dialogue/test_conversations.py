"""Conversations from outside: the same tables over the REST channel and over Messenger, on both databases."""
import concurrent.futures
import http.server
import json
import pathlib
import shutil
import threading
import time

import pytest

from support.processes import FALLBACK, WELCOME, Graph, Loquat, eventually, intent, request, temporary_folder, write_bot

NOT_AVAILABLE = "Service is not available. Please try again later."
REST = "/bots/channels/rest/webhook"


class Api:
    """What bots call: answers by path, keeps what it was asked."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                seen.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body})
                path = self.path.split("?")[0]
                status, kind, text = 200, "application/json", json.dumps({"path": self.path, "list": [1, "a", None]})
                if path == "/slow":
                    time.sleep(3)
                elif path == "/teapot":
                    status = 418
                elif path == "/text":
                    kind = "text/plain"
                elif path == "/empty":
                    text = ""
                elif path == "/moved":
                    status, text = 302, ""
                elif path == "/large":
                    text = json.dumps("x" * (1 << 20))
                data = text.encode()
                self.send_response(status)
                if path == "/moved":
                    self.send_header("Location", "/target?a=1")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def slot(name, kind, prompt, required=True):
    return {"name": name, "type": kind, "required": required, "prompt": prompt}


def calling(name, url, answer="{{ result }}", method="GET", **details):
    """An intent with one free slot `q` that calls an API."""
    return intent(name, answer, apiTrigger=True, parameters=[slot("q", "free_text", "What?")],
                  apiDetails={"url": url, "requestType": method, "headers": [], "isJson": False, "jsonData": ""} | details)


def make_intents(api):
    margherita = {"text": "a margherita please", "entities": [{"value": "margherita", "begin": 2, "end": 12, "name": "dish"}]}
    return [
        intent("fallback", "I do not know", FALLBACK),
        intent("cancel", "Canceled.", "cancel", ["cancel", "forget it"]),
        intent("init_conversation", "Hello {{ context.username | default('you') }}###How are you?", WELCOME, ["hi", "good morning"]),
        intent("order", "{{ parameters.count }} {{ parameters.pizza }} for {{ parameters.who | upper }}", phrases=["i am hungry"], parameters=[
            slot("pizza", "dish", "Which pizza?###We have many."), slot("count", "number", "How many {{ parameters.pizza }}?"),
            slot("who", "free_text", "For whom?"), slot("drink", "drink", "Drink?", required=False)]) | {"trainingData": [{"text": "i am hungry", "entities": []}, margherita]},
        intent("route", "{{ parameters.from }} - {{ parameters.to }}", phrases=["travel"],
               parameters=[slot("from", "city", "From?"), slot("to", "city", "To?")]),
        intent("noprompt", "ok", parameters=[{"name": "city", "type": "city", "required": True}]),
        intent("zero", "{{ 1 / 0 }}"),
        intent("loop", "{% for i in range(100000) %}{% for k in range(100000) %}{{ i }}{% endfor %}{% endfor %}"),
        intent("huge", "{{ 'a' * 10 ** 9 }}"),
        calling("get", api + "/get?fixed=1", "{{ result.path }} {{ result.list }}"),
        calling("path", api + "/p/{{ parameters.q }}/x", "{{ result.path }}"),
        calling("post", api + "/post", "{{ result.path }}", "POST", isJson=True, jsonData='{"q": "{{ parameters.q }}"}',
                headers=[{"headerKey": "X-Who", "headerValue": "{{ parameters.q }}"}]),
        calling("empty", api + "/empty", "<{{ result }}>"), calling("text", api + "/text"), calling("teapot", api + "/teapot"),
        calling("moved", api + "/moved", "{{ result.path }}"), calling("large", api + "/large"), calling("slow", api + "/slow", "late"),
        calling("refused", "http://127.0.0.1:1/"), calling("nourl", ""), calling("metadata", "http://169.254.169.254/latest/"),
        calling("broken", api + "/x", method="POST", isJson=True, jsonData="{ nonsense"), calling("trace", api + "/x", method="TRACE"),
    ]


ENTITIES = [
    {"name": "dish", "entity_values": [{"value": "Margherita", "synonyms": ["Marga"]}, {"value": "Quattro Stagioni", "synonyms": ["FOUR SEASONS"]}]},
    {"name": "number", "entity_values": [{"value": "1", "synonyms": ["one"]}, {"value": "2", "synonyms": ["two"]}]},
    {"name": "city", "entity_values": [{"value": "Paris", "synonyms": []}, {"value": "Zürich", "synonyms": ["zurich"]}, {"value": "北京", "synonyms": []}]},
]

CONVERSATIONS = {
    "greeting": [("/init_conversation", ["Hello you", "How are you?"]), ("Good MORNING!", ["Hello you", "How are you?"]), ("what", ["I do not know"])],
    "step by step": [("I am hungry", ["Which pizza?", "We have many."]), ("hm", ["Which pizza?", "We have many."]),
                     ("four seasons", ["How many Quattro Stagioni?"]), ("two", ["For whom?"]), ("Ada <&>", ["2 Quattro Stagioni for ADA <&>"]),
                     ("hi", ["Hello you", "How are you?"])],
    "slots in the phrase": [("A marga, please", ["How many Margherita?"]), ("make it one", ["For whom?"]), ("/visit/me", ["1 Margherita for /VISIT/ME"])],
    "a later value replaces": [("a margherita please", ["How many Margherita?"]), ("no, quattro stagioni!", ["How many Quattro Stagioni?"]),
                               ("forget it", ["Canceled."])],
    "commands": [("/order/two/marga", ["For whom?"]), ("/cancel", ["Canceled."]), ("/nothing", ["I do not know"]), ("/", ["I do not know"])],
    "two of a type": [("travel", ["From?"]), ("zurich", ["To?"]), ("paris", ["Zürich - Paris"]), ("/route/paris to 北京", ["Paris - 北京"])],
    "unfinished stays": [("travel", ["From?"]), ("hi", ["From?"]), ("/order", ["From?"]), ("/cancel", ["Canceled."]), ("paris", ["I do not know"])],
    "free text takes all": [("/order/one/marga", ["For whom?"]), ("/fallback", ["1 Margherita for /FALLBACK"])],
    "no prompt": [("/noprompt", ["Please enter: city"]), ("Paris", ["ok"])],
    "faulty templates": [("/zero", ["I do not know"]), ("/loop", ["I do not know"]), ("/huge", ["I do not know"]), ("hi", ["Hello you", "How are you?"])],
    "call": [("/get", ["What?"]), ("a b&c=d", ["/get?fixed=1&q=a%20b%26c%3Dd [1, 'a', None]"])],
    "call with a path": [("/path", ["What?"]), ("../x?y#z", ["/p/..%2Fx%3Fy%23z/x?q=..%2Fx%3Fy%23z"]), ("/path", ["What?"]), ("..", [NOT_AVAILABLE])],
    "failing calls": [step for name in ("text", "teapot", "large", "refused", "nourl", "metadata", "broken", "trace")
                      for step in ((f"/{name}", ["What?"]), ("x", [NOT_AVAILABLE]))],
    "answers of calls": [("/empty", ["What?"]), ("x", ["<None>"]), ("/moved", ["What?"]), ("x", ["/target?a=1"])],
}


@pytest.fixture(scope="module")
def api():
    server = Api()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request, api):
    folder = pathlib.Path(temporary_folder())
    url = request.getfixturevalue("postgres").database() if request.param == "postgres" else f"sqlite:///{folder}/loquat.db"
    graph = Graph(folder)
    process = Loquat(folder, graph=graph, database=url, start=False, env={"REST_RATE_PER_ADDRESS": "1000000"})
    assert process.run("import", write_bot(folder / "bot.json", *make_intents(api.url), entities=ENTITIES)).returncode == 0
    process.start()
    process.graph, process.people = graph, iter(range(10_000, 100_000))
    yield process
    process.stop()
    graph.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def person(service):
    return str(next(service.people))


def say(service, thread, text, context=None, path=REST, **headers):
    return service.post(path, {"thread_id": thread, "text": text, "context": context or {}}, {k.replace("_", "-"): v for k, v in headers.items()})


def over_rest(service, person, text, before, expected):
    answer = say(service, person, text)
    assert answer.status == 200, answer
    return [reply["text"] for reply in answer.json()]


def over_messenger(service, person, text, before, expected):
    assert service.say(person, text).status == 200
    eventually(lambda: len(service.graph.texts(person)) >= before + expected)
    return service.graph.texts(person)[before:]


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("channel", [over_rest, over_messenger], ids=["rest", "messenger"])
def test_conversation(service, person, channel, name):
    count = 0
    for text, expected in CONVERSATIONS[name]:
        replies = channel(service, person, text, count, len(expected))
        assert replies == expected, (name, text)
        count += len(replies)


def test_json_body_headers_and_key(service, person, api):
    say(service, person, "/post")
    assert say(service, person, 'x", "admin": true, "y": "\\', Idempotency_Key="k").json() == [{"text": "/post"}]
    last = api.seen[-1]
    assert (last["method"], json.loads(last["body"])) == ("POST", {"q": 'x", "admin": true, "y": "\\'})
    assert last["headers"]["X-Who"] == 'x", "admin": true, "y": "\\'
    assert len(last["headers"]["Idempotency-Key"]) == 32
    count = len(api.seen)
    say(service, person, "/post")
    assert say(service, person, "a\r\nEvil: 1").json() == [{"text": NOT_AVAILABLE}]
    assert len(api.seen) == count


def test_others_go_on_during_a_call(service, person):
    say(service, person, "/slow")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(say, service, person, "x")
        time.sleep(0.3)
        assert say(service, person + "b", "hi").status == 200 and not slow.done()
        assert slow.result().json() == [{"text": "late"}]


def test_state(service, person):
    answer = say(service, person, "/route", {"a": 1, "channel": "facebook", "page_id": "9"}, "/admin/test/chat")
    state = answer.json()
    assert list(state) == ["thread_id", "user_message", "bot_message", "nlu", "context", "intent", "parameters", "extracted_parameters",
                           "missing_parameters", "complete", "current_node", "date"]
    assert state["user_message"] == {"thread_id": person, "text": "/route", "channel": "rest", "context": {"a": 1}}
    assert state["nlu"] == {"entities": {}, "intent": {"intent": "route", "confidence": 1.0}}
    assert (state["context"], state["intent"], state["complete"], state["current_node"]) == ({"a": 1}, {"id": "route"}, False, "from")
    assert state["parameters"] == [{"name": "from", "type": "city", "required": True}, {"name": "to", "type": "city", "required": True}]
    assert (state["extracted_parameters"], state["missing_parameters"]) == ({}, ["from", "to"])
    state = say(service, person, "Paris ZURICH", {"b": [1.0]}, "/admin/test/chat").json()
    assert (state["context"], state["extracted_parameters"]) == ({"a": 1, "b": [1.0]}, {"from": "Paris", "to": "Zürich"})
    assert (state["bot_message"], state["current_node"]) == ([{"text": "Paris - Zürich"}], None)
    assert state["nlu"] == {"entities": {"city": "Zürich"}, "intent": {"intent": None, "confidence": 0.0}}
    first = say(service, person + "x", "hi", path="/admin/test/chat").json()
    assert first["current_node"] == ""


@pytest.mark.parametrize("body, issues", [
    ({}, [("missing", ["body", "thread_id"]), ("missing", ["body", "text"]), ("missing", ["body", "context"])]),
    ([], [("dict_type", ["body"])]),
    ({"thread_id": 1, "text": None, "context": "x"}, [("string_type", ["body", "thread_id"]), ("string_type", ["body", "text"]), ("dict_type", ["body", "context"])]),
    ({"thread_id": "", "text": "", "context": {}}, [("string_too_short", ["body", "thread_id"])]),
    ({"thread_id": "a\u0000", "text": "", "context": {}}, [("value_error", ["body", "thread_id"])]),
])
@pytest.mark.parametrize("path", [REST, "/bots/channels/rest/webbook/", "/admin/test/chat"])
def test_wrong_bodies(service, path, body, issues):
    answer = service.post(path, body)
    assert answer.status == 422
    assert [(issue["type"], issue["loc"]) for issue in answer.json()["detail"]] == issues


def test_null_context_and_empty_text(service, person):
    assert service.post(REST, {"thread_id": person, "text": "", "context": None}).json() == [{"text": "I do not know"}]


def test_idempotency_key(service, person):
    first = say(service, person, "travel", Idempotency_Key="one")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda _: say(service, person, "travel", Idempotency_Key="one").body, range(8)))
    assert again == [first.body] * 8
    assert service.get(f"/states/{person}").json()["version"] == 1
    assert say(service, person, "travel", Idempotency_Key="k" * 256).status == 400


def test_parallel_messages_of_one_thread(service, person):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: say(service, person, "hi", {f"n{n}": n}), range(40)))
    assert {answer.status for answer in answers} == {200}
    state = service.get(f"/states/{person}").json()
    assert (state["version"], len(state["context"])) == (40, 40)


def test_events(service, person):
    answer = say(service, person, "hi", Accept="text/event-stream")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.text == 'event: message\ndata: {"text":"Hello you"}\n\nevent: message\ndata: {"text":"How are you?"}\n\nevent: done\ndata: {}\n\n'


def test_rate_per_thread(service, person):
    statuses = [say(service, person, "hi").status for _ in range(75)]
    assert statuses[:60] == [200] * 60
    assert 429 in statuses[60:]
    assert say(service, person + "b", "hi").status == 200


def test_rate_per_address(start, folder):
    process = start(env={"REST_RATE_PER_ADDRESS": "3"}, database=f"sqlite:///{folder}/loquat.db")
    answers = [say(process, str(n), "hi") for n in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_a_bot_changes_during_a_conversation(start, folder, database):
    process = start(database=database)
    first = write_bot(folder / "a.json", intent("ask", "got {{ parameters.x }}", parameters=[slot("x", "free_text", "What?")]))
    assert process.run("import", first).returncode == 0
    assert eventually(lambda: say(process, str(time.time_ns()), "/ask").json() == [{"text": "What?"}], 5)
    assert say(process, "t", "/ask").json() == [{"text": "What?"}]
    identity = next(item["id"] for item in process.get("/admin/intents").json() if item["intentId"] == "ask")
    assert process.call("DELETE", f"/admin/intents/{identity}").status == 200
    assert process.post("/admin/train/build_models", {}).status == 200
    assert eventually(lambda: say(process, str(time.time_ns()), "/ask").json() == [{"text": "I do not know"}], 5)
    state = say(process, "t", "anything", path="/admin/test/chat").json()
    assert (state["bot_message"], state["intent"], state["complete"]) == ([{"text": "I do not know"}], {"id": "fallback"}, True)


@pytest.mark.parametrize("template", ["{% if %}", "{{"])
def test_a_broken_template_is_not_published(start, folder, template):
    process = start(database=f"sqlite:///{folder}/loquat.db")
    refused = process.run("import", write_bot(folder / "bot.json", intent("syntax", template), intent("other", "fine")))
    assert refused.returncode == 1
    assert "Intent syntax: answer" in refused.stderr
    assert say(process, "t", "/other", path="/admin/test/chat").json()["intent"] == {"id": "fallback"}


def test_an_unknown_filter_breaks_only_its_own_intent(start, folder):
    process = start(database=f"sqlite:///{folder}/loquat.db")
    assert process.run("import", write_bot(folder / "bot.json", intent("odd", "{{ 'x' | nosuch }}"), intent("other", "fine"))).returncode == 0
    assert eventually(lambda: say(process, str(time.time_ns()), "/other").json() == [{"text": "fine"}], 5)
    assert say(process, "t", "/odd").status == 200
    assert eventually(lambda: any("nosuch" in json.dumps(entry) for entry in process.logs("the bot has a fault")))


def test_private_addresses_are_closed_to_bots(start, folder, api):
    process = start(env={"ALLOW_PRIVATE_ADDRESSES": "10.255.0.0/16"}, database=f"sqlite:///{folder}/loquat.db")
    assert process.run("import", write_bot(folder / "bot.json", calling("get", api.url + "/private"))).returncode == 0
    assert eventually(lambda: say(process, str(time.time_ns()), "/get").json() == [{"text": "What?"}], 5)
    say(process, "t", "/get")
    assert say(process, "t", "x").json() == [{"text": NOT_AVAILABLE}]
    assert not [entry for entry in api.seen if entry["path"].startswith("/private")]


def test_chat_command(service):
    chat = service.run("chat", "--thread", "terminal", input="hi\n/order/one/marga\nAda\n/quit\nhi\n")
    assert (chat.returncode, chat.stdout) == (0, "Hello you\nHow are you?\nFor whom?\n1 Margherita for ADA\n")
    chat = service.run("chat", "-v", input="travel from paris\n/route/paris\n")
    assert 'slots {"from":"Paris"} missing ["to"]' in chat.stdout
