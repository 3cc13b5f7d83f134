"""What goes wrong around the messenger service: a Graph API in trouble, a database that is away, a full disk, messages that kill."""
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import subprocess
import threading
import time

import pytest

from support.processes import (DEV_BINARY, SECRET, Loquat, eventually, free_port, intent, request, sign, sqlite_sql, temporary_folder, text_item, webhook, write_bot)

FAST = {"LOG_LEVEL": "info"}


def launch(start, folder, graph, database, env=None, **options):
    process = start(start=False, graph=graph, database=database, env=FAST | (env or {}), **options)
    bot = write_bot(folder / "bot.json", intent("init_conversation", "Welcome", "Welcome message", ["hello"]), intent("parts", "one###two###three"))
    assert process.run("import", bot).returncode == 0
    return process.start()


@pytest.fixture
def service(start, folder, graph, database):
    return launch(start, folder, graph, database)


def sent(graph, person):
    return [entry["text"] for entry in graph.entries() if entry["recipient"] == person]


def outcome(process, name):
    return process.metric("messenger_sends_total", outcome=name)


# --- the Graph API ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, counted", [
    ({"reset": True}, "outcome_unknown"), ({"lose": True}, "outcome_unknown"), ({"status": 500, "body": "oops"}, "outcome_unknown"),
    ({"status": 503, "body": ""}, None), ({"status": 400, "code": 2}, "outcome_unknown"), ({"status": 400, "code": 1}, "outcome_unknown"),
    ({"status": 400, "code": 1200}, "retry"), ({"status": 400, "code": 4}, "throttled"), ({"status": 400, "code": 4, "subcode": 2018022}, "throttled"),
    ({"status": 400, "code": 613}, "throttled"), ({"status": 400, "code": 32}, "throttled"), ({"status": 429, "body": "{}", "headers": {"Retry-After": "1"}}, "throttled"),
])
def test_answers_after_which_it_is_sent_again(service, graph, answer, counted):
    graph.control(by_recipient={"5": [answer]})
    assert service.say("5", "/parts").status == 200
    assert eventually(lambda: graph.texts("5") == ["one", "two", "three"]), sent(graph, "5")
    assert sent(graph, "5") == ["one", "one", "two", "three"], "only the first part is repeated, and nothing overtakes it"
    assert len({e["metadata"] for e in graph.entries()}) == 3, "a repetition carries the same id"
    if counted:
        assert outcome(service, counted) == 1
    assert eventually(lambda: service.metric("bus_pending") == 0)


@pytest.mark.parametrize("answer, parts, counted", [
    ({"status": 400, "code": 100}, ["one", "two", "three"], "part_rejected"), ({"status": 400, "code": 613, "subcode": 2018338}, ["one", "two", "three"], "part_rejected"),
    ({"status": 400, "code": 10, "subcode": 2018278}, ["one"], "person_unreachable"), ({"status": 400, "code": 551}, ["one"], "person_unreachable"),
    ({"status": 400, "code": 551, "subcode": 1545041}, ["one"], "person_unreachable"), ({"status": 400, "code": 200, "subcode": 1545041}, ["one"], "person_unreachable"),
    ({"status": 400, "code": 100, "subcode": 2018001}, ["one"], "person_unreachable"),
])
def test_answers_that_are_final(service, graph, answer, parts, counted):
    graph.control(by_recipient={"5": [answer]})
    service.say("5", "/parts")
    assert eventually(lambda: sent(graph, "5") == parts) and eventually(lambda: service.metric("bus_pending") == 0)
    assert sent(graph, "5") == parts and outcome(service, counted) == 1
    service.say("5", "hello")
    assert eventually(lambda: sent(graph, "5")[-1] == "Welcome"), "the conversation goes on"


