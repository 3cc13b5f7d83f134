"""The integrations service from outside: every row of its contract on SQLite, PostgreSQL, MongoDB, in memory, and through another process."""
import concurrent.futures
import json
import pathlib
import shutil
import time
import sqlite3

import pytest

from support.processes import Loquat, eventually, serve_store, sqlite_sql, temporary_folder

MASK = "•" * 8
TOKEN = {"Authorization": "Bearer service-token"}
NOT_FOUND = {"detail": "Integration not found"}
FACEBOOK = {"id": "facebook", "name": "Facebook Messenger", "description": "Connect with Facebook Messenger", "status": False,
            "settings": {"verify": "ai-chatbot-framework", "secret": "", "page_access_token": ""}}
WIDGET = {"id": "chat_widget", "name": "Chat Widget", "description": "Add a chat widget to your website", "status": True, "settings": {}}
MISSING, TEXT = "Field required", "Input should be a valid string"


def store_env(kind, request, folder):
    if kind == "mongodb":
        return {"MONGODB_URI": request.getfixturevalue("mongo").uri()}
    if kind == "postgres":
        return {"DATABASE_URL": request.getfixturevalue("postgres").database()}
    return {"DATABASE_URL": {"sqlite": f"sqlite:///{folder}/loquat.db", "memory": "memory://"}[kind]}


@pytest.fixture(scope="module", params=["sqlite", "postgres", "memory", "mongodb", "other process"])
def service(request):
    """`serve integrations`, alone, with the old variables; or the whole product whose integrations are in such a process."""
    folder = pathlib.Path(temporary_folder())
    for process in serve_store("integrations", "INTEGRATIONS_URL", None if request.param == "other process" else store_env(request.param, request, folder)):
        process.names = (f"id{n}" for n in range(10_000))
        yield process
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def name(service):
    return next(service.names)


def new(identity, **members):
    return {"id": identity, "name": "N", "description": "D"} | members


def create(service, identity, **members):
    answer = service.post("/integrations", new(identity, **members))
    assert answer.status == 201, answer
    return answer


def clear(service, identity):
    """As another process of the installation sees it."""
    return service.get(f"/integrations/{identity}", TOKEN).json()


def issues(answer):
    assert answer.status == 422, answer
    return [(issue["type"], issue["loc"], issue["msg"]) for issue in answer.json()["detail"]]


# --- the rows of the contract -------------------------------------------------------------------------------------

def test_defaults_come_first(service):
    assert eventually(lambda: len(service.get("/integrations").json()) >= 2, 5)
    assert service.get("/integrations").json()[:2] == [FACEBOOK, WIDGET]
    assert service.get("/integrations/facebook").body == json.dumps(FACEBOOK, separators=(",", ":")).encode()


