"""The commands beside `serve`: send, chat, import and export, page, migrate, healthcheck."""
import json
import os
import subprocess

import pytest

from support.processes import BINARY, SECRET, eventually, intent, sqlite_sql, text_item, webhook, write_bot


@pytest.fixture
def service(start, folder, database):
    process = start(start=False, database=database)
    bot = write_bot(folder / "bot.json", intent("init_conversation", "Welcome###What can I do?", "Welcome message", ["hello"]),
                    intent("order", "One {{ parameters.dish }}", "Order", ["order something"], parameters=[
                        {"name": "dish", "type": "free_text", "required": True, "prompt": "Which dish?"}]))
    assert process.run("import", bot).returncode == 0
    return process.start()


# --- send ---------------------------------------------------------------------------------------------------------

def test_send_text(service):
    done = service.run("send", "hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("Welcome") < done.stdout.index("What can I do?")
    done = service.run("send", "nothing known")
    assert done.returncode == 0 and "I do not know" in done.stdout and "Welcome" not in done.stdout


def test_send_keeps_the_conversation(service):
    assert "Which dish?" in service.run("send", "--from", "42", "order something").stdout
    assert "I do not know" in service.run("send", "--from", "43", "soup").stdout, "another person"
    assert "One soup" in service.run("send", "--from", "42", "soup").stdout


def test_send_postback_and_json(service):
    assert "Welcome" in service.run("send", "--postback", "/init_conversation").stdout
    done = service.run("send", "--json", "hello")
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [call["message"]["text"] for call in calls if "message" in call] == ["Welcome", "What can I do?"]
    assert all(call["recipient"]["id"] for call in calls)


def test_send_files(service, folder):
    event = folder / "event.json"
    event.write_text(json.dumps(text_item("77", "hello", "m_file_1")))
    assert "Welcome" in service.run("send", "--file", str(event)).stdout
    event.write_text(webhook([text_item("78", "hello", "m_file_2", "555")], "555").decode())
    assert "Welcome" in service.run("send", "--file", str(event)).stdout
    event.write_text(json.dumps({"sender": {"id": "78"}, "recipient": {"id": "1"}, "timestamp": 1, "read": {"watermark": 1}}))
    done = service.run("send", "--file", str(event))
    assert done.returncode == 0 and "nothing in it is answered" in done.stdout
    event.write_text("{")
    assert service.run("send", "--file", str(event)).returncode == 2
    assert service.run("send", "--file", str(folder / "absent")).returncode == 2
    assert service.run("send").returncode == 2


def test_send_without_a_service(service):
    service.stop()
    done = service.run("send", "hello")
    assert done.returncode == 1 and "nothing listens" in done.stderr and service.url in done.stderr


def test_send_to_the_real_webhook(start, graph, database):
    process = start(graph=graph, database=database)
    done = process.run("send", "--page", "12", "--from", "9", "hello")
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: graph.texts("9"))
    assert process.run("send", "--page", "12", "hello", env={"APP_SECRET": "wrong"}).returncode == 1
    sandbox = process.get("/sandbox/replies?after=0")
    assert sandbox.status == 200
    assert process.get("/sandbox/replies", {"X-Forwarded-For": "8.8.8.8"}).status in (401, 403, 404), "for this machine only"


def test_no_sandbox(start):
    process = start(env={"SANDBOX": "off"})
    done = process.run("send", "hello")
    assert done.returncode == 1 and process.get("/sandbox/replies").status == 404


# --- chat ---------------------------------------------------------------------------------------------------------

def test_chat_over_a_pipe(service):
    done = service.run("chat", input="hello\norder something\nsoup\n/quit\n")
    assert done.returncode == 0, done.stderr
    places = [done.stdout.index(text) for text in ("Welcome", "What can I do?", "Which dish?", "One soup")]
    assert places == sorted(places)
    done = service.run("chat", "-v", "--thread", "t7", input="order something\n")
    assert done.returncode == 0 and "order" in done.stdout and "dish" in done.stdout
    assert "One pie" in service.run("chat", "--thread", "t7", input="pie\n").stdout, "a thread goes on"
    service.stop()
    assert service.run("chat", input="hello\n").returncode == 1