def test_an_answer_that_comes_too_late(service, graph, database_kind):
    """Later than a send may take: the outcome stays unknown, so the reply goes out once more, with the same id."""
    deadline = {"postgres": 6, "sqlite": 20}[database_kind]
    graph.control(by_recipient={"5": [{"slow": deadline + 2}]})
    service.say("5", "hello")
    assert eventually(lambda: len(sent(graph, "5")) == 2, deadline + 10), sent(graph, "5")
    assert eventually(lambda: service.metric("bus_pending") == 0, 10)
    first, second = (entry for entry in graph.entries() if entry["recipient"] == "5")
    assert first["metadata"] == second["metadata"] and deadline - 0.5 < second["time"] - first["time"]
    assert outcome(service, "outcome_unknown") == 1
    eventually(lambda: len(sent(graph, "5")) > 2, 3)
    assert sent(graph, "5") == ["Welcome", "Welcome"], "the late answer changes nothing"


def test_an_echo_proves_the_delivery(service, graph):
    """The answer is lost, but Meta's echo of our message comes before the next try."""
    graph.control(by_recipient={"5": [{"slow": 2, "reset": True}]})
    service.say("5", "hello")
    assert eventually(lambda: graph.entries())
    [entry] = graph.entries()
    echo = {"sender": {"id": "1"}, "recipient": {"id": "5"}, "timestamp": 1,
            "message": {"is_echo": True, "app_id": 4711, "mid": "m_echo", "text": "Welcome", "metadata": entry["metadata"]}}
    assert service.deliver(webhook([echo])).status == 200
    assert eventually(lambda: outcome(service, "reported") == 1) and eventually(lambda: service.metric("bus_pending") == 0)
    assert sent(graph, "5") == ["Welcome"]


def test_an_echo_of_another_app_proves_nothing(start, folder, graph, database):
    service = launch(start, folder, graph, database, {"APP_ID": "4711"})
    for person, app in (("5", 42), ("6", 4711)):
        graph.control(by_recipient={person: [{"slow": 2, "reset": True}]})
        service.say(person, "hello")
        assert eventually(lambda: sent(graph, person))
        [entry] = [entry for entry in graph.entries() if entry["recipient"] == person]
        echo = {"sender": {"id": "1"}, "recipient": {"id": person}, "timestamp": 1,
                "message": {"is_echo": True, "app_id": app, "mid": f"m_{person}", "text": "Welcome", "metadata": entry["metadata"]}}
        assert service.deliver(webhook([echo])).status == 200
    assert eventually(lambda: sent(graph, "5") == ["Welcome", "Welcome"]) and eventually(lambda: outcome(service, "reported") == 1)
    assert sent(graph, "6") == ["Welcome"]


def test_a_slow_person_holds_up_nobody_else(service, graph):
    graph.control(by_recipient={"5": [{"slow": 3}]})
    service.say("5", "hello")
    begin = time.monotonic()
    for person in range(100, 130):
        assert service.say(str(person), "hello").status == 200
    assert eventually(lambda: all(graph.texts(str(person)) for person in range(100, 130)))
    assert not graph.texts("5") or time.monotonic() - begin >= 3 or len(graph.entries()) >= 31
    assert eventually(lambda: service.metric("bus_pending") == 0)


def test_usage_headers_stop_a_page(service, graph):
    usage = {"1": [{"type": "messenger", "call_count": 100, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 1}]}
    graph.control(by_recipient={"5": [{"status": 400, "code": 32, "headers": {"X-Business-Use-Case-Usage": json.dumps(usage)}}]})
    service.say("5", "hello")
    assert eventually(lambda: outcome(service, "throttled") == 1)
    service.say("6", "hello", page="2")
    assert eventually(lambda: graph.texts("6") == ["Welcome"]), "another page goes on"
    service.say("7", "hello", page="1")
    eventually(lambda: graph.texts("7"), 1.5)
    assert not graph.texts("7"), "this page waits for the minute it was told"