@pytest.mark.parametrize("root", ["/integrations", "/integrations/", "/admin/integrations", "/admin/integrations/"])
def test_all_four_spellings(service, root, name):
    made = service.post(root, new(name))
    assert made.status == 201 and made.json() == {"id": name, "name": "N", "description": "D", "status": False, "settings": {}}
    path = root.rstrip("/") + "/" + name + root[len(root.rstrip("/")):]
    assert service.get(path).json() == made.json() and service.get(root).json()[-1] == made.json()
    assert service.call("PATCH", path, {"status": True}).json()["status"] is True
    assert service.call("PUT", path, new(name, name="M")).json()["name"] == "M"
    assert service.post(root.rstrip("/") + "/ensure-defaults").json() == {"created": []}
    gone = service.call("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    for answer in (service.get(path), service.call("DELETE", path), service.call("PATCH", path, {}), service.call("PUT", path, new(name))):
        assert answer.status == 404 and answer.json() == NOT_FOUND


@pytest.mark.parametrize("dots", [".", ".."])
def test_ids_that_look_like_folders(service, dots):
    create(service, dots)
    path = "/integrations/" + dots.replace(".", "%2E")
    assert service.get(path).json()["id"] == dots
    assert service.call("PATCH", path, {"status": True}).json()["status"] is True
    assert service.call("PUT", path, new(dots, name="M")).json()["name"] == "M"
    assert service.call("DELETE", path).status == 204
    assert service.get(path).status == 404 and service.call("PATCH", path, {}).status == 404


def test_order_of_creation(service):
    names = [next(service.names) + suffix for suffix in ("z", "a", "m")]
    for each in names:
        create(service, each)
    service.call("PATCH", f"/integrations/{names[0]}", {"name": "changed"})
    assert [item["id"] for item in service.get("/integrations").json()][-3:] == names


def test_taken_ids(service, name):
    create(service, name)
    assert service.post("/integrations", new(name)).status == 409
    assert service.call("PATCH", f"/integrations/{name}", {"id": "facebook"}).status == 409
    assert service.call("PUT", "/integrations/chat_widget", new(name)).status == 409
    assert service.get("/integrations/chat_widget").json() == WIDGET


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_renaming(service, name, method):
    create(service, name, settings={"secret": "s"})
    answer = service.call(method, f"/integrations/{name}", new(name + "r"))
    assert answer.status == 200 and answer.json() == new(name + "r", status=False, settings={"secret": MASK})
    assert service.get(f"/integrations/{name}").status == 404 and clear(service, name + "r")["settings"] == {"secret": "s"}
    assert service.call(method, f"/integrations/{name}r", new(name + "r")).status == 200, "its own id is not taken"


def test_only_what_is_sent_changes(service, name):
    create(service, name, status=True, settings={"a": {"b": 1, "c": 2}, "d": [1]})
    path = f"/integrations/{name}"
    assert service.call("PATCH", path, {}).json() == new(name, status=True, settings={"a": {"b": 1, "c": 2}, "d": [1]})
    assert service.call("PATCH", path, {"description": "", "unknown": 1}).json()["description"] == ""
    assert service.call("PUT", path, new(name)).json() == new(name, status=True, settings={"a": {"b": 1, "c": 2}, "d": [1]}), "PUT too: settings and status stay"
    assert service.call("PATCH", path, {"settings": {"a": {"b": 9}}}).json()["settings"] == {"a": {"b": 9}}, "replaced whole"
    assert service.call("PUT", path, new(name, settings={"x": {"y": None, "z": 1}})).json()["settings"] == {"x": {"y": None, "z": 1}}
    merged = service.call("PATCH", path, json.dumps({"settings": {"x": {"z": None, "n": 2}, "more": True}}), {"Content-Type": "application/merge-patch+json"})
    assert merged.json()["settings"] == {"x": {"y": None, "n": 2}, "more": True}
    assert service.call("PATCH", path, {"settings": None}).json()["settings"] == {}


@pytest.mark.parametrize("settings", [None, {}, {"ä": "😀", "n": 1.5, "big": 9007199254740993, "list": [None, True, {"x": []}], "": ""}, {"z": 1, "a": 2, "m": {"b": 1, "a": 2}}])
def test_settings_of_any_form(service, name, settings):
    made = create(service, name, settings=settings)
    assert made.json()["settings"] == (settings or {})
    assert list(service.get(f"/integrations/{name}").json()["settings"]) == list(settings or {})


def test_settings_have_a_depth(service, name):
    def nested(levels):
        return json.dumps(new(name))[:-1] + ', "settings": ' + '{"a":' * levels + "1" + "}" * (levels + 1)

    for levels in (95, 1000, 100_000):
        assert service.post("/integrations", nested(levels).encode()).status in (400, 422), "refused by the parser or by the rule"
    made = service.post("/integrations", nested(30).encode())
    assert made.status == 201 and service.get(f"/integrations/{name}").text.endswith('{"a":' * 30 + "1" + "}" * 31)


@pytest.mark.parametrize("method, body, expected", [
    ("POST", {}, [("missing", ["body", "id"], MISSING), ("missing", ["body", "name"], MISSING), ("missing", ["body", "description"], MISSING)]),
    ("PUT", {"status": True}, [("missing", ["body", "id"], MISSING), ("missing", ["body", "name"], MISSING), ("missing", ["body", "description"], MISSING)]),
    ("PATCH", {"name": None, "description": None, "status": None, "id": None}, None),
    ("PATCH", {"name": 1}, [("string_type", ["body", "name"], TEXT)]),
    ("PUT", new("x", name=None), [("string_type", ["body", "name"], TEXT)]),
    ("POST", new("x", status="perhaps"), [("bool_parsing", ["body", "status"], "Input should be a valid boolean, unable to interpret input")]),
    ("POST", new("x", status=None), [("bool_type", ["body", "status"], "Input should be a valid boolean")]),
    ("POST", new("x", settings=[]), [("dict_type", ["body", "settings"], "Input should be a valid dictionary")]),
    ("PATCH", {"settings": "x"}, [("dict_type", ["body", "settings"], "Input should be a valid dictionary")]),
    ("POST", new("ensure-defaults"), None), ("PATCH", {"id": "ensure-defaults"}, None), ("POST", new(""), None), ("POST", [], None), ("POST", b"{bad", None), ("POST", b"", None),
])
def test_wrong_bodies(service, method, body, expected):
    answer = service.call(method, "/integrations" + ("" if method == "POST" else "/facebook"), body, {"Content-Type": "application/json"})
    found = issues(answer)
    assert expected is None or found == expected
    assert service.get("/integrations/facebook").json() == FACEBOOK


@pytest.mark.parametrize("value, status", [("yes", True), ("OFF", False), (1, True), ("0", False), ("t", True)])
def test_booleans_as_pydantic_takes_them(service, name, value, status):
    assert create(service, name, status=value).json()["status"] is status


def test_wrong_methods(service):
    for method, path, allow in (("PUT", "/integrations", {"GET", "POST"}), ("POST", "/integrations/facebook", {"GET", "PUT", "PATCH", "DELETE"}), ("DELETE", "/integrations", {"GET", "POST"})):
        answer = service.call(method, path, {})
        assert answer.status == 405 and answer.json() == {"detail": "Method Not Allowed"} and allow <= set(answer.headers["Allow"].split(", "))


def test_ensure_defaults(service):
    changed = service.call("PATCH", "/integrations/facebook", {"name": "Mine"})
    assert changed.status == 200
    assert service.post("/integrations/ensure-defaults").body == b'{"created":[]}'
    assert service.get("/integrations/facebook").json()["name"] == "Mine", "never touches one that exists"
    service.call("DELETE", "/integrations/facebook")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.post("/integrations/ensure-defaults"), range(16)))
    assert {answer.status for answer in answers} == {200}
    assert sum((answer.json()["created"] for answer in answers), []) == ["facebook"]
    assert service.get("/integrations/facebook").json() == FACEBOOK
    assert [item["id"] for item in service.get("/integrations").json()].count("facebook") == 1


