"""The admin's view of a bot from outside: every route of the old HTTP API with its quirks, on both databases."""
import concurrent.futures
import json
import pathlib
import re
import shutil

import pytest

from support.processes import Loquat, eventually, intent, sqlite_sql, temporary_folder

MASK = "•" * 8
ABSENT = "0123456789abcdef01234567"
SUCCESS = {"status": "success"}
HEX = re.compile(r"[0-9a-f]{24}")
REST = "/bots/channels/rest/webbook"
INTENT_MEMBERS = ["id", "name", "userDefined", "intentId", "apiTrigger", "apiDetails", "speechResponse", "parameters", "labeledSentences", "trainingData"]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request):
    folder = pathlib.Path(temporary_folder())
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    url = server.database() if server else f"sqlite:///{folder}/loquat.db"
    process = Loquat(folder, database=url, env={"REST_RATE_PER_ADDRESS": "1000000", "CORS_ORIGINS": "https://admin.example"})
    process.rows = (lambda text: server.sql(text, url)) if server else (lambda text: sqlite_sql(folder / "loquat.db", text)[0][0])
    assert eventually(lambda: process.get("/admin/bots/default/config").status == 200, 5)
    process.names = (f"name{n}" for n in range(100_000))
    yield process
    process.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def name(service):
    return next(service.names)


def body_of(name, **members):
    return {"name": name, "intentId": name, "speechResponse": f"answer of {name}"} | members


def create(service, name, **members):
    answer = service.post("/admin/intents/", body_of(name, **members))
    assert answer.status == 200, answer
    return answer.json()


def read(service, identity):
    return service.get(f"/admin/intents/{identity}").json()


def form(*parts, boundary="b0undary"):
    """A multipart body: (name, file name or None, content)."""
    body = b""
    for name, filename, content in parts:
        where = f'; filename="{filename}"' if filename is not None else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{where}\r\nContent-Type: application/json\r\n\r\n'.encode()
        body += (content if isinstance(content, bytes) else content.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def upload(service, content, bot="default"):
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content)
    return service.post(f"/admin/bots/{bot}/import", *form(("file", "chatbot_data.json", content)))


def chat(service, thread, text):
    return [reply["text"] for reply in service.post(REST, {"thread_id": thread, "text": text, "context": {}}).json()]


def publish(service):
    """Builds and waits until it is live."""
    before = service.get("/admin/nlu/status").json()["version"]
    assert service.post("/admin/train/build_models", {}).json() == {"status": "training started in the background"}
    status = eventually(lambda: (s := service.get("/admin/nlu/status").json())["state"] != "training" and s, 10)
    assert status["state"] == "ready" and status["version"] > before, "ready is not said before the build is through"
    return status["version"]


def audit(service):
    return [entry for entry in service.logs() if entry.get("logger") == "audit"]


# --- what is there at first ---------------------------------------------------------------------------------------

def test_first_start(start, database):
    process = start(database=database)
    assert process.get("/").body == b'{"message":"Welcome to AI Chatbot Framework API"}'
    assert process.get("/ready").body == b'{"status":"ok"}'
    intents = eventually(lambda: process.get("/admin/intents/").json(), 5)
    assert sorted(item["intentId"] for item in intents) == ["cancel", "fallback", "init_conversation"]
    for item in intents:
        assert list(item) == INTENT_MEMBERS and HEX.fullmatch(item["id"])
        assert (item["userDefined"], item["parameters"], item["apiDetails"]) == (False, [], None)
    assert process.get("/admin/entities/").body == b"[]"
    assert process.get("/admin/bots/default/config").json() == {
        "pipeline_type": "traditional",
        "traditional_settings": {"intent_detection_threshold": 0.75, "entity_detection_threshold": 0.65, "use_spacy": True},
        "llm_settings": {"base_url": "http://127.0.0.1:11434/v1", "api_key": MASK, "model_name": "llama2:13b-chat", "max_tokens": 4096, "temperature": 0.7}}
    status = process.get("/admin/nlu/status").json()
    assert list(status) == ["version", "state", "built_at", "intents", "examples", "progress", "message"]
    assert (status["version"], status["state"], status["intents"]) == (1, "ready", 3) and status["built_at"].endswith("+00:00")
    assert [item["id"] for item in process.get("/admin/integrations/").json()] == ["facebook", "chat_widget"]
    assert chat(process, "t", "/cancel")
    ids = [item["id"] for item in intents]
    process.stop()
    process.start()
    assert [item["id"] for item in process.get("/admin/intents").json()] == ids, "a second start adds nothing"


# --- every route, both spellings, wrong methods, open and closed --------------------------------------------------

PLACES = [("GET", "/admin/intents"), ("GET", "/admin/entities"), ("GET", "/admin/bots/default/config"), ("GET", "/admin/bots/default/export"),
          ("GET", "/admin/bots/default/versions"), ("GET", "/admin/nlu/status"), ("GET", "/admin/chatlogs"), ("GET", "/admin/chatlogs/nobody"),
          ("GET", "/admin/chatlog-search"), ("GET", "/admin/chatlog-export"), ("GET", "/admin/integrations"), ("GET", "/admin/integrations/facebook"), ("GET", "/ready")]