# --- import and export --------------------------------------------------------------------------------------------

def test_import_and_export(service, folder):
    first = service.run("export")
    bot = json.loads(first.stdout)
    assert first.returncode == 0 and {i["intentId"] for i in bot["intents"]} >= {"fallback", "cancel", "init_conversation", "order"}
    out = folder / "out.json"
    assert service.run("export", str(out)).returncode == 0 and json.loads(out.read_text()) == bot
    done = service.run("import", str(out))
    assert done.returncode == 0, done.stderr
    assert json.loads(service.run("export").stdout) == bot, "its own export changes nothing"
    done = subprocess.run([service.binary, "import", "-"], env=service.env, input=json.dumps({"intents": [intent("new", "Fresh")], "entities": []}), capture_output=True, text=True)
    assert done.returncode == 0
    assert eventually(lambda: service.post("/bots/channels/rest/webbook", {"thread_id": "x", "text": "/new", "context": {}}).json() == [{"text": "Fresh"}], 5)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"intents":5}', '{"intents":[{"name":"no id"}]}', '{"intents":[{"name":"x","intentId":"x","speechResponse":"{% if %}"}]}'])
def test_files_that_are_no_bots(service, folder, content):
    before = service.run("export").stdout
    (folder / "bad.json").write_text(content)
    done = service.run("import", str(folder / "bad.json"))
    if "{% if" not in content:
        assert done.returncode == 1 and done.stderr and service.run("export").stdout == before, done
    assert "Welcome" in service.run("send", "hello").stdout
    assert service.run("import", str(folder / "absent.json")).returncode in (1, 2)


# --- page ---------------------------------------------------------------------------------------------------------

def test_page_commands(start, graph, folder):
    process = start(graph=graph, start=False)
    done = process.run("page", "subscribe", "--page", "4711")
    assert done.returncode == 0, done.stderr
    [call] = [e for e in graph.entries("other")]
    assert call["path"] == "/v25.0/4711/subscribed_apps" and call["token"] == "token" and call["proof"]
    assert "messages" in json.dumps(call) and "messaging_postbacks" in json.dumps(call)
    done = process.run("page", "status", "--json")
    assert done.returncode == 0 and json.loads(done.stdout) is not None
    assert any(e["path"].endswith("/subscribed_apps") for e in graph.entries("get"))
    profile = folder / "profile.json"
    profile.write_text(json.dumps({"get_started": {"payload": "/init_conversation"}, "greeting": [{"locale": "default", "text": "Hi"}],
                                   "ice_breakers": [{"question": "Hours?", "payload": "/hours"}]}))
    assert process.run("page", "profile", str(profile)).returncode == 0
    body = [e["body"] for e in graph.entries("other") if e["path"].endswith("/messenger_profile")]
    assert body and body[0]["get_started"] == {"payload": "/init_conversation"} and body[0]["greeting"][0]["text"] == "Hi"
    profile.write_text('{"get_stated": 1}')
    assert process.run("page", "profile", str(profile)).returncode in (1, 2)
    assert process.run("page", "profile").returncode == 2
    assert process.run("page", "status", env={"PAGE_ACCESS_TOKEN": ""}).returncode == 2
    assert process.run("page", "fly").returncode == 2
    assert "token" not in process.run("page", "status").stdout.replace("tokens", "")
    graph.stop()
    assert process.run("page", "status").returncode == 1


# --- migrate, healthcheck -----------------------------------------------------------------------------------------