# --- lost updates -------------------------------------------------------------------------------------------------

def test_etags(service, name):
    tag = create(service, name).headers["ETag"]
    path = f"/integrations/{name}"
    assert service.get(path).headers["ETag"] == tag
    after = service.call("PATCH", path, {"name": "1"}, {"If-Match": tag}).headers["ETag"]
    assert after != tag
    for wrong in (tag, "W/" + after, "nonsense", '"77"'):
        for answer in (service.call("PATCH", path, {"name": "2"}, {"If-Match": wrong}), service.call("PUT", path, new(name), {"If-Match": wrong}), service.call("DELETE", path, None, {"If-Match": wrong})):
            assert answer.status == 412, wrong
    assert service.get(path).json()["name"] == "1"
    assert service.call("PATCH", path, {"name": "3"}, {"If-Match": f'"99", {after}'}).status == 200
    assert service.call("PATCH", path, {"name": "4"}, {"If-Match": "*"}).status == 200
    assert service.call("PATCH", path, {"name": "5"}).status == 200
    assert service.call("DELETE", path, None, {"If-Match": service.get(path).headers["ETag"]}).status == 204


def test_no_update_is_lost(service, name):
    create(service, name, settings={"n": 0})
    path = f"/integrations/{name}"

    def add(_):
        while True:
            current = service.get(path)
            done = service.call("PATCH", path, {"settings": {"n": current.json()["settings"]["n"] + 1}}, {"If-Match": current.headers["ETag"]})
            assert done.status in (200, 412), done
            if done.status == 200:
                return

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(32)))
    assert service.get(path).json()["settings"] == {"n": 32}