@pytest.mark.parametrize("answer", [
    {"status": 400, "code": 4, "headers": {"Retry-After": "20"}}, {"status": 400, "code": 1200, "headers": {"X-App-Usage": json.dumps({"call_count": 100})}},
])
def test_a_limit_of_the_whole_app_holds_in_all_processes(start, folder, graph, postgres, answer):
    database = postgres.database()
    processes = [launch(start, folder, graph, database, {"SERVICE_TOKEN": "s"}, data_dir=folder / name) for name in ("a", "b")]
    owners = "SELECT count(*) FROM (SELECT owner FROM partition GROUP BY owner HAVING count(*) = 32) AS fair"
    assert eventually(lambda: postgres.sql(owners, database).strip() == "2", 30)
    graph.control(by_recipient={"5": [answer]})
    assert processes[0].say("5", "hello").status == 200
    assert eventually(lambda: sent(graph, "5"))
    begin = time.monotonic()
    # Every process follows the table twice a second.
    assert eventually(lambda: postgres.sql("SELECT count(*) FROM page WHERE id = '*'", database).strip() == "1")
    time.sleep(3)
    for number in range(100, 140):
        assert processes[number % 2].say(str(number), "hello", page=str(2 + number % 2)).status == 200
    eventually(lambda: len(graph.entries()) > 1, 3)
    assert time.monotonic() - begin > 18 or {entry["recipient"] for entry in graph.entries()} == {"5"}


def set_facebook(process, **settings):
    body = {"id": "facebook", "name": "n", "description": "d", "status": True, "settings": settings}
    assert process.call("PUT", "/admin/integrations/facebook", body).status == 200


def test_a_dead_token_stops_its_page_until_there_is_a_new_one(start, graph, database):
    process = start(database=database, env={"GRAPH_API_URL": graph.url, "TYPING": "off"})
    pages = [{"page_id": "1", "page_access_token": "old"}, {"page_id": "2", "page_access_token": "other"}]
    set_facebook(process, verify="v", secret=SECRET, page_access_token="", pages=pages)
    assert eventually(lambda: process.get("/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=1").status == 200, 4)
    graph.control(by_recipient={"5": [{"status": 400, "code": 190, "subcode": 463}]})
    process.say("5", "/init_conversation")
    assert eventually(lambda: process.metric("messenger_page_stopped", page="1") == 1)
    ready = process.get("/readiness")
    assert ready.status == 200 and ready.json()["details"], "a stopped page shows, and the process stays in service"
    assert eventually(lambda: process.logs("a page can no longer send; its replies are kept until that is mended"))
    assert process.say("6", "/init_conversation").status == 200, "what comes meanwhile is taken"
    process.say("7", "/init_conversation", page="2")
    assert eventually(lambda: len(graph.texts("7")) == 2), "other pages go on"
    assert eventually(lambda: process.metric("bus_parked") >= 2, 8)
    assert len(sent(graph, "5")) == 1 and not sent(graph, "6")
    pages[0]["page_access_token"] = "new"
    set_facebook(process, verify="v", secret="•" * 8, page_access_token="", pages=pages)
    assert eventually(lambda: len(graph.texts("5")) == 2 and len(graph.texts("6")) == 2, 20)
    assert {e["token"] for e in graph.entries() if e["recipient"] == "6"} == {"new"}
    assert eventually(lambda: process.metric("messenger_page_stopped", page="1") == 0) and eventually(lambda: "details" not in process.get("/readiness").json() or not process.get("/readiness").json()["details"])


def test_many_pages_mended_at_once(start, graph, database):
    """Their waiting replies go out at once, also of those who write while the pages are released one after the other."""
    process = start(database=database, env={"GRAPH_API_URL": graph.url, "TYPING": "off"})
    pages = [str(page) for page in range(100, 130)]

    def set_tokens(word):
        set_facebook(process, verify="v", secret=SECRET, page_access_token="", pages=[{"page_id": page, "page_access_token": word + page} for page in pages])

    set_tokens("dead")
    assert eventually(lambda: process.get("/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=1").status == 200, 4)
    graph.control(default={"status": 401, "code": 190, "subcode": 463})
    people = []

    def everybody_writes(turn):
        for page in pages:
            people.append(f"{turn}_{page}")
            assert process.say(people[-1], "/init_conversation", page=page).status == 200

    everybody_writes(0)
    assert eventually(lambda: process.metric("messenger_page_stopped") == len(pages))
    graph.control(default="ok")
    set_tokens("good")
    for turn in range(1, 20):
        everybody_writes(turn)
    answered = lambda: {entry["recipient"] for entry in graph.entries() if entry["answer"] == "ok"}
    assert eventually(lambda: answered() == set(people), 15), len(set(people) - answered())
    assert process.metric("messenger_page_stopped") == 0 and eventually(lambda: process.metric("bus_parked") == 0, 5)