@pytest.mark.parametrize("method, path", PLACES)
def test_both_spellings(service, method, path):
    plain, slash = service.call(method, path), service.call(method, path + "/")
    assert (plain.status, plain.body) == (200, slash.body) and slash.status == 200
    assert plain.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path, wrong, allow", [
    ("/", "POST", {"GET"}), ("/ready", "DELETE", {"GET"}), ("/admin/intents/", "PUT", {"GET", "POST"}), ("/admin/intents", "HEAD", {"GET", "POST"}),
    (f"/admin/intents/{ABSENT}", "POST", {"GET", "PUT", "DELETE"}), ("/admin/entities/", "DELETE", {"GET", "POST"}), (f"/admin/entities/{ABSENT}", "PATCH", {"GET", "PUT", "DELETE"}),
    ("/admin/train/build_models", "GET", {"POST"}), (f"/admin/train/{ABSENT}/data", "PUT", {"GET", "POST"}), ("/admin/test/chat", "GET", {"POST"}),
    ("/admin/bots/default/config", "POST", {"GET", "PUT"}), ("/admin/bots/default/export", "POST", {"GET"}), ("/admin/bots/default/import", "GET", {"POST"}),
    ("/admin/chatlogs/", "POST", {"GET"}), ("/admin/chatlogs/t", "PUT", {"GET", "DELETE"}), (REST, "GET", {"POST"}), ("/admin/intents/", "OPTIONS", {"GET", "POST"}),
    ("/admin/intents/", "TRACE", {"GET", "POST"}), ("/admin/nlu/status", "POST", {"GET"}),
])
def test_wrong_methods(service, path, wrong, allow):
    answer = service.call(wrong, path, {} if wrong in ("POST", "PUT", "PATCH") else None)
    assert answer.status == 405
    assert wrong == "HEAD" or answer.body == b'{"detail":"Method Not Allowed"}'
    assert allow <= set(re.split(r", *", answer.headers["Allow"]))


@pytest.mark.parametrize("path", ["/nothing", "/admin", "/admin/nothing", "/admin/bots/default", "/admin/intents/a/b", "/admin/train", "/bots/channels/rest", "/admin//intents", "/static/none.js"])
def test_unknown_paths(service, path):
    answer = service.get(path)
    assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')


# --- intents ------------------------------------------------------------------------------------------------------

def test_an_intent_is_created_whole(service, name):
    sent = body_of(name, id="ignored", unknown=1, apiTrigger=True, userDefined=False,
                   apiDetails={"url": "http://a.example/{{ x }}", "requestType": "POST", "headers": [{"headerKey": "X-A", "headerValue": "1"}]},
                   parameters=[{"name": "p"}, {"id": ABSENT.upper(), "name": "q", "required": True, "type": "city", "prompt": "?"}],
                   labeledSentences=[{"id": None, "data": ["a"]}], trainingData=[{"text": "ä 😀", "entities": [], "extra": [1.5]}])
    answer = service.post("/admin/intents", sent)
    made = answer.json()
    assert answer.status == 200 and list(made) == INTENT_MEMBERS and HEX.fullmatch(made["id"])
    assert made["apiDetails"] == {"url": "http://a.example/{{ x }}", "requestType": "POST", "headers": [{"headerKey": "X-A", "headerValue": "1"}], "isJson": False, "jsonData": "{}"}
    first, second = made["parameters"]
    assert HEX.fullmatch(first["id"]) and list(first) == ["id", "name", "required", "type", "prompt"]
    assert (first["name"], first["required"]) == ("p", False)
    assert second == {"id": ABSENT, "name": "q", "required": True, "type": "city", "prompt": "?"}
    assert HEX.fullmatch(made["labeledSentences"][0]["id"]) and made["labeledSentences"][0]["data"] == ["a"]
    assert made["trainingData"] == [{"text": "ä 😀", "entities": [], "extra": [1.5]}]
    again = service.get(f"/admin/intents/{made['id']}")
    assert again.body == answer.body == service.get(f"/admin/intents/{made['id'].upper()}/").body
    assert service.get("/admin/intents/").json()[-1] == made


def test_put_replaces_all_but_what_would_be_lost(service, name):
    made = create(service, name, parameters=[{"name": "p", "type": "a"}], trainingData=[{"text": "one", "entities": []}], labeledSentences=[{"data": ["x"]}], userDefined=False)
    answer = service.call("PUT", f"/admin/intents/{made['id']}", body_of(name, parameters=[{"name": "new"}, {"name": "p", "type": "b"}], id=ABSENT))
    assert (answer.status, answer.body) == (200, b'{"status":"success"}')
    after = read(service, made["id"])
    assert after["trainingData"] == made["trainingData"], "left out: kept"
    assert (after["labeledSentences"], after["userDefined"]) == ([], True), "all others: defaults"
    assert after["parameters"][1]["id"] == made["parameters"][0]["id"] and after["parameters"][1]["type"] == "b"
    assert service.call("PUT", f"/admin/intents/{made['id']}/", body_of(name, trainingData=[])).json() == SUCCESS
    assert read(service, made["id"])["trainingData"] == []


def issues(answer):
    assert answer.status == 422, answer
    return [(issue["type"], issue["loc"], issue["msg"]) for issue in answer.json()["detail"]]


MISSING, TEXT = "Field required", "Input should be a valid string"


