"""The crash test: processes die by SIGKILL again and again while Meta delivers; nothing is lost, nothing decided twice.

Sizes by environment: LOQUAT_CRASH_CONVERSATIONS, LOQUAT_CRASH_MESSAGES (of each), LOQUAT_CRASH_KILLS (on each database), LOQUAT_CRASH_SEED.
"""
import collections
import http.client
import json
import os
import random
import signal
import threading
import time

import pytest

from support.processes import SECRET, eventually, intent, request, sign, sqlite_sql, text_item, write_bot

CONVERSATIONS = int(os.environ.get("LOQUAT_CRASH_CONVERSATIONS", 200))
MESSAGES = int(os.environ.get("LOQUAT_CRASH_MESSAGES", 50))
KILLS = int(os.environ.get("LOQUAT_CRASH_KILLS", 20))
SEED = int(os.environ.get("LOQUAT_CRASH_SEED", time.time_ns() % 1_000_000))
WORKERS = 8
SEND_DEADLINE = 5  # seconds after which the sender takes an answer for lost


class Meta(threading.Thread):
    """Delivers the next messages of its conversations in batches, until each has been answered 200; as Meta does, with
    repetitions at once, later, and to another process."""

    def __init__(self, number, conversations, processes, allowed, begin):
        super().__init__(daemon=True)
        self.random = random.Random(SEED + number)
        self.next = {conversation: 1 for conversation in conversations}
        self.processes, self.allowed, self.begin = processes, allowed, begin
        self.connections = {}
        self.posts = self.refused = self.lost = 0
        self.failure = None
        self.old = collections.deque(maxlen=50)

    def post(self, body, process):
        connection = self.connections.get(process)
        if connection is None:
            connection = self.connections[process] = http.client.HTTPConnection("127.0.0.1", process.port, timeout=4)
        self.posts += 1
        try:
            connection.request("POST", "/webhook", body, {"X-Hub-Signature-256": sign(body, SECRET)})
            answer = connection.getresponse()
            answer.read()
        except OSError:
            self.lost += 1
        except http.client.HTTPException:
            self.lost += 1
        else:
            if answer.status not in (200, 503):
                raise AssertionError(f"status {answer.status}")
            self.refused += answer.status == 503
            return answer.status == 200
        connection.close()
        self.connections.pop(process, None)
        return False

    def body_of(self, batch):
        pages = collections.defaultdict(list)
        for conversation, k in batch:
            pages[page_of(conversation)].append(text_item(conversation, f"/n_{k}", f"m_{conversation}_{k}", page_of(conversation)))
        return json.dumps({"object": "page", "entry": [{"id": page, "time": self.begin, "messaging": items} for page, items in pages.items()]}).encode()

    def deliver(self, body):
        while not self.post(body, self.random.choice(self.processes)):
            time.sleep(0.03)

    def run(self):
        try:
            while waiting := [c for c, k in self.next.items() if k <= MESSAGES]:
                ready = [c for c in waiting if self.next[c] <= self.allowed()]
                if not ready:
                    time.sleep(0.01)
                    continue
                chosen = self.random.sample(ready, min(len(ready), self.random.randint(1, 12)))
                body = self.body_of([(c, self.next[c]) for c in chosen])
                dice = self.random.random()
                if dice < 0.1:  # twice at once
                    twin = threading.Thread(target=lambda b=body: self.twin(b), daemon=True)
                    twin.start()
                    self.deliver(body)
                    twin.join()
                else:
                    self.deliver(body)
                if dice > 0.9 and self.old:
                    self.deliver(self.random.choice(self.old))
                self.old.append(body)
                for c in chosen:
                    self.next[c] += 1
        except BaseException as error:
            self.failure = error

    def twin(self, body):
        process = self.random.choice(self.processes)
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=4)
        try:
            connection.request("POST", "/webhook", body, {"X-Hub-Signature-256": sign(body, SECRET)})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


def page_of(conversation):
    return str(500 + int(conversation) % 25)


class Killer:
    """Kills one process after the other, as soon as it is ready again or in the middle of its start."""

    def __init__(self, processes, graph):
        self.processes, self.graph, self.random = processes, graph, random.Random(SEED)
        self.times = []  # (begin, end) of what explains a repetition

    def kill_one(self):
        process = self.random.choice(self.processes)
        begin = time.time()
        process.kill()
        assert request(f"{self.graph.url}/health").status == 200  # the stand-in has read what the process had sent
        self.times.append((begin, time.time()))
        process.start(ready=False)
        # Now and then it dies again before it is up.
        if self.random.random() < 0.8:
            assert eventually(process.is_ready, 30), process.output()[-2000:]
            assert process.process.poll() is None, process.output()[-2000:]
            time.sleep(self.random.uniform(0.05, 0.7))
        else:
            time.sleep(self.random.uniform(0.0, 0.3))

    def stop_one(self, seconds):
        process = self.random.choice(self.processes)
        begin = time.time()
        process.signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.signal(signal.SIGCONT)
        self.times.append((begin, time.time() + SEND_DEADLINE))


