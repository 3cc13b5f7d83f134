"""What concerns MongoDB as a whole: outages, the import, changes that reach other processes; and many processes at one start."""
import signal
import sqlite3
import subprocess
import time

import pytest
from support.mongo import MongoServer, insert
from support.processes import BINARY, eventually

ADMIN = {"Authorization": "Bearer admin-token"}
SERVICE = {"Authorization": "Bearer service-token"}
TOKENS = {"ADMIN_TOKEN": "admin-token", "SERVICE_TOKEN": "service-token"}


def call(service, method, path, body=None):
    return service.call(method, path, body, ADMIN)


def run(command, env, status=0):
    done = subprocess.run([BINARY, *command], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done
    return done.stdout


@pytest.mark.parametrize("kind", ["postgres", "mongodb"])
def test_defaults_of_many_processes_at_once(start, kind, request):
    url = request.getfixturevalue("postgres").database() if kind == "postgres" else request.getfixturevalue("mongo").uri()
    services = [start("integrations", env=TOKENS | {"INTEGRATIONS_URL": url}, ready=False) for _ in range(3)]
    for service in services:
        assert eventually(service.is_ready)
        assert [one["id"] for one in call(service, "GET", "/integrations").json()] == ["facebook", "chat_widget"]


def test_a_database_that_hangs_is_503_and_heals(start, mongo):
    server = MongoServer()
    if server.process is None:
        pytest.skip("this MongoDB server is not ours to stop")
    try:
        service = start("integrations", "state", env=TOKENS | {"MONGODB_URI": server.uri() + "?socketTimeoutMS=1000", "STATE_URL": server.uri()})
        assert call(service, "POST", "/states", {"thread_id": "t"}).status == 201
        server.freeze()
        time.sleep(1.1)  # an answer about readiness is shared for a second
        began = time.monotonic()
        assert service.get("/readiness").status == 503 and time.monotonic() - began < 10
        answer = call(service, "GET", "/integrations")
        assert answer.status == 503 and b"mongo" not in answer.body.lower()
        assert service.get("/health").json() == {"status": "ok"}
        server.thaw()
        assert eventually(lambda: call(service, "GET", "/integrations").status == 200)
        assert eventually(lambda: service.get("/readiness").status == 200)
        assert call(service, "GET", "/states/t").status == 200
    finally:
        server.stop()


def test_wrong_credentials_end_the_start(start, mongo):
    server = MongoServer("-Duser=u", "-Dpassword=p")
    if server.process is None:
        pytest.skip("this MongoDB server is not ours to set a password of")
    host = server.address.removeprefix("mongodb://")
    try:
        for credentials in ("", "u:wrong@"):
            for target, setting in (("integrations", "MONGODB_URI"), ("state", "STATE_URL")):
                process = start(target, env=TOKENS | {setting: f"mongodb://{credentials}{host}/x?authSource=admin"}, ready=False)
                assert process.process.wait(30) == 1
                assert "MongoDB refuses the user or the password" in process.output() and "wrong" not in process.output()
        right = start("integrations", "state", env=TOKENS | {name: f"mongodb://u:p@{host}/x?authSource=admin" for name in ("MONGODB_URI", "STATE_URL")})
        assert call(right, "POST", "/states", {"thread_id": "t"}).status == 201
    finally:
        server.stop()


def test_dates_that_are_texts(start, mongo):
    pymongo = pytest.importorskip("pymongo")
    uri = mongo.uri()
    collection = pymongo.MongoClient(uri).get_default_database()["state"]
    for thread, date in (("old", "2024-01-05T10:00:00+02:00"), ("old", "2024-01-06T10:00:00+00:00"), ("newer", "2024-02-01T00:00:00.5+00:00")):
        collection.insert_one({"thread_id": thread, "user_message": {"text": "x", "channel": "rest"}, "complete": False, "date": date})
    service = start("state", env=TOKENS | {"STATE_URL": uri})
    assert call(service, "POST", "/states", {"thread_id": "between", "date": "2024-01-20"}).status == 201
    listed = call(service, "GET", "/states?start_date=2024-01-01").json()
    assert [(one["thread_id"], one["date"]) for one in listed["items"]] == [
        ("newer", "2024-02-01T00:00:00.500000+00:00"), ("between", "2024-01-20T00:00:00+00:00"), ("old", "2024-01-06T10:00:00+00:00")]
    assert call(service, "GET", "/states?start_date=2024-01-01&end_date=2024-01-05T09:00:00Z").json()["total"] == 1


@pytest.mark.parametrize("kind", ["http", "postgres", "mongodb"])
def test_a_change_reaches_the_messenger_within_two_seconds(start, folder, kind, request):
    if kind == "http":
        url = f"sqlite:///{folder}/i.db"
    else:
        url = request.getfixturevalue("postgres").database() if kind == "postgres" else request.getfixturevalue("mongo").uri()
    service = start("integrations", env=TOKENS | {"INTEGRATIONS_URL": url}, data_dir=folder / "integrations")
    where = service.url if kind == "http" else url
    messenger = start("messenger", env={"DATABASE_URL": f"sqlite:///{folder}/m.db", "SERVICE_TOKEN": "service-token", "INTEGRATIONS_URL": where}, data_dir=folder / "messenger")
    verify = "/webhook?hub.mode=subscribe&hub.challenge=42&hub.verify_token="
    assert eventually(lambda: messenger.get(verify + "x").status == 404)
    for token in ("first", "second"):
        assert call(service, "PATCH", "/integrations/facebook", {"status": True, "settings": {"verify": token, "secret": "s"}}).status == 200
        assert eventually(lambda: messenger.get(verify + token).status == 200, 5)


def test_an_import_moves_everything_once(start, folder, mongo):
    uri = mongo.uri()
    old = start("integrations", "state", env=TOKENS | {"MONGODB_URI": uri, "STATE_URL": uri}, data_dir=folder / "old")
    call(old, "PATCH", "/integrations/facebook", {"settings": {"secret": "moved"}})
    for n in range(25):
        assert call(old, "POST", "/states", {"thread_id": f"t{n % 4}", "user_message": {"text": f"n{n}", "channel": "rest"}}).status == 201
    env = old.env | {"MONGODB_URI": "", "STATE_URL": "", "DATABASE_URL": f"sqlite:///{folder}/new.db"}
    out = run(["import-mongodb", "--from", uri], env)
    assert "integrations: 2 imported" in out and "states: 25 imported" in out
    out = run(["import-mongodb", "--from", uri, "--only", "states,integrations"], env)
    assert "integrations: 0 imported, 2 were there already" in out and "states: 0 imported, 25 were there already" in out
    service = start("integrations", "state", env=TOKENS | {"DATABASE_URL": env["DATABASE_URL"]}, data_dir=folder / "new")
    assert service.get("/integrations/facebook", SERVICE).json()["settings"] == {"secret": "moved"}
    state = call(service, "GET", "/states/t0").json()
    assert (state["version"], state["user_message"]["text"]) == (7, "n24")
    page = call(service, "GET", "/states/t0/history?limit=10").json()
    assert [one["user_message"]["text"] for one in page["items"]] == ["n24", "n20", "n16", "n12", "n8", "n4", "n0"]
    run(["import-mongodb", "--from", uri, "--only", "stats"], env, status=2)


OLD = {"user_message": {"text": "hi", "channel": "rest"}, "bot_message": None, "context": {}}


def rows(database, table="states"):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as connection:
        try:
            return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@pytest.fixture
def interrupted(folder, mongo):
    """An import of 12001 states, whose ids are texts that look like object ids, stopped after its first batch. One has an empty thread_id."""
    uri, database = mongo.uri(), folder / "new.db"
    for first in range(0, 12000, 1000):
        insert(uri, "state", [OLD | {"_id": f"65a0{n:020x}", "thread_id": f"t{n % 7}"} for n in range(first, first + 1000)])
    insert(uri, "state", [OLD | {"_id": f"65a0{0:020x}!", "thread_id": ""}])
    command = [BINARY, "import-mongodb", "--from", uri, "--only", "states"]
    process = subprocess.Popen(command, env={"DATABASE_URL": f"sqlite:///{database}"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert eventually(lambda: database.exists() and rows(database, "loquat_imports"), every=0.001)
    process.send_signal(signal.SIGSTOP)
    yield process, command, uri, database
    process.kill()
    process.communicate()


def test_an_import_that_was_killed_goes_on(interrupted):
    process, command, uri, database = interrupted
    process.kill()
    process.communicate()
    assert 500 <= rows(database) < 12000, "it was cut off"
    done = subprocess.run(command, env={"DATABASE_URL": f"sqlite:///{database}"}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3 and rows(database) == 12000, done
    assert "going on behind the first" in done.stdout and "left out before the import was cut off: 1;" in done.stderr, done
    out = run(command[1:], {"DATABASE_URL": f"sqlite:///{database}"}, status=3)
    assert "states: 0 imported, 12000 were there already, 1 left out, of 12001" in out


def test_what_is_added_during_an_import_is_noticed(interrupted):
    process, command, uri, database = interrupted
    insert(uri, "state", [OLD | {"_id": "0", "thread_id": "late"}])
    process.send_signal(signal.SIGCONT)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 3 and "12001 documents were seen, but there are 12002 now: run the import again" in errors, (out, errors)
    out = run(command[1:], {"DATABASE_URL": f"sqlite:///{database}"}, status=3)
    assert "states: 1 imported, 12000 were there already, 1 left out, of 12002" in out and rows(database) == 12001


def test_secrets_are_rotated_where_there_is_no_bot(start, mongo):
    uri = mongo.uri()
    env = {"DATABASE_URL": uri, "SECRETS_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    insert(uri, "integrations", [{"id": "facebook", "name": "F", "description": "d", "status": 1, "settings": {"secret": "clear"}}])
    assert "integrations: 1 changed\n" in run(["rotate-secrets"], env)
