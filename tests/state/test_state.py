"""The state service from outside: every row of its contract on SQLite, PostgreSQL, MongoDB, in memory, and through another process; and what
databases do to it: older tables, restarts, hanging."""
import concurrent.futures
import datetime
import json
import pathlib
import shutil
import signal
import socket
import sqlite3
import threading
import time
import urllib.parse
import uuid

import pytest

from support.processes import Loquat, Postgres, eventually, free_port, serve_store, sqlite_sql, temporary_folder

MEMBERS = ["thread_id", "user_message", "bot_message", "nlu", "context", "intent", "parameters", "extracted_parameters", "missing_parameters", "complete", "current_node", "date"]
EMPTY = {"user_message": None, "bot_message": None, "nlu": {}, "context": {}, "intent": {}, "parameters": [], "extracted_parameters": {}, "missing_parameters": [], "complete": False,
         "current_node": ""}
NOT_FOUND = {"detail": "State not found"}
MISSING, TEXT = "Field required", "Input should be a valid string"


def store_env(kind, request, folder):
    """The variables of the old state service."""
    if kind == "mongodb":
        return {"STATE_URL": request.getfixturevalue("mongo").uri()}
    if kind == "postgres":
        return {"DB_URL": request.getfixturevalue("postgres").database(), "DB_POOL_SIZE": "5"}
    return {"DB_URL": {"sqlite": f"sqlite:///{folder}/loquat.db", "memory": "memory://"}[kind]}


@pytest.fixture(scope="module", params=["sqlite", "postgres", "memory", "mongodb", "other process"])
def service(request):
    """`serve state`, alone; or the whole product whose states are in such a process."""
    folder = pathlib.Path(temporary_folder())
    for process in serve_store("state", "STATE_URL", None if request.param == "other process" else store_env(request.param, request, folder)):
        process.people = (f"person{n}" for n in range(100_000))
        yield process
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def person(service):
    return next(service.people)


def append(service, thread, headers=None, query="", **members):
    return service.post("/states" + query, {"thread_id": thread} | members, headers)


def issues(answer):
    assert answer.status == 422, answer
    return [(issue["type"], issue["loc"], issue["msg"]) for issue in answer.json()["detail"]]


# --- appending and reading ----------------------------------------------------------------------------------------

FULL = {"user_message": {"thread_id": "t", "text": "ä 😀 \u0001", "channel": "facebook", "context": {"b": 1, "a": [1.0, None]}}, "bot_message": [{"text": "x"}, {"text": "", "buttons": []}],
        "nlu": {"z": 1, "a": {"intent": None}}, "context": {"y": 1.50, "x": 10000000000000000, "": ""}, "intent": {"id": "order"}, "parameters": [{"name": "p", "type": "t", "required": True}],
        "extracted_parameters": {"p": "v"}, "missing_parameters": ["q"], "complete": True, "current_node": "q", "date": "2024-05-06T07:08:09.123456+02:00"}


def test_a_whole_state(service, person):
    answer = append(service, person, **FULL, unknown=1)
    made = answer.json()
    assert answer.status == 201 and answer.headers["ETag"] == '"1"'
    assert list(made) == MEMBERS + ["version", "message_id"] and (made["version"], made["thread_id"]) == (1, person)
    when = datetime.datetime.fromisoformat(made.pop("date"))
    assert when == datetime.datetime.fromisoformat(FULL["date"]) and when.utcoffset() is not None
    assert {key: made[key] for key in FULL if key != "date"} == {key: value for key, value in FULL.items() if key != "date"}
    got = service.get(f"/states/{person}")
    assert (got.status, got.body, got.headers["ETag"]) == (200, answer.body, '"1"')
    assert service.get(f"/states/{person}/").body == answer.body
    assert '"context":{"b":1,"a":[1.0,null]}' in got.text and '"nlu":{"z":1,"a":{"intent":null}}' in got.text, "order and numbers stay"


