#!/usr/bin/env python3
"""Measures Loquat, in turns with a Python peer and with the bare limits of this machine, and writes docs/benchmarks.md.

usage: ./dev bench [GROUP...] [--peer DIR] [--rounds N] [--seconds S] [--out FILE]
  GROUP: start, admit, latency, reply, scale, state, integrations, memory, instructions (default: all)
  --peer DIR: the folder of a Python peer (pg.sh, start.sh, *_service.py); default: ../shared/peer where it is there
Server on core 0, load, database and stand-ins on core 1; medians; absolute figures drift between hours, ratios less so."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.processes import Loquat, Postgres, eventually, free_port, intent, request, write_bot  # noqa: E402

BUILD = ROOT / "build/release"
BINARY = os.environ.get("LOQUAT_BINARY", str(BUILD / "loquat"))
LOAD = os.environ.get("LOQUAT_LOAD", str(BUILD / "bench/load"))
BARE = os.environ.get("LOQUAT_BARE", str(BUILD / "bench/bare_server"))
CLOCK = os.sysconf("SC_CLK_TCK")


def pin(pid, cores):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(task), cores)
        except ProcessLookupError:
            pass


def children(pid):
    found = [pid]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found += children(int(entry))
    return found


def cpu_seconds(pid):
    total = 0.0
    for each in children(pid):
        try:
            with open(f"/proc/{each}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / CLOCK
        except OSError:
            pass
    return total


def wait_until_idle(pid, seconds=60):
    """Until the processes use less than 2 % of a core."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = cpu_seconds(pid)
        time.sleep(0.5)
        if cpu_seconds(pid) - before <= 0.01:
            return


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0