@pytest.mark.parametrize("body, expected", [
    ({}, [("missing", ["body", "name"], MISSING), ("missing", ["body", "intentId"], MISSING), ("missing", ["body", "speechResponse"], MISSING)]),
    (body_of(1), [("string_type", ["body", "name"], TEXT), ("string_type", ["body", "intentId"], TEXT)]),
    (body_of("x", userDefined="perhaps"), [("bool_parsing", ["body", "userDefined"], "Input should be a valid boolean, unable to interpret input")]),
    (body_of("x", userDefined=[]), [("bool_type", ["body", "userDefined"], "Input should be a valid boolean")]),
    (body_of("x", parameters=None), [("list_type", ["body", "parameters"], "Input should be a valid list")]),
    (body_of("x", parameters=[{}]), [("missing", ["body", "parameters", 0, "name"], MISSING)]),
    (body_of("x", apiDetails={}), [("missing", ["body", "apiDetails", "url"], MISSING), ("missing", ["body", "apiDetails", "requestType"], MISSING)]),
    (body_of("x", apiDetails={"url": "", "requestType": "", "headers": [{"a": 1}]}), [("string_type", ["body", "apiDetails", "headers", 0, "a"], TEXT)]),
    (body_of("x", labeledSentences=[{"data": "x"}]), [("list_type", ["body", "labeledSentences", 0, "data"], "Input should be a valid list")]),
    (body_of("x", trainingData={}), [("list_type", ["body", "trainingData"], "Input should be a valid list")]),
    (body_of("x", trainingData=[1]), [("dict_type", ["body", "trainingData", 0], "Input should be a valid dictionary")]),
])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_wrong_intents(service, method, body, expected):
    answer = service.call(method, "/admin/intents/" + (ABSENT if method == "PUT" else ""), body)
    assert issues(answer) == expected
    assert all("input" in issue for issue in answer.json()["detail"])


@pytest.mark.parametrize("raw, kind, status, expected", [
    (b"{bad", "application/json", 422, ("json_invalid", ["body", 1], "JSON decode error")),
    (b"[]", "application/json", 422, ("model_attributes_type", ["body"], "Input should be a valid dictionary or object to extract fields from")),
    (b"", "application/json", 422, ("missing", ["body"], MISSING)),
    (b"null", "application/json", 422, ("missing", ["body"], MISSING)),
    (b'{"name":"x"}', "text/plain", 422, ("model_attributes_type", ["body"], "Input should be a valid dictionary or object to extract fields from")),
    (b"\xff", "application/json", 400, "There was an error parsing the body"),
])
def test_bodies_that_are_none(service, raw, kind, status, expected):
    answer = service.post("/admin/intents/", raw, {"Content-Type": kind})
    assert answer.status == status
    if status == 400:
        assert answer.json() == {"detail": expected}
        return
    [issue] = answer.json()["detail"]
    assert (issue["type"], issue["loc"], issue["msg"]) == expected
    if kind == "text/plain":
        assert issue["input"] == raw.decode()
    if issue["type"] == "json_invalid":
        assert issue["input"] == {} and issue["ctx"]["error"]


@pytest.mark.parametrize("kind", [None, "application/json; charset=utf-8", "application/merge+json", "APPLICATION/JSON"])
def test_content_types_that_are_json(service, name, kind):
    answer = service.post("/admin/entities/", json.dumps({"name": name}).encode(), {"Content-Type": kind} if kind else {})
    assert answer.status == 200, answer


@pytest.mark.parametrize("member", [{"parameters": [{"id": "xyz", "name": "p"}]}, {"labeledSentences": [{"id": "12", "data": []}]}])
def test_malformed_ids_inside(service, name, member):
    answer = service.post("/admin/intents/", body_of(name, **member))
    [place] = member
    assert issues(answer)[0][1] == ["body", place, 0, "id"]


@pytest.mark.parametrize("kind, detail, body", [("intents", "Intent not found", body_of("x")), ("entities", "Entity not found", {"name": "x"})])
@pytest.mark.parametrize("identity", [ABSENT, "malformed", "0" * 23, "g" * 24])
def test_absent_and_malformed_ids(service, kind, detail, body, identity):
    path = f"/admin/{kind}/{identity}"
    for answer in (service.get(path), service.call("PUT", path, body)):
        assert answer.status == 404 and answer.json() == {"detail": detail}
    gone = service.call("DELETE", path)
    assert (gone.status, gone.json()) == ((200, SUCCESS) if identity == ABSENT else (404, {"detail": detail}))


def test_delete_is_always_a_success(service, name):
    made = create(service, name)
    for _ in range(2):
        answer = service.call("DELETE", f"/admin/intents/{made['id']}")
        assert (answer.status, answer.body) == (200, b'{"status":"success"}')
    assert service.get(f"/admin/intents/{made['id']}").status == 404


def test_entities(service, name):
    answer = service.post("/admin/entities/", {"name": name, "entity_values": [{"value": "a", "synonyms": ["b", "B"]}, {"value": "c"}], "x": 1})
    made = answer.json()
    assert made == {"id": made["id"], "name": name, "entity_values": [{"value": "a", "synonyms": ["b", "B"]}, {"value": "c", "synonyms": []}]}
    assert list(made) == ["id", "name", "entity_values"] and HEX.fullmatch(made["id"])
    path = f"/admin/entities/{made['id']}"
    assert service.get(path).json() == made and made in service.get("/admin/entities").json()
    assert service.call("PUT", path, {"name": name}).json() == SUCCESS
    assert service.get(path).json() == {"id": made["id"], "name": name, "entity_values": []}
    assert issues(service.call("PUT", path, {"name": None, "entity_values": [{}]})) == [("string_type", ["body", "name"], TEXT), ("missing", ["body", "entity_values", 0, "value"], MISSING)]
    assert service.call("DELETE", path).json() == SUCCESS
    assert service.get(path).status == 404


