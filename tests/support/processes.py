"""Starts and stops what a test needs, by process id, on free ports of 127.0.0.1, in temporary folders."""
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("LOQUAT_BINARY", str(ROOT / "build/release/loquat"))
DEV_BINARY = os.environ.get("LOQUAT_DEV_BINARY", str(ROOT / "build/dev/loquat"))
SECRET = "appsecret"
IN_CI = os.environ.get("CI") == "true"


_ports = iter(random.sample(range(12000, 32000), 10000))


def free_port():
    """A port that nobody listens on, below those the kernel gives to outgoing connections: a server that restarts finds it free again, even
    when clients have tried to connect to it all the while (such a connection can get the very port it connects to, and then it reaches itself)."""
    for port in _ports:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def eventually(condition, seconds=20, every=0.02):
    """Waits until condition() is true; gives its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def request(url, method="GET", body=None, headers=None, timeout=30):
    """One HTTP request; never raises for a status."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def sign(body, secret=SECRET):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def webhook(items, page="1", time_ms=None):
    """A webhook's body with the items of one entry."""
    now = int(time.time() * 1000) if time_ms is None else time_ms
    return json.dumps({"object": "page", "entry": [{"id": page, "time": now, "messaging": items}]}).encode()


def text_item(sender, text, mid, page="1", timestamp=None):
    """What a person writes to a page. A person whose id is the page's is its echo."""
    return {"sender": {"id": sender}, "recipient": {"id": page}, "timestamp": timestamp or int(time.time() * 1000), "message": {"mid": mid, "text": text}}