# --- secrets ------------------------------------------------------------------------------------------------------

SECRETS = {"secret": "s1", "page_access_token": "s2", "app_secret": "s3", "db_password_2": "s4", "my_api_key": "s5", "verify": "open", "name": "open", "empty_token": "",
           "pages": [{"page_id": "1", "page_access_token": "p1"}, {"page_id": "2", "page_access_token": "p2"}], "deep": {"x": {"password": "s6"}}}


def test_secrets_are_masked(service, name):
    made = create(service, name, settings=SECRETS)
    seen = made.json()["settings"]
    for key in ("secret", "page_access_token", "app_secret", "db_password_2", "my_api_key"):
        assert seen[key] == MASK
    assert (seen["verify"], seen["name"], seen["empty_token"]) == ("open", "open", "")
    assert [page["page_access_token"] for page in seen["pages"]] == [MASK, MASK] and seen["deep"]["x"]["password"] == MASK
    for answer in (service.get(f"/integrations/{name}"), service.get("/integrations"), service.get("/admin/integrations"), service.call("PATCH", f"/integrations/{name}", {})):
        assert not any(f'"{value}"' in answer.text for value in ("s1", "s2", "s3", "s4", "s5", "s6", "p1", "p2"))
    assert clear(service, name)["settings"] == SECRETS
    assert [item["settings"] for item in service.get("/integrations", TOKEN).json() if item["id"] == name] == [SECRETS]


def test_masks_that_come_back(service, name):
    create(service, name, settings=SECRETS)
    path = f"/integrations/{name}"
    seen = service.get(path).json()
    seen["settings"]["pages"].reverse()
    seen["settings"]["verify"] = "changed"
    assert service.call("PUT", path, seen).status == 200
    stored = clear(service, name)["settings"]
    assert stored == SECRETS | {"verify": "changed", "pages": list(reversed(SECRETS["pages"]))}, "pages are matched by page_id"
    for broken in (MASK + "x", "•", MASK[:-1], "a" + MASK):
        assert service.call("PATCH", path, {"name": "no", "settings": {"secret": broken}}).status == 422
    assert clear(service, name)["settings"] == stored and clear(service, name)["name"] == "N"
    assert service.call("PATCH", path, {"settings": seen["settings"] | {"secret": "new", "app_secret": ""}}).status == 200
    after = clear(service, name)["settings"]
    assert (after["secret"], after["app_secret"], after["page_access_token"]) == ("new", "", "s2")


def test_masks_of_items_that_look_alike(service, name):
    settings = {"x": [{"name": "n", "api_key": "1"}, {"name": "n", "api_key": "2"}], "pages": [{"page_id": "1", "page_access_token": "a"}, {"page_id": "1", "page_access_token": "b"}]}
    create(service, name, settings=settings)
    path = f"/integrations/{name}"
    seen = service.get(path).json()
    assert service.call("PUT", path, seen).status == 200 and clear(service, name)["settings"] == settings
    for key in ("x", "pages"):
        assert service.call("PATCH", path, {"settings": {key: seen["settings"][key][1:]}}).status == 422
    assert clear(service, name)["settings"] == settings