def test_training_data(service, name):
    made = create(service, name)
    path = f"/admin/train/{made['id']}/data"
    assert service.get(path).body == b"[]"
    examples = [{"text": "to paris", "entities": [{"value": "paris", "begin": 3, "end": 8, "name": "city"}]}, {"text": "x", "entities": []}, {"note": None}]
    assert service.post(path, examples).json() == SUCCESS
    assert service.get(path + "/").json() == examples == read(service, made["id"])["trainingData"]
    assert issues(service.post(path, {})) == [("list_type", ["body"], "Input should be a valid list")]
    assert service.post(path, [1]).status == 422
    for absent in (ABSENT, "malformed"):
        for answer in (service.get(f"/admin/train/{absent}/data"), service.post(f"/admin/train/{absent}/data", [])):
            assert answer.status == 404 and answer.json() == {"detail": "Story not found"}


# --- lost updates -------------------------------------------------------------------------------------------------

def test_etags(service, name):
    made = create(service, name)
    path = f"/admin/intents/{made['id']}"
    tag = service.get(path).headers["ETag"]
    stale = service.call("PUT", path, body_of(name, speechResponse="1"), {"If-Match": tag}).headers["ETag"]
    assert stale != tag
    for wrong in (tag, 'W/' + stale, "nonsense", '"99"'):
        assert service.call("PUT", path, body_of(name), {"If-Match": wrong}).status == 412
        assert service.call("DELETE", path, headers={"If-Match": wrong}).status == 412
        assert service.post(f"/admin/train/{made['id']}/data", [], {"If-Match": wrong}).status == 412
    assert read(service, made["id"])["speechResponse"] == "1"
    assert service.call("PUT", path, body_of(name), {"If-Match": f'"7777", {stale}'}).status == 200
    assert service.call("PUT", path, body_of(name), {"If-Match": "*"}).status == 200
    assert service.call("PUT", path, body_of(name)).status == 200, "without If-Match the last write wins"
    config = service.get("/admin/bots/default/config")
    assert service.call("PUT", "/admin/bots/default/config", config.json(), {"If-Match": '"424242"'}).status == 412
    assert service.call("PUT", "/admin/bots/default/config", config.json(), {"If-Match": config.headers["ETag"]}).status == 200


# --- config -------------------------------------------------------------------------------------------------------

def test_config(service):
    path = "/admin/bots/default/config"
    before = service.get(path).json()

    def stored_key():
        return json.loads(service.rows("SELECT body FROM bot_configs WHERE name = 'default'"))["llm_settings"]["api_key"]

    changed = {"pipeline_type": "llm", "traditional_settings": {"intent_detection_threshold": 0.5}, "llm_settings": {"api_key": "sk-secret", "max_tokens": 7}, "own": 1}
    assert service.call("PUT", path, changed).body == b'{"message":"Config updated successfully"}'
    seen = service.get(path).json()
    assert seen == {"pipeline_type": "llm", "traditional_settings": {"intent_detection_threshold": 0.5, "entity_detection_threshold": 0.65, "use_spacy": True},
                    "llm_settings": {"base_url": "http://127.0.0.1:11434/v1", "api_key": MASK, "model_name": "llama2:13b-chat", "max_tokens": 7, "temperature": 0.7}}
    assert service.call("PUT", path, seen).status == 200
    assert stored_key() == "sk-secret", "the mask alone changes nothing"
    for broken in (MASK + "x", "sk-" + MASK, "•"):
        assert service.call("PUT", path, {"llm_settings": {"api_key": broken}}).status == 422
    assert stored_key() == "sk-secret"
    assert service.call("PUT", path, {"llm_settings": {"api_key": ""}}).status == 200
    assert service.get(path).json()["llm_settings"]["api_key"] == ""
    assert service.call("PUT", path, before | {"llm_settings": before["llm_settings"] | {"api_key": "ollama"}}).status == 200


@pytest.mark.parametrize("body, place", [({"pipeline_type": 5}, ["body", "pipeline_type"]), ([], ["body"]), ({"llm_settings": None}, ["body", "llm_settings"]),
                                         ({"traditional_settings": {"intent_detection_threshold": "high"}}, ["body", "traditional_settings", "intent_detection_threshold"])])
def test_configs_that_cannot_be_read(service, body, place):
    assert issues(service.call("PUT", "/admin/bots/default/config", body))[0][1] == place


def test_unknown_bots(service):
    assert service.get("/admin/bots/other/config").status == 404
    assert service.call("PUT", "/admin/bots/other/config", {}).json() == {"message": "Config updated successfully"}
    assert service.get("/admin/bots/other/config").status == 404, "no upsert"
    assert service.get("/admin/bots/other/versions").status == 404
    assert service.get("/admin/bots/other/export").body == service.get("/admin/bots/default/export").body, "the name is ignored"


# --- secrets in intents -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("header, secret", [("Authorization", True), ("cookie", True), ("X-Api-Key", True), ("x-auth-TOKEN", True), ("Client-Secret", True), ("X-Plain", False)])
def test_api_headers_are_masked(service, name, header, secret):
    def with_value(value):
        return body_of(name, apiTrigger=True, apiDetails={"url": "http://a.example/", "requestType": "GET", "headers": [{"headerKey": header, "headerValue": value}]})

    def seen():
        return read(service, made["id"])["apiDetails"]["headers"][0]["headerValue"]

    def stored():
        [item] = [item for item in service.get("/admin/bots/default/export?secrets=true").json()["intents"] if item["name"] == name]
        return item["apiDetails"]["headers"][0]["headerValue"]

    value = "top " + name
    made = service.post("/admin/intents/", with_value(value)).json()
    path = f"/admin/intents/{made['id']}"
    assert seen() == (MASK if secret else value) and stored() == value
    for place in ("/admin/intents/", "/admin/bots/default/export"):
        assert (value + '"' in service.get(place).text) is not secret
    if secret:
        assert service.call("PUT", path, with_value(MASK)).status == 200 and stored() == value
        assert service.call("PUT", path, with_value(MASK + "1")).status == 422 and stored() == value
        assert service.call("PUT", path, with_value("")).status == 200 and seen() == stored() == ""
        service.call("PUT", path, with_value(MASK))
        assert stored() == "", "the mask itself is never stored"