def test_defaults(service, person):
    for body in ({}, {"context": None, "intent": None, "parameters": None, "extracted_parameters": None, "missing_parameters": None}):
        made = append(service, person, **body).json()
        assert {key: made[key] for key in EMPTY} == EMPTY
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(made["date"])
        assert abs(age) < datetime.timedelta(minutes=1)
    assert append(service, person, current_node=None).json()["current_node"] is None


@pytest.mark.parametrize("message", [None, "just text", 5, [1, {"b": 1, "a": 2}], {"odd": True}, {"text": None}, True])
def test_user_messages_of_any_form(service, person, message):
    assert append(service, person, user_message=message).json()["user_message"] == message
    assert service.get(f"/states/{person}").json()["user_message"] == message


@pytest.mark.parametrize("node", ["a\0b", "\x01", "ä"])
def test_any_node(service, person, node):
    answer = append(service, person, current_node=node)
    assert answer.status == 201 and answer.json()["current_node"] == node
    assert service.get(f"/states/{person}").json()["current_node"] == node


def test_put_is_the_same(service, person):
    answer = service.call("PUT", f"/states/{person}", {"complete": True})
    assert (answer.status, answer.json()["version"], answer.json()["thread_id"]) == (201, 1, person)
    assert service.call("PUT", f"/states/{person}/", {"thread_id": "another", "context": {"a": 1}}).json()["thread_id"] == person
    assert service.get(f"/states/{person}").json()["version"] == 2
    assert service.get("/states/another").status == 404


def test_init_stores_nothing(service, person):
    answer = service.post(f"/states/{person}/init")
    fresh = answer.json()
    assert answer.status == 200 and {key: fresh[key] for key in EMPTY} == EMPTY and fresh["thread_id"] == person
    assert service.get(f"/states/{person}").status == 404
    append(service, person, context={"a": 1})
    assert service.post(f"/states/{person}/init").json()["context"] == {}
    assert service.get(f"/states/{person}").json()["context"] == {"a": 1}


@pytest.mark.parametrize("thread", ["7012345678901234", "a/b", "ä 😀", "..", "a?b#c", "%41", "x" * 300])
def test_any_thread_id(service, thread):
    path = "/states/" + urllib.parse.quote(thread, safe="")
    if thread == "..":
        path = "/states/%2E%2E"
    made = append(service, thread)
    assert made.status == 201, made
    got = service.get(path)
    assert got.status == 200 and got.json()["thread_id"] == thread
    assert service.call("DELETE", path).status == 204 and service.get(path).status == 404


@pytest.mark.parametrize("body, expected", [
    ({}, [("missing", ["body", "thread_id"], MISSING)]), ({"thread_id": 1}, [("string_type", ["body", "thread_id"], TEXT)]), ({"thread_id": None}, [("string_type", ["body", "thread_id"], TEXT)]),
    ({"thread_id": "w", "date": "soon"}, None), ({"thread_id": "w", "date": "9999-12-31T23:59:59-01:00"}, [("datetime_parsing", ["body", "date"], "Input should be a valid datetime, year 10000 is out of range")]),
    ({"thread_id": "w", "date": "0001-01-01T00:00:00+14:00"}, [("datetime_parsing", ["body", "date"], "Input should be a valid datetime, year 0 is out of range")]), ({"thread_id": "w", "complete": "perhaps"}, None), ({"thread_id": "w", "context": []}, None), ([], None), ("x", None), (b"{bad", None), (b"", None),
])
def test_wrong_bodies(service, body, expected):
    answer = service.post("/states", json.dumps(body) if isinstance(body, str) else body, {"Content-Type": "application/json"})
    found = issues(answer)
    assert expected is None or found == expected
    assert service.get("/states/w").status == 404


# --- versions and keys --------------------------------------------------------------------------------------------