def test_logs_hold_no_secret(service, name):
    create(service, name, settings={"secret": "do-not-log"})
    service.call("PATCH", f"/integrations/{name}", {"settings": {"secret": "do-not-log-2"}})
    service.call("DELETE", f"/integrations/{name}")
    assert "do-not-log" not in service.output()


# --- the process alone --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mongodb"])
def test_a_restart_keeps_all(start, request, folder, kind):
    process = start("integrations", env=store_env(kind, request, folder))
    create(process, "mine", settings={"b": 1, "a": 2})
    process.call("DELETE", "/integrations/chat_widget")
    before = process.get("/integrations").body
    process.stop()
    time.sleep(1.1 if kind == "mongodb" else 0)  # within a second the ObjectIds of two processes have no order
    process.start()
    after = process.get("/integrations")
    assert after.json()[: len(json.loads(before))] == json.loads(before)
    assert eventually(lambda: [item["id"] for item in process.get("/integrations").json()] == ["facebook", "mine", "chat_widget"], 5), "defaults at every start"
    assert process.get("/states").status == process.get("/admin/intents").status == 404
    checks = process.get("/readiness").json()
    assert checks["status"] == "ready" and set(checks["checks"].values()) == {"ok"}


def test_memory_forgets(start):
    process = start("integrations", env={"DATABASE_URL": "memory://"})
    create(process, "mine")
    process.stop()
    process.start()
    assert process.get("/integrations").json() == [FACEBOOK, WIDGET]
    assert not (process.folder / "data/loquat.db").exists()


def test_old_mongodb_documents(start, mongo):
    pymongo = pytest.importorskip("pymongo")
    uri = mongo.uri()
    client = pymongo.MongoClient(uri)
    client.get_default_database()["integrations"].insert_one({"id": "old", "name": "Old", "description": "", "status": True, "settings": {"verify": "x"}, "extra": 1})
    process = start("integrations", env={"MONGODB_URI": uri})
    assert process.get("/integrations/old").json() == {"id": "old", "name": "Old", "description": "", "status": True, "settings": {"verify": "x"}}


PEER = ("CREATE TABLE integrations(id text PRIMARY KEY, name text NOT NULL, description text NOT NULL, status boolean NOT NULL DEFAULT false, settings {json});"
        "INSERT INTO integrations VALUES('facebook','Facebook Messenger','Connect with Facebook Messenger',{true},'{{\"verify\":\"v\",\"secret\":\"s\",\"page_access_token\":\"t\"}}'),"
        "('chat_widget','Chat Widget','Add a chat widget to your website',{true},NULL),('own','Own','',{false},'{{}}')")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_older_table_is_adopted(start, request, folder, kind):
    env = store_env(kind, request, folder)
    if kind == "sqlite":
        for statement in PEER.format(json="text", true=1, false=0).split(";"):
            sqlite_run(folder / "loquat.db", statement)
    else:
        request.getfixturevalue("postgres").sql(PEER.format(json="jsonb", true="true", false="false"), env["DATABASE_URL"])
    process = start("integrations", env=env | {"SERVICE_TOKEN": "service-token"})
    assert process.get("/integrations", TOKEN).json() == [FACEBOOK | {"status": True, "settings": {"verify": "v", "secret": "s", "page_access_token": "t"}}, WIDGET,
                                                          {"id": "own", "name": "Own", "description": "", "status": False, "settings": {}}]
    assert process.call("PATCH", "/integrations/own", {"settings": {"z": 1, "a": [2]}}).status == 200
    assert list(process.get("/integrations/own").json()["settings"]) == ["z", "a"], "the order of members stays"
    assert create(process, "next").status == 201