# --- export and import --------------------------------------------------------------------------------------------

def test_export_and_import_round_trip(start, database, folder):
    process = start(database=database)
    create(process, "travel", parameters=[{"name": "p", "type": "city"}], labeledSentences=[{"data": ["a"]}], trainingData=[{"text": "Zürich 😀", "entities": []}])
    process.post("/admin/entities/", {"name": "city", "entity_values": [{"value": "Zürich", "synonyms": ["zh"]}]})
    exported = process.get("/admin/bots/default/export")
    assert exported.headers["Content-Disposition"] == "attachment;filename=chatbot_data.json" and exported.headers["Content-Type"] == "application/json"
    assert exported.body.isascii() and b"Z\\u00fcrich" in exported.body
    data = exported.json()
    assert list(data) == ["intents", "entities"]
    assert all(list(item) == INTENT_MEMBERS[1:] for item in data["intents"]) and list(data["entities"][0]) == ["name", "entity_values"]
    travel = next(item for item in data["intents"] if item["name"] == "travel")
    assert "id" not in travel["parameters"][0] and HEX.fullmatch(travel["labeledSentences"][0]["id"])
    assert upload(process, exported.body).json() == {"num_intents_created": 0, "num_entities_created": 0}
    assert process.get("/admin/bots/default/export").body == exported.body
    other = start(database=f"sqlite:///{folder}/other.db", data_dir=folder / "other")
    assert upload(other, exported.body, "any").json() == {"num_intents_created": 1, "num_entities_created": 1}
    assert other.get("/admin/bots/default/export").json() == data
    assert all(HEX.fullmatch(parameter["id"]) for item in other.get("/admin/intents").json() for parameter in item["parameters"])


def test_import_takes_odd_files(service, name):
    a, b, c = name + "a", name + "b", name + "c"
    made = create(service, a, parameters=[{"name": "p"}], trainingData=[{"text": "kept", "entities": []}])
    file = {"intents": [{"name": a, "speechResponse": "new", "unknown": {"x": 1}, "apiDetails": None}, {"name": b, "intentId": "old", "speechResponse": "1"},
                        {"name": b, "intentId": b, "speechResponse": "2"}, {"name": c, "intentId": c, "speechResponse": "", "parameters": None, "userDefined": None, "trainingData": None}],
            "entities": [{"name": a, "entity_values": None}, {"name": b}], "more": []}
    answer = upload(service, b"\xef\xbb\xbf" + json.dumps(file).encode())
    assert answer.body == b'{"num_intents_created":2,"num_entities_created":2}'
    after = {item["name"]: item for item in service.get("/admin/intents").json()}
    assert after[a]["id"] == made["id"] and after[a]["speechResponse"] == "new" and after[a]["intentId"] == a
    assert after[a]["trainingData"] == made["trainingData"], "members that the file leaves out stay"
    assert (after[b]["intentId"], after[b]["speechResponse"]) == (b, "2"), "of two with one name the later wins"
    assert (after[c]["parameters"], after[c]["userDefined"], after[c]["trainingData"]) == ([], True, [])
    for empty in ({}, {"intents": None, "entities": None}, {"intents": []}):
        assert upload(service, empty).json() == {"num_intents_created": 0, "num_entities_created": 0}


def test_of_two_files_the_last_wins(service, name):
    first, second = ({"entities": [{"name": name + which}]} for which in ("1", "2"))
    answer = service.post("/admin/bots/default/import", *form(("file", "a", json.dumps(first)), ("other", None, "x"), ("file", "b", json.dumps(second))))
    assert answer.json()["num_entities_created"] == 1
    names = [item["name"] for item in service.get("/admin/entities").json()]
    assert name + "2" in names and name + "1" not in names


@pytest.mark.parametrize("content, place", [
    ("{broken", None), ("", None), ("[]", None), ("null", None), ('{"intents":{}}', None), ('{"intents":[{"name":"n1","intentId":"n1","speechResponse":""},{"name":"n2"}]}', ["body", "file", "intents", 1, "intentId"]),
    ('{"intents":[{"name":"n1","intentId":"n1","speechResponse":""}],"entities":[{}]}', ["body", "file", "entities", 0, "name"]),
    ('{"intents":[{"name":"n1","intentId":"n1","speechResponse":""},{"name":"n2","intentId":5,"speechResponse":""}]}', ["body", "file", "intents", 1, "intentId"]),
    ('{"intents":[{"name":"n1","intentId":"n1","speechResponse":"","parameters":[{"required":true}]}]}', ["body", "file", "intents", 0, "parameters", 0, "name"]),
])
def test_nothing_of_a_bad_file_is_taken(service, content, place):
    before = service.get("/admin/bots/default/export").body
    answer = upload(service, content)
    assert answer.status == 422
    if place:
        assert place in [issue["loc"] for issue in answer.json()["detail"]]
    assert service.get("/admin/bots/default/export").body == before


def test_forms_that_are_none(service):
    path = "/admin/bots/default/import"
    missing = [("missing", ["body", "file"], MISSING)]
    assert issues(service.post(path)) == missing
    assert issues(service.post(path, {"intents": []})) == missing
    assert issues(service.post(path, *form(("files", "a", "{}")))) == missing
    assert issues(service.post(path, *form(("file", None, "{}"))))[0][:2] == ("value_error", ["body", "file"])
    assert service.post(path, b"abc", {"Content-Type": "multipart/form-data"}).status == 400
    assert service.post(path, b"abc", {"Content-Type": "multipart/form-data; boundary=x"}).status == 400
    assert service.post(path, b"x", {"Content-Type": "application/json", "Content-Encoding": "gzip"}).status == 415