def test_an_integration_off_and_on_again(start, folder, graph, database, database_kind):
    """What could not be sent meanwhile goes out when it is on again, in order, without a restart, in all processes."""
    processes = [start(graph=None, database=database, data_dir=folder / name, env={"GRAPH_API_URL": graph.url, "TYPING": "off", "SERVICE_TOKEN": "s"})
                 for name in (["a", "b"] if database_kind == "postgres" else ["a"])]
    people = [str(person) for person in range(10, 30)]

    def switch(status):
        body = {"id": "facebook", "name": "n", "description": "d", "status": status,
                "settings": {"verify": "v", "secret": SECRET, "page_access_token": "token"}}
        assert processes[0].call("PUT", "/admin/integrations/facebook", body).status == 200
        for process in processes:
            is_on = lambda: process.get("/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=1").status == 200
            assert eventually(lambda: is_on() == status, 4)

    switch(True)
    graph.control(default={"status": 503, "body": ""})
    for person in people:
        assert processes[-1].say(person, "/init_conversation").status == 200
    assert eventually(lambda: {entry["recipient"] for entry in graph.entries()} == set(people))
    switch(False)
    assert eventually(lambda: processes[0].metric("bus_parked", reason="disabled") == len(people), 30)
    graph.control(default="ok")
    tried = len(graph.entries())
    assert eventually(lambda: len(graph.entries()) > tried, 2) is False, "nothing is sent while it is off"
    switch(True)
    for person in people:
        assert processes[0].say(person, "/init_conversation").status == 200
    both = lambda: [person for person in people if len(graph.texts(person)) == 4]  # two texts an answer
    assert eventually(lambda: both() == people, 15), (both(), people)


def test_an_expired_reply_is_dropped_and_counted(start, folder, graph, database):
    process = launch(start, folder, graph, database, {"REPLY_MAX_AGE": "60s"})
    old = int(time.time() * 1000) - 120_000
    assert process.deliver(webhook([text_item("5", "hello", "m_old", timestamp=old)])).status == 200
    assert eventually(lambda: outcome(process, "expired") == 1) and eventually(lambda: process.metric("bus_pending") == 0)
    assert sent(graph, "5") == []
    assert process.get("/states/5").json()["user_message"]["text"] == "hello", "its turn is kept"


def test_the_alert_about_silence(start, folder, graph, database):
    process = launch(start, folder, graph, database, {"WEBHOOK_SILENCE_ALERT": "2s"})
    process.say("5", "hello")
    assert process.metric("messenger_last_webhook_timestamp_seconds", page="1") > time.time() - 60
    silent = "no webhook came for this page: see whether the app is still subscribed (loquat page status)"
    assert eventually(lambda: process.logs(silent), 15)
    process.say("5", "hello")
    assert eventually(lambda: process.logs("webhooks come for this page again"))


def test_another_bot_is_live_within_two_seconds(start, folder, graph, database, database_kind):
    process = launch(start, folder, graph, database)
    processes = [process] + ([start(graph=graph, database=database, data_dir=folder / "two")] if database_kind == "postgres" else [])
    for each in processes:
        assert each.post("/bots/channels/rest/webbook", {"thread_id": "a", "text": "hello", "context": {}}).json() == [{"text": "Welcome"}]
    bot = write_bot(folder / "new.json", intent("init_conversation", "Bonjour", "Welcome message", ["hello"]))
    assert process.run("import", bot).returncode == 0
    for each in processes:
        assert eventually(lambda: each.post("/bots/channels/rest/webbook", {"thread_id": "b", "text": "hello", "context": {}}).json() == [{"text": "Bonjour"}], 4, 0.1)