def test_if_match_and_expected_version(service, person):
    assert append(service, person, {"If-Match": '"1"'}).status == 412
    assert append(service, person, query="?expected_version=1").status == 409
    assert append(service, person, query="?expected_version=0").status == 201
    assert append(service, person, query="?expected_version=0").status == 409
    assert append(service, person, {"If-Match": '"1"'}).headers["ETag"] == '"2"'
    assert append(service, person, {"If-Match": '"1"'}).status == 412
    assert append(service, person, {"If-Match": "nonsense"}).status == 412
    assert append(service, person, {"If-Match": '"9", "2"'}).status == 201
    assert append(service, person, {"If-Match": "*"}).status == 201
    assert append(service, person).headers["ETag"] == '"5"'
    assert append(service, person, query="?expected_version=x").status == 422
    assert service.call("PUT", f"/states/{person}?expected_version=4", {}).status == 409


def test_message_ids(service, person):
    first = append(service, person, message_id="m1", context={"n": 1})
    assert first.status == 201 and first.json()["message_id"]
    append(service, person, context={"n": 2})
    again = append(service, person, message_id="m1", context={"n": 3})
    assert (again.status, again.body) == (200, first.body)
    assert append(service, person, {"Idempotency-Key": "m1"}).body == first.body
    assert append(service, person, {"If-Match": '"99"'}, message_id="m1").status == 200, "a repetition is known before anything else"
    assert append(service, person, message_id="m1", query="?expected_version=99").status == 200
    key = append(service, person, {"Idempotency-Key": "k 1"})
    assert (key.status, key.json()["version"]) == (201, 3) and append(service, person, message_id="k 1").body == key.body
    assert append(service, person + "b", message_id="m1").status == 201, "another thread's is another"
    assert service.get(f"/states/{person}").json()["version"] == 3
    digits = uuid.uuid4().hex
    one, two = append(service, person, message_id=digits), append(service, person + "b", {"Idempotency-Key": digits})
    assert (one.status, two.status) == (201, 201) and one.json()["message_id"] == digits, "of 32 hex digits, too"
    assert append(service, person, message_id=digits).body == one.body and append(service, person + "b", message_id=digits).body == two.body
    assert append(service, person + "b", message_id=two.json()["message_id"]).body == two.body, "as the answer showed it"


def test_appends_at_once_all_count(service, person):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: append(service, person, context={"n": n}), range(48)))
    assert [answer.status for answer in answers] == [201] * 48
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 49))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: append(service, person, {"If-Match": '"48"'}), range(12)))
    assert sorted(answer.status for answer in answers) == [201] + [412] * 11
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: append(service, person, message_id="one"), range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201] and len({answer.body for answer in answers}) == 1


# --- lists --------------------------------------------------------------------------------------------------------

def test_history(service, person):
    assert service.get(f"/states/{person}/history").json() == {"items": [], "next": None}
    for n in range(7):
        append(service, person, context={"n": n})
    seen, query, pages = [], "?limit=3", 0
    while query:
        page = service.get(f"/states/{person}/history{query}").json()
        assert list(page) == ["items", "next"]
        seen += page["items"]
        pages += 1
        query = f"?limit=3&before={page['next']}" if page["next"] else None
    assert [item["context"]["n"] for item in seen] == [6, 5, 4, 3, 2, 1, 0] and pages == 3
    assert [item["version"] for item in seen] == [7, 6, 5, 4, 3, 2, 1] and list(seen[0]) == MEMBERS + ["version", "message_id"]
    cursor = service.get(f"/states/{person}/history?limit=2").json()["next"]
    append(service, person, context={"n": 7})
    assert service.get(f"/states/{person}/history?limit=1&before={cursor}").json()["items"][0]["context"]["n"] == 4, "a cursor holds while others write"
    for wrong in ("limit=0", "limit=1001", "limit=x"):
        assert service.get(f"/states/{person}/history?{wrong}").status == 422
    assert service.get(f"/states/{person}/history?before=nonsense").status == 422