def test_ten_thousand_intents(start, folder):
    process = start(database=f"sqlite:///{folder}/loquat.db")
    file = {"intents": [intent(f"i{n}", f"answer {n}", phrases=[f"phrase number {n}"]) for n in range(10_000)]}
    assert upload(process, file).json() == {"num_intents_created": 10_000, "num_entities_created": 0}
    assert process.post("/admin/train/build_models", {}).status == 200
    assert eventually(lambda: chat(process, "t", "/i9999") == ["answer 9999"], 60, 0.5)
    assert chat(process, "t", "phrase number 4321") == ["answer 4321"]
    assert len(process.get("/admin/intents", timeout=60).json()) == 10_003


# --- building -----------------------------------------------------------------------------------------------------

def test_edits_become_live_by_a_build(service, name):
    made = create(service, name, trainingData=[{"text": f"say {name}", "entities": []}])
    assert chat(service, name, f"/{name}") != [f"answer of {name}"], "not built yet"
    version = publish(service)
    assert eventually(lambda: chat(service, name, f"say {name}") == [f"answer of {name}"], 2)
    service.call("PUT", f"/admin/intents/{made['id']}", body_of(name, speechResponse="second"))
    assert chat(service, name, f"/{name}") == [f"answer of {name}"]
    second = publish(service)
    assert eventually(lambda: chat(service, name, f"/{name}") == ["second"], 2)
    versions = service.get("/admin/bots/default/versions").json()
    assert [item["version"] for item in versions] == sorted((item["version"] for item in versions), reverse=True)
    assert list(versions[0]) == ["version", "built_at", "active", "built_by", "intents", "entities", "examples"]
    assert [item["version"] for item in versions if item["active"]] == [second]
    assert service.post(f"/admin/bots/default/versions/{version}/activate").json() == SUCCESS
    assert eventually(lambda: chat(service, name, f"/{name}") == [f"answer of {name}"], 2)
    assert service.get("/admin/nlu/status").json()["version"] == version
    assert read(service, made["id"])["speechResponse"] == "second", "the draft stays as it is"
    assert service.post(f"/admin/bots/default/versions/{second}/activate/").json() == SUCCESS
    assert service.post("/admin/bots/default/versions/999999/activate").status == 404
    assert service.post("/admin/bots/default/versions/x/activate").status == 422
    assert service.post("/admin/bots/other/versions/1/activate").status == 404


def test_a_bot_that_cannot_be_built_leaves_the_old_one(service, name):
    made = create(service, name)
    publish(service)
    assert eventually(lambda: chat(service, name, f"/{name}") == [f"answer of {name}"], 2)
    service.call("PUT", f"/admin/intents/{made['id']}", body_of(name, speechResponse="{% if %}"))
    version = service.get("/admin/nlu/status").json()["version"]
    assert service.post("/admin/train/build_models", b"").json() == {"status": "training started in the background"}
    status = eventually(lambda: (s := service.get("/admin/nlu/status").json())["state"] == "failed" and s, 10)
    assert status and status["version"] == version and name in status["message"]
    assert any(entry["level"] in ("warning", "error") and name in json.dumps(entry) for entry in service.logs())
    assert chat(service, name, f"/{name}") == [f"answer of {name}"]
    assert service.call("DELETE", f"/admin/intents/{made['id']}").json() == SUCCESS
    publish(service)
    assert service.get("/admin/nlu/status").json()["state"] == "ready"


def test_a_build_that_cannot_be_noted_is_not_promised(start, postgres):
    process = start(database=postgres.database())
    assert eventually(lambda: process.get("/admin/nlu/status").status == 200, 5)
    postgres.stop()
    try:
        assert process.post("/admin/train/build_models", {}).status == 503
    finally:
        postgres.start()
    assert eventually(lambda: process.get("/admin/nlu/status").status == 200, 20)
    assert publish(process) == 2


def test_all_processes_follow(start, postgres, folder):
    url = postgres.database()
    first, second = start(database=url), start(database=url, data_dir=folder / "second")
    create(first, "hello")
    assert first.post("/admin/train/build_models", {}).status == 200
    assert eventually(lambda: chat(first, "a", "/hello") == ["answer of hello"], 5)
    assert eventually(lambda: chat(second, "b", "/hello") == ["answer of hello"], 4), "the other process follows"
    assert [item["name"] for item in second.get("/admin/intents").json()][-1] == "hello"
    assert second.post("/admin/bots/default/versions/1/activate").json() == SUCCESS
    assert eventually(lambda: chat(first, "a", "/hello") != ["answer of hello"], 4)


# --- chat logs ----------------------------------------------------------------------------------------------------