def test_migrate(start, database, database_kind, postgres):
    process = start(start=False, database=database)
    process.folder.joinpath("data").mkdir(exist_ok=True)
    dry = process.run("migrate", "--dry-run")
    assert dry.returncode == 0 and "would apply bus 1" in dry.stdout
    if database_kind == "postgres":
        assert postgres.sql("SELECT count(*) FROM pg_tables WHERE tablename IN ('inbox', 'states', 'integrations')", database) == "0"
    done = process.run("migrate")
    assert done.returncode == 0 and "applied bus 1" in done.stdout
    assert process.run("migrate").stdout == "The databases are up to date.\n"
    if database_kind == "sqlite":
        assert sqlite_sql(database.removeprefix("sqlite:///"), "SELECT count(*) FROM inbox") == [(0,)]
    process.start()
    assert process.get("/readiness").status == 200


def test_a_newer_database_is_refused(start, database, database_kind, postgres):
    process = start(database=database)
    process.stop()
    change = "INSERT INTO loquat_migrations(feature, number, applied_at, oldest_release) SELECT 'later', 1, applied_at, '99.1.0' FROM loquat_migrations LIMIT 1"
    if database_kind == "sqlite":
        import sqlite3
        with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
            connection.execute(change)
    else:
        postgres.sql(change, database)
    process.start(ready=False)
    assert process.process.wait(20) == 1 and "needs loquat 99.1.0 or newer" in process.output()
    done = process.run("migrate")
    assert done.returncode == 1 and "99.1.0" in done.stderr


# memory:// and http:// are right for other stores: no bot is kept there.
@pytest.mark.parametrize("url", ["mysql://h/d", "mongodb://127.0.0.1:1/x", "memory://", "http://127.0.0.1:1", "nonsense"])
@pytest.mark.parametrize("command", [["check-config"], ["migrate"], ["export"], ["dead-letters", "list"], ["import-mongodb", "--from", "mongodb://127.0.0.1:1/x"]])
def test_wrong_databases_are_wrong_settings(start, url, command):
    done = start(start=False, database=url).run(*command)
    assert done.returncode == 2 and done.stderr.startswith("loquat: DATABASE_URL: ") and "run it again" not in done.stderr, done


@pytest.mark.parametrize("url", ["mysql://h/d", "memory://", "http://127.0.0.1:1"])
def test_rotate_secrets_with_wrong_databases(start, url):
    done = start(start=False, database=url, env={"SECRETS_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}).run("rotate-secrets")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("loquat rotate-secrets: "), done


def test_an_import_needs_only_the_stores_it_is_told(start):
    done = start(start=False, database="memory://").run("import-mongodb", "--from", "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200", "--only", "states")
    assert done.returncode == 1 and "run it again" in done.stderr, done


def test_libraries_are_silent(start):
    """libmongoc wants a file of its process id in /dev/shm: one that a killed process has left is no reason to say anything, and none is left."""
    def leave():
        open(f"/dev/shm/mongoc-{os.getpid()}", "w").close()

    process = subprocess.Popen([BINARY, "--version"], preexec_fn=leave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.communicate()[1] == "" and process.returncode == 0
    assert not os.path.exists(f"/dev/shm/mongoc-{process.pid}")


def test_healthcheck(start):
    process = start("state")
    assert process.run("healthcheck").returncode == 0
    assert process.run("healthcheck", "--url", process.url).returncode == 0
    process.stop()
    done = process.run("healthcheck")
    assert done.returncode == 1 and done.stderr


def test_commands_while_serving_on_sqlite(start, folder, graph):
    """The tools write to the database of a running process without stopping it."""
    process = start(graph=graph, database=f"sqlite:///{folder}/shared.db")
    for n in range(5):
        write_bot(folder / "b.json", intent(f"i{n}", str(n)))
        assert process.run("import", str(folder / "b.json")).returncode == 0
        assert process.say(f"7{n}", "/init_conversation").status == 200
    assert process.run("dead-letters", "list").returncode == 0
    assert eventually(lambda: all(graph.texts(f"7{n}") for n in range(5)))