def test_threads(service):
    people = [next(service.people) for _ in range(5)]
    for n, each in enumerate(people):
        append(service, each, date=f"2001-01-0{n + 1}T00:00:00+00:00")
    window = "start_date=2001-01-01T00:00:00Z&end_date=2001-02-01"
    page = service.get(f"/states?{window}&page=1&limit=2").json()
    assert list(page) == ["total", "page", "limit", "items"] and (page["total"], page["page"], page["limit"]) == (5, 1, 2)
    assert [list(item) for item in page["items"]] == [["thread_id", "date", "version"]] * 2
    assert [item["thread_id"] for item in page["items"]] == [people[4], people[3]]
    assert [item["thread_id"] for item in service.get(f"/states/?{window}&page=3&limit=2").json()["items"]] == [people[0]]
    assert service.get(f"/states?{window}&page=9&limit=2").json()["items"] == []
    assert service.get("/states?start_date=2001-01-02T00:00:00Z&end_date=2001-01-03T12:00:00Z").json()["total"] == 2
    for wrong in ("page=0", "limit=0", "limit=1001", "start_date=x", "end_date=9999-12-31T23:59:59-01:00"):
        assert service.get(f"/states?{wrong}").status == 422


def test_conversations_with_one_id(service, person):
    append(service, person, channel="facebook", account="1", context={"n": 1})
    append(service, person, channel="facebook", account="2", context={"n": 2})
    append(service, person, user_message={"thread_id": person, "text": "x", "channel": "rest", "context": {}}, context={"n": 3})
    assert service.get(f"/states/{person}").json()["context"] == {"n": 3}, "the one written last"
    for query, n in (("?channel=facebook&account=1", 1), ("?channel=facebook&account=2", 2), ("?channel=facebook", 2), ("?channel=rest", 3)):
        got = service.get(f"/states/{person}{query}").json()
        assert (got["context"], got["version"]) == ({"n": n}, 1), query
        assert len(service.get(f"/states/{person}/history{query}").json()["items"]) == 1
    assert service.get(f"/states/{person}?channel=sms").status == 404


def test_erasing(service, person):
    assert service.call("DELETE", f"/states/{person}").status == 204, "also when there is none"
    for n in range(3):
        append(service, person, message_id=f"m{n}", context={"secret": "words"})
    gone = service.call("DELETE", f"/states/{person}")
    assert (gone.status, gone.body) == (204, b"")
    answer = service.get(f"/states/{person}")
    assert answer.status == 404 and list(answer.json()) == ["detail"]
    assert service.get(f"/states/{person}/history").json()["items"] == []
    assert person not in [item["thread_id"] for item in service.get("/states?limit=1000").json()["items"]]
    fresh = append(service, person)
    assert fresh.status == 201 and fresh.json()["context"] == {}
    assert len(service.get(f"/states/{person}/history").json()["items"]) == 1


def test_wrong_methods(service):
    for method, path in (("PATCH", "/states"), ("POST", "/states/t"), ("GET", "/states/t/init"), ("POST", "/states/t/history")):
        answer = service.call(method, path, {} if method != "GET" else None)
        assert answer.status == 405 and answer.json() == {"detail": "Method Not Allowed"} and answer.headers["Allow"]


# --- restarts, older tables, migrations ---------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mongodb"])
def test_a_restart_keeps_all(start, request, folder, kind):
    process = start("state", env=store_env(kind, request, folder))
    before = [append(process, "t", context={"n": n}).body for n in range(3)][-1]
    process.kill()
    process.start()
    assert process.get("/states/t").body == before
    assert append(process, "t").json()["version"] == 4
    assert process.get("/integrations").status == process.get("/admin/intents").status == 404
    checks = process.get("/readiness").json()
    assert checks["status"] == "ready" and set(checks["checks"].values()) == {"ok"}