# --- the database -------------------------------------------------------------------------------------------------

def deliver_until(process, people, stop, accepted, refused):
    """Meta: delivers again what was not answered 200."""
    for person in people:
        body = webhook([text_item(person, "hello", f"m_{person}")])
        while not stop.is_set():
            try:
                status = process.deliver(body).status
            except OSError:
                status = 0
            if status == 200:
                accepted.append(person)
                break
            refused.append(status)
            time.sleep(0.1)


@contextlib.contextmanager
def stopped(postgres):
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@pytest.mark.parametrize("how", ["stopped", "hung"])
@pytest.mark.parametrize("database_kind", ["postgres"])
def test_postgresql_is_away_for_ten_seconds(start, folder, graph, database, postgres, database_kind, how):
    process = launch(start, folder, graph, database)
    process.say("9", "hello")
    assert eventually(lambda: graph.texts("9"))
    stop, accepted, refused = threading.Event(), [], []
    people = [str(n) for n in range(1000, 1400)]
    workers = [threading.Thread(target=deliver_until, args=(process, people[i::4], stop, accepted, refused)) for i in range(4)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(accepted) > 20)
    away = time.monotonic()
    with postgres.hung() if how == "hung" else stopped(postgres):
        assert eventually(lambda: process.get("/readiness").status == 503, 6)
        assert process.get("/health").status == 200
        begin = time.monotonic()
        process.get("/readiness")
        assert time.monotonic() - begin < 10, "readiness is answered within its timeout"
        eventually(lambda: time.monotonic() - away >= 10)
    assert eventually(lambda: process.get("/readiness").status == 200, 30)
    for worker in workers:
        worker.join(60)
    stop.set()
    assert len(accepted) == len(people) and set(refused) <= {503, 0}
    assert eventually(lambda: all(graph.texts(person) for person in people), 40)
    count = int(postgres.sql("SELECT count(*) FROM states", database))
    assert count == len(people) + 1, "each message has had one effect"
    assert process.process.poll() is None


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_full_disk(start, folder, graph, database, database_kind):
    process = launch(start, folder, graph, database)
    process.say("9", "hello")
    assert eventually(lambda: graph.texts("9"))
    path = database.removeprefix("sqlite:///")
    largest = max(os.path.getsize(p) for p in (path, path + "-wal") if os.path.exists(p))
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (largest + 200_000, resource.RLIM_INFINITY))
    statuses = []
    accepted = []
    filler = "x" * 1000
    for n in range(3000):
        person = str(10_000 + n)
        status = process.deliver(webhook([text_item(person, filler, f"m_{person}")])).status
        statuses.append(status)
        if status == 200:
            accepted.append(person)
        if statuses[-5:] == [503] * 5:
            break
    assert set(statuses) == {200, 503}, set(statuses)
    assert process.get("/health").status == 200 and process.process.poll() is None
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert eventually(lambda: process.say("2", "hello").status == 200, 15)
    assert eventually(lambda: graph.texts("2") and all(graph.texts(person) for person in accepted), 30), "everything accepted is answered"
    assert sqlite_sql(path, "SELECT count(*) FROM states WHERE version > 1") == [(0,)]