def test_chat_logs(service, name):
    assert service.get(f"/admin/chatlogs/{name}").body == b'{"error":"Conversation not found"}'
    for text in ("/cancel", "needle " + name, "/init_conversation"):
        chat(service, name, text)
    listed = service.get("/admin/chatlogs?page=1&limit=1").json()
    assert list(listed) == ["total", "page", "limit", "conversations"]
    assert (listed["page"], listed["limit"], listed["total"] > 1) == (1, 1, True)
    [newest] = listed["conversations"]
    assert list(newest) == ["thread_id", "date"] and newest["thread_id"] == name and newest["date"].endswith("+00:00")
    turns = service.get(f"/admin/chatlogs/{name}").json()
    assert [turn["user_message"]["text"] for turn in turns] == ["/cancel", "needle " + name, "/init_conversation"]
    assert list(turns[0]) == ["user_message", "bot_message", "date", "context"] and turns[0]["bot_message"][0]["text"]
    assert service.get("/admin/chatlogs?start_date=2999-01-01").json()["total"] == 0
    assert service.get("/admin/chatlogs?end_date=2000-01-01T00:00:00Z").json()["conversations"] == []
    assert service.get("/admin/chatlogs?page=1.0&limit=2&limit=3&start_date=0").json()["limit"] == 3

    found = service.get(f"/admin/chatlog-search?q=NEEDLE%20{name}").json()
    assert list(found) == ["items", "next"] and found["next"] is None
    [item] = found["items"]
    assert list(item) == ["thread_id", "version", "date", "text", "intent", "confidence", "channel"]
    assert (item["thread_id"], item["version"], item["text"], item["channel"]) == (name, 2, "needle " + name, "rest")
    first = service.get("/admin/chatlog-search?limit=1").json()
    second = service.get(f"/admin/chatlog-search?limit=1&before={first['next']}").json()
    assert (first["items"][0]["text"], second["items"][0]["text"]) == ("/init_conversation", "needle " + name)
    assert {i["intent"] for i in service.get("/admin/chatlog-search?intent=cancel&min_confidence=0.9").json()["items"]} == {"cancel"}
    assert service.get(f"/admin/chatlog-search?q={name}&channel=facebook").json()["items"] == []
    assert service.get(f"/admin/chatlog-search?q={name}&min_confidence=0.5").json()["items"] == []
    exported = service.get(f"/admin/chatlog-export?q={name}")
    assert exported.headers["Content-Type"].startswith("application/x-ndjson")
    [line] = exported.text.splitlines()
    assert json.loads(line)["thread_id"] == name

    made = create(service, name)
    example = service.post(f"/admin/chatlogs/{name}/2/label", {"intent_id": made["id"]})
    assert example.status == 200 and example.json() == {"text": "needle " + name, "entities": []}
    assert read(service, made["id"])["trainingData"] == [example.json()]
    assert service.post(f"/admin/chatlogs/{name}/2/label", {"intent_id": name}).status == 200, "or the author's id"
    assert read(service, made["id"])["trainingData"] == [example.json()], "once is enough"
    assert service.post(f"/admin/chatlogs/{name}/9/label", {"intent_id": name}).status == 404
    assert service.post(f"/admin/chatlogs/{name}/2/label", {"intent_id": "nothing"}).status == 404
    assert issues(service.post(f"/admin/chatlogs/{name}/2/label", {})) == [("missing", ["body", "intent_id"], MISSING)]

    for _ in range(2):
        assert service.call("DELETE", f"/admin/chatlogs/{name}").status == 204
    assert service.get(f"/admin/chatlogs/{name}").json() == {"error": "Conversation not found"}
    assert service.get(f"/admin/chatlog-search?q={name}").json()["items"] == []


@pytest.mark.parametrize("query, place", [("page=0", "page"), ("limit=0", "limit"), ("limit=1001", "limit"), ("page=x", "page"), ("page=1.5", "page"), ("start_date=soon", "start_date"), ("end_date=2024-13-01", "end_date")])
def test_wrong_queries(service, query, place):
    assert issues(service.get(f"/admin/chatlogs?{query}"))[0][1] == ["query", place]


# --- who may, and who did -----------------------------------------------------------------------------------------