def sqlite_run(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_secrets_at_rest(start, request, folder, kind):
    env = store_env(kind, request, folder)
    old, new_key = "A" * 43 + "=", "B" * 42 + "A="
    process = start("integrations", env=env | {"SECRETS_KEY": old, "SERVICE_TOKEN": "service-token"})
    create(process, "mine", settings={"secret": "in-the-clear", "verify": "seen"})

    def stored():
        text = "SELECT settings FROM integrations WHERE id = 'mine'"
        return sqlite_sql(folder / "loquat.db", text)[0][0] if kind == "sqlite" else request.getfixturevalue("postgres").sql(text, env["DATABASE_URL"])

    first = stored()
    assert "in-the-clear" not in first and "seen" in first
    process.stop()
    process.env["SECRETS_KEY"] = f"{new_key},{old}"
    assert process.run("rotate-secrets").returncode == 0
    assert stored() != first
    process.env["SECRETS_KEY"] = new_key
    process.start()
    assert clear(process, "mine")["settings"] == {"secret": "in-the-clear", "verify": "seen"}
    process.stop()
    process.env["SECRETS_KEY"] = "C" * 42 + "A="  # the right one is lost
    process.start()
    for path in ("/integrations", "/integrations/mine"):
        told = process.get(path)
        assert told.status == 503 and "the integration mine cannot be opened" in told.json()["detail"], told
    assert process.get("/integrations/facebook").status == 200
    assert process.call("DELETE", "/integrations/mine").status == 204, "what no key opens can be deleted"
    assert process.get("/integrations").status == 200


def test_a_change_reaches_the_messenger(start, postgres, folder, graph):
    """Another process, its own connection: within two seconds, without a restart."""
    url = postgres.database()
    admin = start("integrations", database=url)
    messenger = start("messenger", database=url, data_dir=folder / "second", env={"GRAPH_API_URL": graph.url})
    verify = "/webhook?hub.mode=subscribe&hub.verify_token={}&hub.challenge=1"
    assert messenger.get(verify.format("first")).status == 404, "disabled"
    for word in ("first", "second"):
        assert admin.call("PATCH", "/integrations/facebook", {"status": True, "settings": {"verify": word, "secret": "s", "page_access_token": "t"}}).status == 200
        assert eventually(lambda: messenger.get(verify.format(word)).status == 200, 4)
    assert messenger.get(verify.format("first")).status == 403
    assert admin.call("PATCH", "/integrations/facebook", {"status": False}).status == 200
    assert eventually(lambda: messenger.get(verify.format("second")).status == 404, 4)


def test_another_process_away(start, folder):
    own = start("integrations", env={"DATABASE_URL": f"sqlite:///{folder}/i.db", "SERVICE_TOKEN": "t"})
    whole = start(env={"DATABASE_URL": f"sqlite:///{folder}/own.db", "INTEGRATIONS_URL": own.url, "SERVICE_TOKEN": "t"}, data_dir=folder / "own")
    assert whole.get("/readiness").json()["checks"]["integrations"] == "ok"
    own.stop()
    assert eventually(lambda: whole.get("/readiness").status == 503, 10)
    assert whole.get("/integrations/facebook").status == 503 and whole.get("/health").status == 200
    own.start()
    assert eventually(lambda: whole.get("/readiness").status == 200, 10)
    assert whole.get("/integrations/facebook").json() == FACEBOOK
    wrong = start(env={"DATABASE_URL": f"sqlite:///{folder}/w.db", "INTEGRATIONS_URL": own.url, "SERVICE_TOKEN": "wrong"}, data_dir=folder / "w", ready=False)
    assert eventually(lambda: answers(wrong), 20)
    assert wrong.get("/integrations").status == 503, "the token is not that of the installation"
    assert eventually(lambda: wrong.get("/readiness").status == 503, 10), "nor can anything be done without"
    told = eventually(lambda: [entry for entry in wrong.logs() if "integrations cannot be read" in entry["message"]], 10)
    assert "SERVICE_TOKEN" in told[0]["detail"] and "no page is served" in told[0]["message"]


def answers(process):
    try:
        return process.get("/health").status == 200
    except OSError:
        return False