class SmallDisk:
    """A database of PostgreSQL whose files cannot grow much: a tablespace on a small tmpfs, or a limit on the size of the server's files
    where none can be mounted. Its log is elsewhere: without room for that a server stops."""

    def __init__(self, postgres):
        self.postgres, self.folder = postgres, pathlib.Path(temporary_folder())
        self.folder.chmod(0o755)
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=18m", "tmpfs", self.disk], capture_output=True).returncode == 0
        if not self.mounted:
            self.url = postgres.database()
            return
        if os.geteuid() == 0:
            shutil.chown(self.disk, "postgres")
        postgres.sql(f"CREATE TABLESPACE small LOCATION '{self.disk}'", "postgres")
        self.url = postgres.database("TABLESPACE small")

    def _limit_files(self, size):
        for pid in self.postgres.all_pids():
            done = subprocess.run([*self.postgres.as_user, "prlimit", "--pid", str(pid), f"--fsize={size}:"], capture_output=True, text=True)
            assert done.returncode == 0 or not os.path.exists(f"/proc/{pid}"), done.stderr

    def fill_up(self):
        if not self.mounted:
            self._limit_files(17 << 20)  # a file of the log has 16 MiB

    def make_room(self):
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,size=400m", self.disk], check=True)
        else:
            self._limit_files("unlimited")

    def remove(self):
        if self.mounted:
            self.postgres.sql(f"DROP DATABASE {self.url.rsplit('/', 1)[-1]} WITH (FORCE)", "postgres")
            self.postgres.sql("DROP TABLESPACE small", "postgres")
            subprocess.run(["umount", self.disk], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def test_a_full_disk_of_postgresql(start, folder, graph, postgres, request):
    disk = SmallDisk(postgres)
    request.addfinalizer(disk.remove)
    process = launch(start, folder, graph, disk.url)
    process.say("9", "hello")
    assert eventually(lambda: graph.texts("9"))
    disk.fill_up()
    letters = random.Random(5)
    accepted, statuses = [], []
    for n in range(12_000):
        person = str(10_000 + n)
        filler = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=1900))
        statuses.append(process.deliver(webhook([text_item(person, filler, f"m_{person}")])).status)
        if statuses[-1] == 200:
            accepted.append(person)
        if statuses[-5:] == [503] * 5:
            break
    assert set(statuses) == {200, 503}, set(statuses)
    assert process.get("/health").status == 200 and process.process.poll() is None
    disk.make_room()
    assert eventually(lambda: process.say("2", "hello").status == 200, 15)
    assert eventually(lambda: graph.texts("2") and all(graph.texts(person) for person in accepted), 60), "everything accepted is answered"
    assert eventually(lambda: process.metric("bus_pending") == 0, 40)
    assert all(count == "1" for count in postgres.sql("SELECT count(*) FROM states GROUP BY thread_id", disk.url).split()), "once each"
    process.stop()


# --- messages that are not like others ----------------------------------------------------------------------------