def crash(database, folder, graph, start, count, stop=False):
    options = {"graph": graph, "database": database, "env": {"LOG_LEVEL": "info"}}
    bot = write_bot(folder / "bot.json", *[intent(f"n_{k}", str(k)) for k in range(1, MESSAGES + 1)])
    first = start(ready=False, start=False, **options)
    assert first.run("import", bot).returncode == 0
    processes = [first.start()] + [start(data_dir=folder / f"data{i}", **options) for i in range(1, count)]
    graph.control(lose_every=701)
    begin = int(time.time() * 1000) - MESSAGES
    killer = Killer(processes, graph)
    done = threading.Event()

    def allowed():  # the messages are spread over all the kills
        return MESSAGES if done.is_set() else 1 + len(killer.times) * MESSAGES // (KILLS + 1)

    everyone = [str(1000 + i) for i in range(CONVERSATIONS)]
    workers = [Meta(i, everyone[i::WORKERS], processes, allowed, begin) for i in range(WORKERS)]
    for worker in workers:
        worker.start()
    while len(killer.times) < KILLS:
        if stop and len(killer.times) == KILLS // 2:
            killer.stop_one(13)
        else:
            killer.kill_one()
    done.set()
    for process in processes:
        assert eventually(process.is_ready, 30)
    for worker in workers:
        worker.join(120)
        assert worker.failure is None and not worker.is_alive(), worker.failure
    return killer, workers


def check(killer, workers, graph, states, note):
    expected = CONVERSATIONS * MESSAGES

    def taken():
        return [e for e in graph.entries() if e["answer"] == "ok" or e["answer"] == {"lose": True}]

    eventually(lambda: len({e["metadata"] for e in taken()}) >= expected, 90, 0.3)
    eventually(lambda: False, 0.5)
    replies = collections.defaultdict(list)  # metadata -> entries
    order = collections.defaultdict(list)
    for entry in taken():
        if entry["metadata"] not in replies:
            order[entry["recipient"]].append(int(entry["text"]))
        replies[entry["metadata"]].append(entry)
    numbers = list(range(1, MESSAGES + 1))
    missing = {c: sorted(set(numbers) - set(order[c])) for c in workers_conversations(workers) if set(order[c]) != set(numbers)}
    assert not missing, f"messages without an answer: {missing}"
    disordered = {c: seen for c, seen in order.items() if seen != numbers}
    assert not disordered, f"out of order: {disordered}"
    # One row an effect: the versions are 1..n in the order of the messages.
    by_thread = collections.defaultdict(list)
    for thread, version, message in states():
        by_thread[thread].append((int(version), json.loads(message)["text"]))
    for conversation in workers_conversations(workers):
        assert sorted(by_thread[conversation]) == [(k, f"/n_{k}") for k in numbers], conversation
    repeated = {metadata: entries for metadata, entries in replies.items() if len(entries) > 1}
    unexplained = []
    for metadata, entries in repeated.items():
        for before, after in zip(entries, entries[1:]):
            lost = before["answer"] != "ok" or after["time"] - before["time"] >= SEND_DEADLINE - 0.5
            killed = any(before["time"] <= end and after["time"] >= begin for begin, end in killer.times)
            if not lost and not killed:
                unexplained.append((metadata, before["time"], after["time"]))
    note(f"{expected} messages, {sum(w.posts for w in workers)} deliveries ({sum(w.refused for w in workers)} refused, {sum(w.lost for w in workers)} without answer), "
         f"{len(killer.times)} kills: {sum(len(e) - 1 for e in repeated.values())} replies sent twice, {sum(e['answer'] != 'ok' for e in taken())} answers lost; seed {SEED}")
    assert not unexplained, f"sent twice without a reason: {unexplained[:5]}"


def workers_conversations(workers):
    return [c for worker in workers for c in worker.next]


@pytest.fixture
def note(capsys):
    def say(text):
        with capsys.disabled():
            print(f"\n  {text}")
    return say


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_one_process_on_sqlite(database_kind, database, folder, graph, start, note):
    killer, workers = crash(database, folder, graph, start, 1)
    path = database.removeprefix("sqlite:///")
    check(killer, workers, graph, lambda: sqlite_sql(path, "SELECT thread_id, version, user_message FROM states"), note)


@pytest.mark.parametrize("database_kind", ["postgres"])
def test_three_processes_on_postgresql(database_kind, database, folder, graph, start, postgres, note):
    killer, workers = crash(database, folder, graph, start, 3, stop=True)

    def states():
        return [line.split("|", 2) for line in postgres.sql("SELECT thread_id, version, user_message FROM states", database).splitlines()]

    check(killer, workers, graph, states, note)