PEER_POSTGRES = """CREATE TABLE states(id bigserial PRIMARY KEY, thread_id text NOT NULL, user_message jsonb, bot_message jsonb, nlu jsonb, context jsonb, intent jsonb, parameters jsonb,
 extracted_parameters jsonb, missing_parameters jsonb, complete boolean NOT NULL DEFAULT false, current_node text, date timestamptz NOT NULL DEFAULT now());
CREATE INDEX ix_states_thread_id_id ON states(thread_id, id);"""
PEER_SQLITE = """CREATE TABLE states(id INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL, user_message JSON, bot_message JSON, nlu JSON, context JSON, intent JSON, parameters JSON,
 extracted_parameters JSON, missing_parameters JSON, complete BOOLEAN NOT NULL DEFAULT 0, current_node TEXT, date DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);"""


def peer_rows(true):
    text = '{{"thread_id": "{t}", "text": "{n}", "channel": "facebook", "context": {{}}}}'
    rows = [f"""INSERT INTO states(thread_id,user_message,bot_message,nlu,context,intent,parameters,extracted_parameters,missing_parameters,complete,current_node,date)
 VALUES('{t}','{text.format(t=t, n=n)}','[{{"text": "a"}}]','{{}}','{{"n": {n}}}','{{"id": "i"}}','[]','{{}}','[]',{true},NULL,'2024-01-0{n + 1} 10:00:00')"""
            for n, t in enumerate(["a", "b", "a", "b", "a"])]
    return rows + ["INSERT INTO states(thread_id) VALUES('bare')"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_older_table_is_adopted(start, request, folder, kind):
    env = store_env(kind, request, folder)
    if kind == "sqlite":
        with sqlite3.connect(folder / "loquat.db") as connection:
            for statement in [PEER_SQLITE, *peer_rows(1)]:
                connection.execute(statement)
        connection.close()
    else:
        request.getfixturevalue("postgres").sql(PEER_POSTGRES + ";".join(peer_rows("true")), env["DB_URL"])
    process = start("state", env=env)
    latest = process.get("/states/a").json()
    assert (latest["version"], latest["context"], latest["complete"], latest["current_node"]) == (3, {"n": 4}, True, None)
    assert latest["user_message"] == {"thread_id": "a", "text": "4", "channel": "facebook", "context": {}}
    assert latest["date"].startswith("2024-01-05T10:00:00") and latest["date"].endswith("+00:00")
    assert [item["version"] for item in process.get("/states/a/history").json()["items"]] == [3, 2, 1]
    assert process.get("/states/a?channel=facebook").json()["version"] == 3, "the channel is that of the message"
    bare = process.get("/states/bare").json()
    assert {key: bare[key] for key in ("user_message", "context", "intent", "parameters", "missing_parameters", "complete")} == {
        "user_message": None, "context": {}, "intent": {}, "parameters": [], "missing_parameters": [], "complete": False}
    assert append(process, "a", channel="facebook").json()["version"] == 4
    process.stop()
    process.start()
    assert process.get("/states/a").json()["version"] == 4


def test_an_older_row_that_postgres_cannot_take_apart(start, folder, postgres):
    """The old service stored such texts in its json columns."""
    url = postgres.database()
    postgres.sql(PEER_POSTGRES.replace("jsonb", "json") + r"""INSERT INTO states(thread_id,user_message) VALUES('nul','{"channel":"rest","text":"a\u0000b"}'),('lone','{"channel":"rest","text":"\ud83d"}')""", url)
    process = start("state", env={"DB_URL": url})
    for thread, text in (("nul", "a\0b"), ("lone", "\ufffd")):
        answer = process.get(f"/states/{thread}?channel=rest")
        assert answer.status == 200 and answer.json()["user_message"] == {"channel": "rest", "text": text}
        assert append(process, thread, channel="rest").json()["version"] == 2


def test_older_columns_that_take_no_null(start, folder):
    with sqlite3.connect(folder / "loquat.db") as connection:
        for statement in ("CREATE TABLE states(id INTEGER PRIMARY KEY, thread_id TEXT NOT NULL, user_message JSON NOT NULL, date TEXT NOT NULL)",
                          "INSERT INTO states VALUES(1, 'a', '{}', '2024-01-02T03:04:05+00:00')",
                          "CREATE TABLE integrations(id VARCHAR PRIMARY KEY, name VARCHAR, description VARCHAR, status BOOLEAN, settings JSON, created_at DATETIME NOT NULL)"):
            connection.execute(statement)
    connection.close()
    process = start("state", "integrations", env={"DB_URL": f"sqlite:///{folder}/loquat.db", "DATABASE_URL": f"sqlite:///{folder}/loquat.db"})
    assert process.get("/states/a").json()["date"] == "2024-01-02T03:04:05+00:00"
    assert append(process, "a").status == 201 and process.get("/states/a").json()["version"] == 2
    assert process.call("DELETE", "/states/a").status == 204 and process.get("/states/a").status == 404
    assert eventually(lambda: [item["id"] for item in process.get("/integrations").json()] == ["facebook", "chat_widget"], 5)
    assert process.post("/integrations", {"id": "mine", "name": "M", "description": "", "status": False, "settings": {}}).status == 201


def test_a_database_that_cannot_be_prepared_says_why(start, folder, postgres):
    url = postgres.database()
    postgres.sql(PEER_POSTGRES + "CREATE VIEW report AS SELECT thread_id, user_message FROM states; INSERT INTO states(thread_id) VALUES('a')", url)
    process = start("state", env={"DB_URL": url}, ready=False)
    assert eventually(lambda: answers(process), 20)
    assert process.get("/readiness").status == 503
    failed = process.run("migrate")
    assert failed.returncode == 1
    for text in (process.output(), failed.stderr):
        assert "the database cannot be prepared: state 1: 0A000: cannot alter type of a column used by a view" in text and "view report" in text, text
        assert "is away" not in text and "no connection" not in text
    [entry] = [entry for entry in process.logs() if entry["level"] in ("error", "critical")]
    assert "tried again" in entry["message"]
    postgres.sql("DROP VIEW report", url)
    assert eventually(process.is_ready, 20)
    assert process.get("/states/a").json()["version"] == 1


@pytest.mark.parametrize("refusal", ["no right", "no database", "nowhere"])
def test_other_reasons_why_a_database_cannot_be_prepared(folder, refusal, request):
    if refusal == "no right":
        postgres = request.getfixturevalue("postgres")
        url = postgres.database()
        postgres.sql("CREATE ROLE reader LOGIN", url)
        url, words = url.replace("//postgres@", "//reader:word@"), "42501: permission denied for schema public"
    elif refusal == "no database":
        (folder / "own.db").write_bytes(b"x" * 4096)
        url, words = f"sqlite:///{folder}/own.db", "file is not a database"
    else:
        url, words = "sqlite:////proc/own.db", "unable to open database file"
    process = Loquat(folder, "state", env={"DB_URL": url, "DATABASE_URL": url}, start=False)
    failed = process.run("migrate")
    assert failed.returncode == 1 and "the database cannot be prepared: " in failed.stderr and words in failed.stderr, failed.stderr
    process.start(ready=False)
    try:
        assert eventually(lambda: answers(process), 20)
        assert process.get("/readiness").status == 503
        [entry] = [entry for entry in process.logs() if entry["level"] == "error"]
        assert words in entry["message"] and "is away" not in process.output() and "word@" not in process.output()
        assert process.stop(30) == 0
    finally:
        if process.process.poll() is None:
            process.kill()


def test_many_start_at_once(start, folder, database):
    processes = [start(database=database, data_dir=folder / f"d{n}" if database.startswith("postgres") else folder / "data", ready=False) for n in range(4 if database.startswith("postgres") else 1)]
    assert all(eventually(process.is_ready, 40) and process.process.poll() is None for process in processes)
    for process in processes:
        assert eventually(lambda: [item["id"] for item in process.get("/integrations").json()] == ["facebook", "chat_widget"], 5)
        assert eventually(lambda: len(process.get("/admin/intents").json()) == 3, 5)
    assert not [entry for process in processes for entry in process.logs() if entry["level"] in ("error", "critical")]
    text = "SELECT count(*), count(DISTINCT feature || ' ' || number) FROM loquat_migrations"
    if not database.startswith("postgres"):
        [(rows, kinds)] = sqlite_sql(folder / "loquat.db", text)
        assert rows == kinds > 0


def test_migrate_command(folder, database):
    process = Loquat(folder, database=database, start=False)
    planned = process.run("migrate", "--dry-run")
    assert planned.returncode == 0 and "state 1" in planned.stdout
    again = process.run("migrate", "--dry-run")
    assert again.stdout == planned.stdout, "nothing was done"
    assert process.run("migrate").returncode == 0
    assert process.run("migrate", "--dry-run").stdout != planned.stdout


def test_a_database_of_a_newer_release_is_refused(start, folder, database, request):
    process = Loquat(folder, database=database, start=False)
    assert process.run("migrate").returncode == 0
    statement = "UPDATE loquat_migrations SET oldest_release = '99.0.0'"
    if database.startswith("sqlite"):
        with sqlite3.connect(folder / "loquat.db") as connection:
            connection.execute(statement)
        connection.close()
    else:
        request.getfixturevalue("postgres").sql(statement, database)
    process.start(ready=False)
    assert process.process.wait(30) == 1
    assert "99.0.0 or newer" in process.output()
    assert process.run("migrate").returncode == 1


# --- a database that hangs or is away -----------------------------------------------------------------------------

class Hanging:
    """Accepts and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self.connections.append(self.listener.accept()[0])
        except OSError:
            pass

    def stop(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()


@pytest.mark.parametrize("scheme", ["postgresql://u@127.0.0.1:{}/d", "mongodb://127.0.0.1:{}/d", "http://127.0.0.1:{}"])
def test_readiness_with_a_hung_store(start, folder, scheme):
    hung = Hanging()
    try:
        process = start("state", env={"STATE_URL": scheme.format(hung.port), "DATABASE_URL": f"sqlite:///{folder}/own.db", "READINESS_TIMEOUT": "1", "SERVICE_TOKEN": "t"}, ready=False)
        assert eventually(lambda: answers(process), 20), process.output()
        for _ in range(3):
            began = time.monotonic()
            answer = process.get("/readiness")
            assert time.monotonic() - began < 10
            assert answer.status == 503 and answer.json()["status"] == "unavailable" and str(hung.port) not in answer.text
            assert process.get("/health").body == b'{"status":"ok"}'
        assert process.stop(40) == 0
    finally:
        hung.stop()


def answers(process):
    try:
        return process.get("/health").status == 200
    except OSError:
        return False


def test_a_store_that_freezes(start, postgres):
    process = start("state", env={"DB_URL": postgres.database(), "READINESS_TIMEOUT": "1"})
    assert append(process, "t").status == 201
    with postgres.hung():
        assert process.get("/health").status == 200
        assert eventually(lambda: process.get("/readiness").status == 503, 6)
        began = time.monotonic()
        process.get("/readiness")
        assert time.monotonic() - began < 10
    assert eventually(lambda: process.get("/readiness").status == 200, 20)
    assert append(process, "t").json()["version"] == 2


def test_who_waits_too_long_for_a_connection_is_refused(start, postgres):
    url = postgres.database()
    process = start("state", env={"DB_URL": url, "DB_POOL_SIZE": "2", "DB_MAX_OVERFLOW": "1", "DB_POOL_TIMEOUT": "1"})
    for n in range(8):
        assert append(process, f"t{n}").status == 201
    lock = "BEGIN; LOCK TABLE states, threads IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8); COMMIT"

    def ask(path):
        began = time.monotonic()
        answer = process.get(path, timeout=60)
        return answer, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        holding = pool.submit(postgres.sql, lock, url)
        assert eventually(lambda: postgres.sql("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'states'::regclass", url).strip())
        first = [pool.submit(ask, f"/states?page={n}") for n in range(1, 4)]
        time.sleep(0.5)
        later = [pool.submit(ask, f"/states/t{n}") for n in range(8)] + [pool.submit(ask, "/states?page=1") for _ in range(8)]
        for each in later:
            answer, took = each.result()
            assert answer.status == 503 and answer.json()["detail"].startswith("the service is busy") and took < 5, (answer, took)
        assert not any(each.done() for each in first), "all connections were busy meanwhile"
        holding.result()
        assert [each.result()[0].status for each in first] == [200] * 3


def test_a_database_that_comes_later(start):
    if not Postgres.available():
        pytest.skip("no PostgreSQL on this machine")
    home = pathlib.Path(temporary_folder())
    server = Postgres(home)
    url = server.database()
    server.stop()
    process = start("state", env={"DB_URL": url}, ready=False)
    assert eventually(lambda: answers(process), 20)
    assert process.get("/readiness").status == 503 and process.get("/states/t").status == 503
    server.start()
    try:
        assert eventually(lambda: process.get("/readiness").status == 200, 20)
        assert append(process, "t").status == 201, "ready means that the tables are there"
    finally:
        process.stop()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_load_while_postgres_restarts(start, postgres):
    """During the outage 503 never another 5xx; after it all goes on, and what was answered with 201 is there."""
    process = start("state", env={"DB_URL": postgres.database()})
    stop, statuses, kept, lock = threading.Event(), [], {}, threading.Lock()

    def write(thread):
        while not stop.is_set():
            answer = append(process, thread, context={"n": 1})
            with lock:
                statuses.append(answer.status)
                if answer.status == 201:
                    kept.setdefault(thread, set()).add(answer.json()["version"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, f"t{n}") for n in range(8)]
        try:
            assert eventually(lambda: len(statuses) > 40, 20)
            postgres.stop(signal.SIGINT)
            assert eventually(lambda: 503 in statuses, 20)
            postgres.start()
            count = len(statuses)
            assert eventually(lambda: statuses[count:].count(201) > 40, 30)
        finally:
            stop.set()
        for writer in writers:
            writer.result()
    assert set(statuses) <= {201, 503}
    for thread, versions in kept.items():
        stored = {item["version"] for item in process.get(f"/states/{thread}/history?limit=1000").json()["items"]}
        assert versions <= stored and stored == set(range(1, max(stored) + 1))
    assert eventually(lambda: process.get("/readiness").status == 200, 10)


def test_another_process_away(start, folder):
    own = start("state", env={"DB_URL": f"sqlite:///{folder}/s.db", "SERVICE_TOKEN": "t"})
    whole = start(env={"DATABASE_URL": f"sqlite:///{folder}/own.db", "STATE_URL": own.url, "SERVICE_TOKEN": "t"}, data_dir=folder / "own")
    chat = {"thread_id": "p", "text": "/cancel", "context": {}}
    assert eventually(lambda: whole.post("/bots/channels/rest/webhook", chat).status == 200, 10)
    assert own.get("/states/p").json()["user_message"]["channel"] == "rest", "the conversation is in the other process"
    assert whole.get("/admin/chatlogs/p").json()[0]["user_message"]["text"] == "/cancel"
    assert whole.get("/admin/chatlog-search?q=cancel").json()["items"][0]["thread_id"] == "p"
    own.stop()
    assert eventually(lambda: whole.get("/readiness").status == 503, 10)
    assert whole.get("/readiness").json()["checks"]["states"] != "ok"
    assert whole.get("/states/p").status == 503 and whole.post("/bots/channels/rest/webhook", chat).status == 503
    own.start()
    assert eventually(lambda: whole.get("/readiness").status == 200, 10)
    assert whole.post("/bots/channels/rest/webhook", chat).status == 200