def test_odd_texts_are_taken(service, graph):
    deep = "[" * 5000 + "]" * 5000
    odd = [r"a\u0000b", r"\ud800", r"\udc00\ud83d", r"\uffff\ufffe", "\\\\u0000", "' OR 1=1; --", "{{ 7 * 7 }}", r"\u202e\u0007\u001b[31m"]
    for n, text in enumerate(odd):
        person = str(20 + n)
        body = webhook([text_item(person, "@", f"m_{n}")]).decode().replace('"@"', f'"{text}"').encode()
        assert service.deliver(body).status == 200, text
        assert eventually(lambda: graph.texts(person)), text
    body = webhook([text_item("60", "hello", "m_60") | {"deep": 0}, text_item("61", "hello", "m_61")]).decode().replace('"deep": 0', f'"deep": {deep}').encode()
    assert service.deliver(body).status == 200
    assert eventually(lambda: graph.texts("61") == ["Welcome"])
    assert service.deliver(b'{"object":"page","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}").status == 200
    assert service.get("/health").status == 200


def list_letters(process):
    return json.loads(process.run("dead-letters", "list", "--json").stdout)


def test_dead_letters(service, graph):
    bad = {"sender": "nobody", "recipient": {"id": "1"}, "message": 5}
    assert service.deliver(webhook([bad, text_item("5", "hello", "m_1"), bad | {"message": 6}])).status == 200
    assert eventually(lambda: graph.texts("5") == ["Welcome"])
    letters = list_letters(service)
    assert len(letters) == 2 and all(letter["reason"] and letter["page"] == "1" for letter in letters)
    assert eventually(lambda: service.metric("bus_dead_letters") == 2, 5)
    one, two = (str(letter["id"]) for letter in letters)
    shown = service.run("dead-letters", "show", one)
    assert shown.returncode == 0 and "nobody" in shown.stdout
    assert service.run("dead-letters", "show", "999").returncode == 1
    assert service.run("dead-letters", "replay", one).returncode == 1, "what could not be read cannot be replayed"
    assert service.run("dead-letters", "drop", one, "999").returncode == 3
    assert service.run("dead-letters", "drop", two).returncode == 0
    assert list_letters(service) == [] and service.run("dead-letters", "list").stdout == "There are no dead letters.\n"
    assert service.run("dead-letters", "drop").returncode == 2


def is_test_build():
    return os.path.exists(DEV_BINARY)


@pytest.mark.skipif(not is_test_build(), reason="needs ./dev build dev: only test builds can be made to abort")
def test_a_message_that_kills_the_process(start, folder, graph, database):
    process = launch(start, folder, graph, database, {"LOQUAT_TEST_ABORT_ON": "poison", "ASAN_OPTIONS": "detect_leaks=0"}, binary=DEV_BINARY)
    process.say("4", "hello")
    assert eventually(lambda: graph.texts("4"))
    people = [str(100 + n) for n in range(20)]
    poison = text_item("5", "poison", "m_poison")
    items = [text_item(person, "hello", f"m_{person}") for person in people[:10]]
    items += [poison, text_item("5", "hello", "m_after")] + [text_item(p, "hello", f"m_{p}") for p in people[10:]]
    try:
        assert process.deliver(webhook(items)).status == 200
    except OSError:
        process.process.wait(20)
        process.start(ready=False)
        process.deliver(webhook(items))
    starts = 0

    def restarted():
        nonlocal starts
        if process.process.poll() is not None:
            starts += 1
            process.start(ready=False)
        return graph.texts("5") == ["Welcome"] and process.is_ready()

    assert eventually(restarted, 90, 0.1), (starts, process.output()[-3000:])
    assert starts <= 4
    [letter] = list_letters(process)
    assert letter["reason"] == "crashed the process" and letter["thread_id"] == "5" and letter["attempts"] >= 3
    assert eventually(lambda: all(graph.texts(person) == ["Welcome"] for person in people), 20), "it took nobody with it"
    # A redelivery does not revive it; a replay runs it, under a process that survives it.
    assert process.deliver(webhook([poison])).status == 200
    eventually(lambda: process.process.poll() is not None, 1.5)
    assert process.process.poll() is None
    process.stop()
    process.env["LOQUAT_TEST_ABORT_ON"] = "another"
    process.start()
    assert process.run("dead-letters", "replay", str(letter["id"])).returncode == 0
    assert eventually(lambda: graph.texts("5") == ["Welcome", "I do not know"])
    assert list_letters(process) == []


def test_erasing_a_person(service, graph):
    graph.control(by_recipient={"5": [{"slow": 1}]})
    service.say("5", "secret words")
    assert eventually(lambda: sent(graph, "5")) and eventually(lambda: service.get("/states/5").status == 200)
    assert service.call("DELETE", "/states/5").status == 204
    assert service.get("/states/5").status == 404
    assert service.call("DELETE", "/states/5").status == 204, "also when there is none"
    service.say("5", "hello")
    assert eventually(lambda: "Welcome" in graph.texts("5"))
    assert "secret words" not in service.get("/states/5/history").text


def test_a_redelivery_after_a_restart_is_known(start, folder, graph, database):
    process = launch(start, folder, graph, database)
    body = webhook([text_item("5", "hello", "m_1")])
    assert process.deliver(body).status == 200
    assert eventually(lambda: graph.texts("5") == ["Welcome"])
    assert eventually(lambda: process.metric("bus_pending") == 0)
    process.stop()
    process.start()
    assert process.deliver(body).status == 200
    assert eventually(lambda: process.metric("dialogue_turns_total", outcome="redelivered") == 1)
    assert graph.texts("5") == ["Welcome"] and process.get("/states/5").json()["version"] == 1