def test_cors(service):
    origin = {"Origin": "https://admin.example"}
    answer = service.get("/admin/intents", origin)
    assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == origin["Origin"] and answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]
    preflight = service.call("OPTIONS", "/admin/intents/", headers=origin | {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,if-match"})
    assert preflight.status in (200, 204) and preflight.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"] and "if-match" in preflight.headers["Access-Control-Allow-Headers"].lower()
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"X-Forwarded-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}):
        refused = service.get("/admin/intents", foreign)
        assert refused.status in (401, 403) and "Access-Control-Allow-Origin" not in refused.headers, foreign


def test_tokens_and_the_login_cookie(start, folder):
    process = start(database=f"sqlite:///{folder}/loquat.db", env={"ADMIN_TOKENS": "ada:topsecret,bob:other-secret"})
    for path in ("/admin/intents", "/admin/bots/default/export", "/admin/chatlogs", "/integrations", "/states"):
        assert process.get(path).status == 401
        assert process.get(path, {"Authorization": "Bearer wrong"}).status == 401
        assert process.get(path, {"Authorization": "Bearer topsecret"}).status == 200
    for path in ("/", "/ready", "/health", "/metrics", "/openapi.json", "/docs", "/static/widget/script.js"):
        assert process.get(path).status == 200, path
    assert process.post(REST, {"thread_id": "t", "text": "hi", "context": {}}).status == 200
    page = process.get("/login?next=/admin/intents")
    assert page.status == 200 and "<form" in page.text
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    wrong = process.post("/login", "token=wrong", kind)
    assert wrong.status == 401 and "Set-Cookie" not in wrong.headers
    entered = process.post("/login", "token=topsecret&next=%2Fadmin%2Fintents", kind)
    assert entered.status == 303 and entered.headers["Location"] == "/admin/intents"
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "topsecret" not in cookie
    session = {"Cookie": cookie.split(";")[0]}
    assert process.get("/admin/intents", session).status == 200
    assert process.post("/admin/intents", body_of("x"), session).status == 200
    assert process.post("/admin/intents", body_of("y"), session | {"Origin": "https://evil.example"}).status in (401, 403)
    assert process.post("/admin/intents", body_of("y"), session | {"Sec-Fetch-Site": "cross-site"}).status in (401, 403)
    assert process.get("/admin/intents", {"Cookie": session["Cookie"][:-2] + "xx"}).status == 401
    assert eventually(lambda: [entry["who"] for entry in audit(process)] == ["ada"], 5)
    assert process.post("/login", "token=topsecret&next=//evil.example/", kind).headers["Location"] == "/"
    assert process.post("/login", "token=topsecret", kind | {"Origin": "https://evil.example"}).status == 403
    assert "topsecret" not in process.output()


def test_every_change_is_one_line(start, database):
    process = start(database=database)
    made = create(process, "x", apiTrigger=True, apiDetails={"url": "http://a.example/", "requestType": "GET", "headers": [{"headerKey": "Authorization", "headerValue": "Bearer hidden1"}]})
    path = f"/admin/intents/{made['id']}"
    steps = [lambda: process.call("PUT", path, body_of("x"), {"X-Request-ID": "my-request"}), lambda: process.post(f"/admin/train/{made['id']}/data", []),
             lambda: process.call("PUT", "/admin/bots/default/config", {"llm_settings": {"api_key": "hidden2"}}), lambda: upload(process, {"entities": [{"name": "e"}]}),
             lambda: process.call("DELETE", path), lambda: process.call("PATCH", "/integrations/chat_widget", {"id": "renamed"}),
             lambda: process.call("DELETE", "/states/nobody"), lambda: process.call("PUT", "/admin/integrations/facebook", {"id": "facebook", "name": "F", "description": "", "settings": {"secret": "hidden3"}}),
             lambda: process.post("/admin/bots/default/versions/1/activate")]
    count = 1
    assert eventually(lambda: len(audit(process)) == count, 5)
    for step in steps:
        assert step().status in (200, 204)
        count += 1
        assert eventually(lambda: len(audit(process)) == count, 5), audit(process)[-2:]
    lines = audit(process)
    assert all(line["who"] and line["what"] and "id" in line and line["request_id"] for line in lines)
    assert lines[1]["request_id"] == "my-request" and lines[1]["id"] == made["id"]
    assert (lines[6]["id"], lines[6]["new_id"]) == ("chat_widget", "renamed") and lines[7]["id"] == "nobody"
    assert process.get("/admin/intents").status == 200 and process.call("PUT", path, body_of("x")).status == 404
    assert len(audit(process)) == count, "reading and failing are no changes"
    assert "hidden" not in process.output()


def test_widget(service):
    answer = service.get("/static/widget/script.js")
    head = service.call("HEAD", "/static/widget/script.js")
    assert (head.status, head.body, head.headers["ETag"], head.headers["Content-Length"]) == (200, b"", answer.headers["ETag"], str(len(answer.body)))
    assert answer.status == 200 and "javascript" in answer.headers["Content-Type"]
    for word in ("iky_base_url", "chat_context", "/bots/channels/rest/webbook", "/init_conversation", "textContent"):
        assert word in answer.text, word
    assert ".innerHTML" not in answer.text


# --- the test chat ------------------------------------------------------------------------------------------------

def test_test_chat(service, name):
    answer = service.post("/admin/test/chat", {"thread_id": name, "text": "/init_conversation", "context": {"username": "Admin"}})
    state = answer.json()
    assert list(state) == ["thread_id", "user_message", "bot_message", "nlu", "context", "intent", "parameters", "extracted_parameters", "missing_parameters", "complete", "current_node", "date"]
    assert state["bot_message"][0]["text"].startswith("Hello Admin") and state["intent"] == {"id": "init_conversation"}
    assert state["nlu"] == {"entities": {}, "intent": {"intent": "init_conversation", "confidence": 1.0}}
    assert (state["current_node"], state["complete"], state["context"]) == ("", True, {"username": "Admin"})
    second = service.post("/admin/test/chat/", {"thread_id": name, "text": "/cancel", "context": {}}).json()
    assert second["current_node"] is None and second["context"] == {"username": "Admin"}


# --- editors and builders at once ---------------------------------------------------------------------------------

def test_two_editors_lose_nothing(service, name):
    made = create(service, name, speechResponse="0")
    path = f"/admin/intents/{made['id']}"

    def add(_):
        for _ in range(200):
            current = service.get(path)
            answer = service.call("PUT", path, body_of(name, speechResponse=str(int(current.json()["speechResponse"]) + 1)), {"If-Match": current.headers["ETag"]})
            assert answer.status in (200, 412)
            if answer.status == 200:
                return

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert read(service, made["id"])["speechResponse"] == "40"


def test_imports_are_seen_whole(service, name):
    """Builds, imports and chats at once: a version holds a file as a whole or not at all."""
    def file(n):
        return {"intents": [intent(f"{name}{which}", str(n)) for which in "ab"]}

    assert upload(service, file(0)).status == 200
    publish(service)

    def edit(n):
        assert upload(service, file(n)).status == 200
        assert service.post("/admin/train/build_models", {}).status == 200

    def look(n):
        exported = {item["name"]: item["speechResponse"] for item in service.get("/admin/bots/default/export").json()["intents"]}
        assert exported[name + "a"] == exported[name + "b"]
        assert chat(service, f"{name}{n}", f"/{name}a")[0].isdigit()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(edit if n % 4 == 0 else look, n) for n in range(1, 41)]:
            future.result()
    publish(service)
    assert eventually(lambda: chat(service, name, f"/{name}a") == chat(service, name, f"/{name}b"), 3)