class Graph:
    """The Graph API's stand-in."""

    def __init__(self, folder):
        self.log = pathlib.Path(folder) / "graph.log"
        self.process = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).with_name("graph.py")), "0", str(self.log)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._seen, self._offset = [], 0

    def control(self, **orders):
        request(f"{self.url}/control", "POST", orders)

    def entries(self, kind="message"):
        self._read()
        return [entry for entry in self._seen if kind is None or entry["kind"] == kind]

    def _read(self):
        """What was logged since the last look; a line that is being written waits for the next."""
        if not self.log.exists():
            return
        with open(self.log, "rb") as log:
            log.seek(self._offset)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._seen += map(json.loads, whole.splitlines())

    def texts(self, recipient):
        """What a person has received: messages that were answered with ok."""
        return [entry["text"] for entry in self.entries() if entry["recipient"] == recipient and entry["answer"] == "ok"]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Loquat:
    """The binary, serving."""

    def __init__(self, folder, *targets, graph=None, database=None, binary=None, port=0, ready=True, env=None, arguments=(), data_dir=None, start=True):
        self.folder = pathlib.Path(folder)
        self.binary, self.targets, self.arguments = binary or BINARY, targets, arguments
        self.env = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "DATA_DIR": str(data_dir or self.folder / "data"), "LOG_FORMAT": "json"}
        if database:
            self.env["DATABASE_URL"] = database
        if graph:
            self.env |= {"GRAPH_API_URL": graph.url, "APP_SECRET": SECRET, "VERIFY_TOKEN": "verify", "PAGE_ACCESS_TOKEN": "token", "TYPING": "off"}
        self.env |= env or {}
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.lines = []
        if start:
            self.start(ready)

    def start(self, ready=True):
        env = self.env | {"PORT": str(self.port)}
        self.process = subprocess.Popen([self.binary, "serve", *self.targets, *self.arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        if ready:
            assert eventually(self.is_ready, 30), f"not ready: {self.output()[-3000:]}"
        return self

    def _read(self, stream):
        for line in stream:
            self.lines.append(line.decode(errors="replace"))

    def _settle(self):
        """What the process has written by now is read."""
        for _ in range(20):
            before = len(self.lines)
            time.sleep(0.03)
            if len(self.lines) == before:
                return

    def output(self):
        self._settle()
        return "".join(self.lines)

    def logs(self, message=None):
        self._settle()
        entries = []
        for line in list(self.lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if message is None or entry.get("message") == message:
                entries.append(entry)
        return entries

    def is_ready(self):
        if self.process.poll() is not None:
            return True
        try:
            return self.get("/readiness").status == 200
        except OSError:
            return False

    def get(self, path, headers=None, **options):
        return request(self.url + path, "GET", None, headers, **options)

    def call(self, method, path, body=None, headers=None, **options):
        return request(self.url + path, method, body, headers, **options)

    def post(self, path, body=None, headers=None, **options):
        return request(self.url + path, "POST", body, headers, **options)

    def deliver(self, body, secret=SECRET, path="/webhook"):
        return self.post(path, body, {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"})

    def say(self, sender, text, mid=None, page="1"):
        mid = mid or f"m_{sender}_{time.time_ns()}"
        return self.deliver(webhook([text_item(sender, text, mid, page)], page))

    def metric(self, name, **labels):
        """Sum of a metric's series that have these labels."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            if line.startswith("loquat_" + name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
                head = line[len("loquat_" + name):][:1]
                if head in ("{", " "):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def run(self, *arguments, env=None, input=None, timeout=60):
        """Another command of the binary with the same settings."""
        return subprocess.run([self.binary, *arguments], env=self.env | {"PORT": str(self.port)} | (env or {}), capture_output=True, text=True, timeout=timeout, input=input)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=40):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("did not stop in time")
        return self.process.returncode


def serve_store(target, url_setting, env):
    """`serve TARGET` alone with these settings; or, where env is None, the whole product (on SQLite) whose store, named by url_setting, is in
    such a process. Gives the process to ask; after the yield all are stopped."""
    folder = pathlib.Path(temporary_folder())
    token = {"SERVICE_TOKEN": "service-token"}
    own = env if env is not None else {"DATABASE_URL": f"sqlite:///{folder}/loquat.db"}
    processes = [Loquat(folder, target, env=own | token)]
    if env is None:
        processes.append(Loquat(folder, env=token | {url_setting: processes[0].url, "DATABASE_URL": f"sqlite:///{folder}/own.db"}, data_dir=folder / "own"))
    yield processes[-1]
    for each in reversed(processes):
        each.stop()
    shutil.rmtree(folder, ignore_errors=True)


FALLBACK, WELCOME = "Default Fallback intent", "Welcome message"  # the names of the first start: an import replaces them


def intent(intent_id, answer, name=None, phrases=(), **members):
    """An intent in the export format."""
    return {"name": name or intent_id, "userDefined": True, "intentId": intent_id, "apiTrigger": False, "apiDetails": None, "speechResponse": answer,
            "parameters": [], "labeledSentences": [], "trainingData": [{"text": phrase, "entities": []} for phrase in phrases]} | members


def write_bot(path, *intents, entities=()):
    """A bot's file: these intents and a fallback that is always the same."""
    known = [intent("fallback", "I do not know", FALLBACK)] if all(i["intentId"] != "fallback" for i in intents) else []
    pathlib.Path(path).write_text(json.dumps({"intents": known + list(intents), "entities": list(entities)}))
    return str(path)


def is_still(pid):
    """All threads of a process are stopped, or it is gone. On a busy machine that takes a while, and what still runs still answers."""
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rsplit(")", 1)[1].split()[0] not in "TtZX":
                return False
    return True


class Postgres:
    """A private PostgreSQL server with fsync on."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        candidates = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.programs = candidates[-1] if candidates else None
        self.port = free_port()
        self.data = self.folder / "pg"
        self.count = 0
        self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.geteuid() == 0 else []
        self._prepare()
        self.start()

    @staticmethod
    def available():
        return bool(list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")))

    def _prepare(self):
        self.folder.chmod(0o755)
        self.data.mkdir()
        if self.as_user:
            shutil.chown(self.data, "postgres")
        subprocess.run([*self.as_user, self.programs / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "-E", "UTF8"], check=True, capture_output=True, cwd="/")
        with open(self.data / "postgresql.conf", "a") as config:
            config.write(f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories=''\nmax_connections=200\nshared_buffers=128MB\n")

    def start(self):
        self.process = subprocess.Popen([*self.as_user, self.programs / "postgres", "-D", self.data], stdout=subprocess.DEVNULL, stderr=open(self.folder / "pg.log", "a"), cwd="/")
        assert eventually(self._answers, 30), "PostgreSQL does not start"

    def _answers(self):
        return subprocess.run([self.programs / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]).returncode == 0

    def pids(self):
        with open(self.data / "postmaster.pid") as file:
            return int(file.readline())

    def all_pids(self):
        """The server's and those of its children. Children come and go: one of them may be gone when it is used."""
        parent = self.pids()
        children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout
        return [parent] + [int(pid) for pid in children.split()]

    @contextlib.contextmanager
    def hung(self):
        """Meanwhile the server accepts and never answers: it and all its children hold still."""
        def signal_all(number):
            for pid in self.all_pids():  # the server itself first: then no child comes any more
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        try:
            os.kill(self.pids(), signal.SIGSTOP)
            signal_all(signal.SIGSTOP)
            assert eventually(lambda: all(map(is_still, self.all_pids())), 10)
            yield
        finally:
            signal_all(signal.SIGCONT)

    def stop(self, how=signal.SIGINT):
        try:
            os.kill(self.pids(), how)
        except (FileNotFoundError, ProcessLookupError):
            pass
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            try:
                os.kill(self.pids(), signal.SIGQUIT)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it is about to end
            self.process.wait(60)

    def database(self, options=""):
        self.count += 1
        name = f"test{self.count}"
        self.sql(f"CREATE DATABASE {name} {options}", "postgres")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def sql(self, text, database):
        database = database.rsplit("/", 1)[-1]
        done = subprocess.run([self.programs / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def sqlite_sql(path, text):
    import sqlite3
    connection = sqlite3.connect(path, timeout=10)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def temporary_folder():
    return tempfile.mkdtemp(prefix="loquat-")