def load(port, kind, seconds, connections=64, rate=None, token="", cores="1"):
    command = ["taskset", "-c", cores, LOAD, "127.0.0.1", str(port), kind, str(connections), str(seconds)] + ([str(rate)] if rate else [])
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LOAD_TOKEN": token})
    return json.loads(done.stdout)


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loquat-bench-"))
        self.rows = []
        self.stops = []
        self.raw = []
        self._postgres = None

    # --- servers ---

    def postgres(self):
        if self._postgres is None:
            folder = tempfile.mkdtemp(prefix="loquat-bench-pg-")  # of its own: the server's user must reach it
            self.stops.append(lambda: shutil.rmtree(folder, ignore_errors=True))
            self._postgres = Postgres(folder)
            self.stops.append(self._postgres.stop)
            # As a server that has run for a while: the files of its log are there to be reused. A new one fills and syncs each while all
            # commits wait.
            for command in ("ALTER SYSTEM SET min_wal_size = '1GB'", "ALTER SYSTEM SET max_wal_size = '4GB'", "SELECT pg_reload_conf()",
                            "CREATE TABLE filler AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 900000)", "DROP TABLE filler", "CHECKPOINT"):
                self._postgres.sql(command, "postgres")
        return self._postgres

    def pin_postgres(self, server_cores):
        """Away from the server's core, or with it on both."""
        for pid in children(self.postgres().process.pid):
            pin(pid, server_cores if len(server_cores) > 1 else {1})

    def bare(self, mode, core):
        process = subprocess.Popen(["taskset", "-c", str(core), BARE, "0", mode], stdout=subprocess.PIPE, text=True)
        self.stops.append(process.kill)
        port = int(process.stdout.readline().split()[1])
        return process, port

    def loquat(self, database, graph_port, *targets, env=None, cores=frozenset({0}), under=None):
        """`under`: a command that runs the server, in words."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        url = f"sqlite:///{folder}/loquat.db" if database == "sqlite" else self.postgres().database()
        settings = {"DATABASE_URL": url, "LOG_LEVEL": "warning", "IO_THREADS": "1", "TYPING": "off", "PAGE_RATE_TEXT": "0", "APP_SECRET": "appsecret", "VERIFY_TOKEN": "v",
                    "PAGE_ACCESS_TOKEN": "tok", "GRAPH_API_URL": f"http://127.0.0.1:{graph_port}", "REST_RATE_PER_THREAD": "1000000"}
        process = Loquat(folder, *targets, binary=BINARY, env=settings | (env or {}), start=False)
        if not targets:  # one reply a message, as the peer's bot gives
            imported = process.run("import", write_bot(folder / "bot.json", intent("fallback", "I do not know that yet", "Default Fallback intent")))
            assert imported.returncode == 0, imported.stderr
        if under:
            process.binary = folder / "under"
            process.binary.write_text(f'#!/bin/sh\nexec {under} {BINARY} "$@"\n')
            process.binary.chmod(0o755)
        process.start()
        self.stops.append(process.kill)
        pin(process.process.pid, cores)
        if database != "sqlite":
            time.sleep(0.3)
            self.pin_postgres(cores)
        return process

    def peer(self, service, database, graph_port=0, workers=1, cores=frozenset({0})):
        port = free_port()
        url = self.postgres().database() if database == "postgres" else ""
        env = {k: v for k, v in os.environ.items() if not k.startswith("LOQUAT")} | {"APP_SECRET": "appsecret", "VERIFY_TOKEN": "v", "PAGE_ACCESS_TOKEN": "tok", "LOG_LEVEL": "WARNING",
                            "GRAPH_API_URL": f"http://127.0.0.1:{graph_port}/v18.0/me/messages", "PERF_DIR": str(self.folder)}
        if database == "postgres":
            env |= {"DB_DSN": url, "DB_URL": url.replace("postgresql://", "postgresql+psycopg2://")}
            self.postgres().sql((pathlib.Path(self.options.peer) / "schema.sql").read_text(), url) if service == "messenger" else None
        else:
            env |= {"DB_URL": f"sqlite:///{self.folder}/peer-{port}.db"}
        process = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), str(pathlib.Path(self.options.peer) / "start.sh"), service, str(port), str(workers)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stops.append(process.kill)
        assert eventually(lambda: answers(port), 30), f"the peer's {service} does not start"
        if database == "postgres":
            self.pin_postgres(cores)
        return process, port

    # --- measuring ---

    def measure(self, name, pid, port, kind, **options):
        before = cpu_seconds(pid)
        result = load(port, kind, self.options.seconds, **options)
        used = cpu_seconds(pid) - before
        good = result["requests"] - result["errors"]
        result |= {"name": name, "per_second": good / result["seconds"], "cpu_us": used / max(good, 1) * 1e6}
        self.raw.append(result)
        print(f"  {name}: {result['per_second']:,.0f}/s, {result['cpu_us']:.0f} us CPU, p99 {result['p99_ms']:.1f} ms, errors {result['errors']}", flush=True)
        return result

    def rounds(self, measures):
        """Runs all in turn, several times; medians by name."""
        for _ in range(self.options.rounds):
            for measure in measures:
                measure()

    def median(self, name, field="per_second"):
        values = [r[field] for r in self.raw if r["name"] == name]
        return statistics.median(values) if values else None

    def row(self, what, ours, theirs, must, field="per_second"):
        a, b = self.median(ours, field), self.median(theirs, field)
        if a is None:
            return
        ratio = (a / b) if b else None
        self.rows.append((what, f"{a:,.0f}", f"{b:,.0f}" if b else "-", f"{ratio:.2f}" if ratio else "-", must))

    # --- groups ---

    def admit(self):
        """Accepted durably, consumers off: the limit of admission."""
        bare, bare_port = self.bare("hmac", 0)
        graph, graph_port = self.bare("graph", 1)
        measures = [lambda: self.measure("bare HMAC and JSON", bare.pid, bare_port, "webhook")]
        if self.options.peer:
            peer, peer_port = self.peer("messenger", "postgres", graph_port)

            def peer_accepts():
                self.measure("peer webhook", peer.pid, peer_port, "webhook")
                wait_until_idle(peer.pid)  # it goes on answering what it accepted
            measures.append(peer_accepts)
        for database in ("sqlite", "postgres"):
            def accepts(database=database):
                process = self.loquat(database, graph_port, env={"CONSUMERS": "off"})
                self.measure(f"accept {database}", process.process.pid, process.port, "webhook")
                process.kill()
            measures.append(accepts)
        self.rounds(measures)
        for process in [bare, graph] + ([peer] if self.options.peer else []):
            process.kill()
        self.row("webhook accepted durably, SQLite FULL, against bare HMAC and JSON", "accept sqlite", "bare HMAC and JSON", "0.40")
        self.row("webhook accepted durably, PostgreSQL, against bare HMAC and JSON", "accept postgres", "bare HMAC and JSON", "0.30")
        self.row("the same, SQLite, against the peer's accept (stores nothing)", "accept sqlite", "peer webhook", "4")
        self.row("the same, PostgreSQL, against the peer's accept", "accept postgres", "peer webhook", "3")

    def latency(self):
        """How long the 200 takes at half the peak, from the moment a request was due (open loop)."""
        graph, graph_port = self.bare("graph", 1)

        def at_half(database):
            process = self.loquat(database, graph_port, env={"CONSUMERS": "off"})
            peak = load(process.port, "webhook", self.options.seconds)
            process.kill()
            rate = int((peak["requests"] - peak["errors"]) / peak["seconds"] / 2)
            process = self.loquat(database, graph_port, env={"CONSUMERS": "off"})
            load(process.port, "webhook", 1, rate=rate)  # connections and pages of a process that has just started
            result = self.measure(f"half the peak {database}", process.process.pid, process.port, "webhook", rate=rate)
            result["p99_us"] = result["p99_ms"] * 1000
            process.kill()
        self.rounds([lambda: at_half("sqlite"), lambda: at_half("postgres")])
        graph.kill()
        self.row("p99 of the 200 at half the peak, SQLite FULL, us", "half the peak sqlite", "", "10,000", "p99_us")
        self.row("p99 of the 200 at half the peak, PostgreSQL, us", "half the peak postgres", "", "10,000", "p99_us")

    def whole(self, name, pids, ports, graph_port, cores="1"):
        """One load on each port, until all accepted is answered."""
        def count():
            return request(f"http://127.0.0.1:{graph_port}/stats").json()["count"]

        start, before, used = time.monotonic(), count(), sum(map(cpu_seconds, pids))
        with concurrent.futures.ThreadPoolExecutor(len(ports)) as pool:
            results = list(pool.map(lambda port: load(port, "webhook", self.options.seconds, connections=64 // len(ports), cores=cores), ports))
        accepted = sum(result["requests"] - result["errors"] for result in results)
        last, since = count(), time.monotonic()
        while time.monotonic() - since < 3:  # until nothing comes any more
            time.sleep(0.05)
            if count() != last:
                last, since = count(), time.monotonic()
        sent = last - before
        result = {"name": name, "per_second": accepted / (since - start), "cpu_us": (sum(map(cpu_seconds, pids)) - used) / max(accepted, 1) * 1e6,
                  "accepted": accepted, "sent": sent}
        self.raw.append(result)
        print(f"  {name}: {result['per_second']:,.0f}/s answered, {sent} replies to {accepted} messages, {result['cpu_us']:.0f} us CPU", flush=True)

    def scale(self):
        """More threads, and more processes on one PostgreSQL; everything on both cores."""
        graph, graph_port = self.bare("graph", "0,1")

        def run(name, count, threads):
            database = self.postgres().database()
            running = [self.loquat("postgres", graph_port, env={"IO_THREADS": str(threads), "DATABASE_URL": database}, cores={0, 1}) for _ in range(count)]
            time.sleep(3 if count > 1 else 0.5)  # the partitions are shared out
            self.whole(name, [process.process.pid for process in running], [process.port for process in running], graph_port, cores="0,1")
            for process in running:
                process.kill()
        measures = [lambda: run("1 process, 1 thread", 1, 1), lambda: run("1 process, 2 threads", 1, 2), lambda: run("2 processes", 2, 1),
                    lambda: run("3 processes", 3, 1)]
        if self.options.peer:
            peer, peer_port = self.peer("messenger", "postgres", graph_port, workers=2, cores={0, 1})
            measures.append(lambda: self.whole("peer, 2 processes", [peer.pid], [peer_port], graph_port, cores="0,1"))
        self.rounds(measures)
        graph.kill()
        if self.options.peer:
            for pid in children(peer.pid):
                os.kill(pid, signal.SIGKILL)
            self.row("webhook to reply, PostgreSQL, both cores: 1 process with 2 threads against the peer with 2 processes", "1 process, 2 threads", "peer, 2 processes", "2.5")
        for name in ("1 process, 2 threads", "2 processes", "3 processes"):
            self.row(f"webhook to reply, PostgreSQL, both cores: {name} against 1 process with 1 thread", name, "1 process, 1 thread", "1")

    def reply(self):
        """Webhook to delivered reply: accepted equals answered."""
        graph, graph_port = self.bare("graph", 1)
        measures = []
        if self.options.peer:
            peer, peer_port = self.peer("messenger", "postgres", graph_port)
            measures.append(lambda: self.whole("peer reply", [peer.pid], [peer_port], graph_port))
        for database in ("sqlite", "postgres"):
            def run(database=database):
                process = self.loquat(database, graph_port)
                self.whole(f"reply {database}", [process.process.pid], [process.port], graph_port)
                process.kill()
            measures.append(run)
        self.rounds(measures)
        graph.kill()
        if self.options.peer:
            peer.kill()
        self.row("webhook to delivered reply, PostgreSQL, one core for the server, against the peer", "reply postgres", "peer reply", "4")
        self.row("webhook to delivered reply, SQLite FULL, against the peer on PostgreSQL", "reply sqlite", "peer reply", "-")
        self.row("CPU us a delivered reply, PostgreSQL, against the peer", "reply postgres", "peer reply", "0.10", "cpu_us")

    def pairs(self, service, database, kinds, token):
        processes = [self.loquat(database, 9, service, env={"ADMIN_TOKEN": token})]
        peer = self.peer(service, database) if self.options.peer else None
        measures = []
        for kind, name in kinds:
            measures.append(lambda kind=kind, name=name: self.measure(f"{name} {database}", processes[0].process.pid, processes[0].port, kind, token=token))
            if peer:
                measures.append(lambda kind=kind, name=name: self.measure(f"peer {name} {database}", peer[0].pid, peer[1], kind))
        self.rounds(measures)
        processes[0].kill()
        if peer:
            peer[0].kill()

    def state(self):
        kinds = [("put-state", "state append"), ("get-state", "state latest")]
        for database, musts in (("sqlite", ("40", "25")), ("postgres", ("10", "12"))):
            self.pairs("state", database, kinds, "t")
            for (_, name), must in zip(kinds, musts):
                self.row(f"{name}, {database}, against the peer", f"{name} {database}", f"peer {name} {database}", must)

    def integrations(self):
        kinds = [("get:/integrations/facebook", "integrations GET"), ("get:/integrations", "integrations list"), ("patch-integration", "integrations PATCH")]
        self.pairs("integrations", "postgres", kinds, "t")
        for (_, name), must in zip(kinds, ("10", "-", "6")):
            self.row(f"{name}, PostgreSQL, against the peer", f"{name} postgres", f"peer {name} postgres", must)

    def start(self):
        """From exec to the first 200."""
        for _ in range(self.options.rounds):
            folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            port = free_port()
            begin = time.monotonic()
            process = subprocess.Popen([BINARY, "serve"], env={"PATH": os.environ["PATH"], "PORT": str(port), "DATA_DIR": str(folder)}, stdout=subprocess.DEVNULL)
            while not answers(port):
                time.sleep(0.001)
            self.raw.append({"name": "start ms", "per_second": (time.monotonic() - begin) * 1000})
            time.sleep(0.5)
            self.raw.append({"name": "idle MiB", "per_second": resident_mib(process.pid)})
            process.send_signal(signal.SIGTERM)
            process.wait()
        self.row("start to the first 200, ms", "start ms", "", "150")
        self.row("resident memory, idle, MiB", "idle MiB", "", "40")

    def instructions(self):
        """Instructions of the server a request, counted by callgrind: what must not grow. Two runs of different length, so that start and
        end fall out; timers that tick meanwhile are in it."""
        graph, graph_port = self.bare("graph", 1)

        def run(database, targets, kind, env, seconds):
            file = self.folder / f"callgrind.{time.monotonic_ns()}"
            process = self.loquat(database, graph_port, *targets, env=env | {"ADMIN_TOKEN": "t"}, under=f"valgrind --tool=callgrind --callgrind-out-file={file}")
            done = load(process.port, kind, seconds, connections=16, token="t")
            wait_until_idle(process.process.pid)
            assert process.stop(120) == 0
            return sum(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("summary:")), done["requests"] - done["errors"]
        for name, targets, kind, databases, env in (("webhook accepted", (), "webhook", ("SQLite", "PostgreSQL"), {"CONSUMERS": "off"}),
                                                    ("webhook to delivered reply", (), "webhook", ("SQLite", "PostgreSQL"), {}),
                                                    ("state append", ("state",), "put-state", ("SQLite", "PostgreSQL"), {}),
                                                    ("integrations GET", ("integrations",), "get:/integrations/facebook", ("PostgreSQL",), {})):
            for database in databases:
                few, many = (run(database.lower(), targets, kind, env, seconds) for seconds in (2, 10))
                per_request = (many[0] - few[0]) / (many[1] - few[1])
                self.raw.append({"name": f"instructions, {name}, {database}", "per_second": per_request, "requests": many[1] - few[1]})
                print(f"  {name}, {database}: {per_request:,.0f} instructions", flush=True)
                self.row(f"instructions of the server: {name}, {database}", f"instructions, {name}, {database}", "", "-")
        graph.kill()

    def memory(self):
        """Resident memory after many messages."""
        graph, graph_port = self.bare("graph", 1)
        process = self.loquat("sqlite", graph_port)
        sent = 0
        while sent < self.options.messages:
            sent += load(process.port, "webhook", 10)["requests"]
        time.sleep(2)
        self.raw.append({"name": "loaded MiB", "per_second": resident_mib(process.process.pid)})
        process.kill()
        graph.kill()
        self.row(f"resident memory after {sent:,} messages, MiB", "loaded MiB", "", "80")

    def close(self):
        for stop in reversed(self.stops):
            stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def answers(port):
    try:
        return request(f"http://127.0.0.1:{port}/health", timeout=1).status == 200
    except OSError:
        return False


def write(path, bench, groups):
    lines = ["# Benchmarks", "",
             "Made by `./dev bench " + " ".join(groups) + "`: the server on one core; load, database and stand-ins on the other; medians of "
             f"{bench.options.rounds} rounds of {bench.options.seconds:g} s taken in turn (A B A B). The machine is shared: the ratios count, not the figures. Loquat's",
             "webhook figures count only requests whose events are durably stored. Compared with: a Python peer (FastAPI, uvicorn with uvloop, asyncpg, SQLAlchemy) and a bare Beast server that",
             "checks the HMAC and parses the JSON (`bench/bare_server.cpp`).", "", "| what | Loquat | other | ratio | to reach |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in bench.rows]
    lines += ["", (ROOT / "bench/profile.md").read_text().strip(), "", "## All rounds", "", "```"] + [json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in r.items()}) for r in bench.raw] + ["```", ""]
    pathlib.Path(path).write_text("\n".join(lines))
    print("\n".join(lines[6:8 + len(bench.rows)]))


def main():
    groups = ["start", "admit", "latency", "reply", "scale", "state", "integrations", "memory", "instructions"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", nargs="*")
    default_peer = ROOT.parent / "shared/peer"
    parser.add_argument("--peer", default=str(default_peer) if default_peer.exists() else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--out", default=str(ROOT / "docs/benchmarks.md"))
    options = parser.parse_args()
    chosen = options.group or groups
    unknown = [group for group in chosen if group not in groups]
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(groups)}")
    bench = Bench(options)
    try:
        for group in chosen:
            print(group, flush=True)
            getattr(bench, group)()
        write(options.out, bench, chosen)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
