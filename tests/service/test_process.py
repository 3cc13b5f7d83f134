"""What every service process promises: start, settings, health, errors, limits, logs, shutdown."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.processes import BINARY, SECRET, eventually, free_port, request, text_item, webhook
from support.raw import exchange, statuses

GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CLOSE = b"Connection: close\r\n\r\n"


def run(*arguments, env=None, cwd=None, timeout=30):
    return subprocess.run([BINARY, *arguments], env={"PATH": os.environ["PATH"]} | (env or {}), capture_output=True, text=True, cwd=cwd, timeout=timeout)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A process for the cases that leave it as it was."""
    from support.processes import Loquat
    process = Loquat(tmp_path_factory.mktemp("service"), env={"CORS_ORIGINS": "https://shop.example"})
    yield process
    process.stop()


# --- settings -----------------------------------------------------------------------------------------------------

def test_all_wrong_settings_are_told_at_once(folder):
    wrong = {"PORT": "99999", "LOG_LEVEL": "loud", "METRICS_ENABLED": "maybe", "APP_SECRET": "topsecret", "DATABASE_URL": "mysql://u:pw@h/d", "SECRETS_KEY": "short",
             "TRUSTED_PROXIES": "10.0.0.0/99", "READINESS_TIMEOUT": "soon", "DATA_DIR": str(folder)}
    for command in ("serve", "check-config"):
        done = run(command, env=wrong)
        assert done.returncode == 2
        for name in ("PORT", "LOG_LEVEL", "METRICS_ENABLED", "PAGE_ACCESS_TOKEN", "VERIFY_TOKEN", "DATABASE_URL", "SECRETS_KEY", "TRUSTED_PROXIES", "READINESS_TIMEOUT"):
            assert name in done.stderr, name
        assert "MySQL" in done.stderr
        assert "topsecret" not in done.stdout + done.stderr and "pw@" not in done.stdout + done.stderr
    assert not (folder / "loquat.db").exists()


@pytest.mark.parametrize("env, target, word", [
    ({"HOST": "0.0.0.0"}, "all", "ADMIN_TOKEN"), ({"HOST": "0.0.0.0"}, "state", "ADMIN_TOKEN"), ({"HOST": "0.0.0.0"}, "bot", "ADMIN_TOKEN"),
    ({"DATABASE_URL": "mysql://h/d"}, "all", "MySQL"), ({"DATABASE_URL": "dynamodb://t"}, "all", "DynamoDB"), ({"DB_DSN": "memory://"}, "messenger", "DB_DSN"),
    ({"DATABASE_URL": "oracle://t"}, "all", "DATABASE_URL"), ({"PAGE_ACCESS_TOKEN": "t"}, "messenger", "APP_SECRET"), ({"ADMIN_TOKENS": "nocolon"}, "all", "ADMIN_TOKENS"),
    ({"GRAPH_API_URL": "ftp://x"}, "messenger", "GRAPH_API_URL"), ({"AUTH": "basic"}, "all", "AUTH"), ({"SANDBOX": "perhaps"}, "all", "SANDBOX"),
    ({"CORS_ORIGINS": "shop.example"}, "all", "CORS_ORIGINS"), ({"DB_POOL_SIZE": "-1"}, "all", "DB_POOL_SIZE"), ({"ADMIN_TOKEN_FILE": "/nowhere"}, "all", "ADMIN_TOKEN_FILE"),
])
def test_start_errors(env, target, word):
    done = run("check-config", target, env=env)
    assert done.returncode == 2 and word in done.stderr, done


@pytest.mark.parametrize("env, target", [
    ({}, "all"), ({"HOST": "0.0.0.0"}, "messenger"), ({"HOST": "0.0.0.0", "AUTH": "none"}, "all"), ({"HOST": "0.0.0.0", "ADMIN_TOKEN": "t"}, "all"),
    ({"HOST": "::", "ADMIN_TOKENS": "a:1,b:2"}, "state"), ({"LOG_LEVEL": "WARN"}, "all"), ({"LOG_LEVEL": "Trace"}, "all"), ({"LOG_LEVEL": "FATAL"}, "all"),
    ({"METRICS_ENABLED": "YES"}, "all"), ({"METRICS_ENABLED": "off"}, "all"), ({"PORT": ""}, "all"), ({"PAGE_ACCESS_TOKEN": "", "APP_SECRET": ""}, "messenger"),
    ({"DATABASE_URL": "postgresql+asyncpg://u:p@h/d?ssl=require"}, "all"), ({"DATABASE_URL": "sqlite+aiosqlite:///x.db"}, "all"), ({"DATABASE_URL": "sqlite://"}, "all"),
    ({"INTEGRATIONS_URL": "memory://"}, "integrations"), ({"MONGODB_URI": "mongodb+srv://h/d"}, "integrations"), ({"STATE_URL": "http://127.0.0.1:9"}, "messenger"),
    ({"WEBHOOK_SILENCE_ALERT": "30m", "REPLY_MAX_AGE": "2h"}, "all"),
])
def test_settings_that_are_right(env, target):
    done = run("check-config", target, env=env)
    assert done.returncode == 0, done.stderr


def test_wrong_usage():
    for arguments in (["serve", "nothing"], ["fly"], ["serve", "--no-such-option"], ["dead-letters", "eat"], ["import"]):
        done = run(*arguments)
        assert done.returncode == 2, arguments
    assert run("--version").stdout.startswith("loquat ") and run("--help").returncode == 0


def test_print_config(folder):
    secret = folder / "token"
    secret.write_text("filetoken\n")
    config = folder / "loquat.toml"
    config.write_text('PORT = 9000\nlog_level = "error"\ntyping = false\ncors_origins = ["https://a.example", "https://b.example"]\nHOST = "127.0.0.2"\n')
    env = {"ADMIN_TOKEN_FILE": str(secret), "SERVICE_TOKEN": "svc-secret", "PORT": "9001", "DATABASE_URL": "postgresql://u:dbpass@db.example/d", "HOST": ""}
    done = run("--config", str(config), "print-config", "--typing=on", env=env)
    assert done.returncode == 0, done.stderr
    for shown in ("filetoken", "svc-secret", "dbpass"):
        assert shown not in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line and not line.startswith("(")}
    assert "9001" in lines["PORT"] and "environment" in lines["PORT"]
    assert "error" in lines["LOG_LEVEL"] and "file" in lines["LOG_LEVEL"]
    assert "command line" in lines["TYPING"]
    assert "127.0.0.2" in lines["HOST"] and "file" in lines["HOST"], "an empty value counts as not set"
    assert "ADMIN_TOKEN_FILE" in lines["ADMIN_TOKEN"] and "default" in lines["DATA_DIR"]
    assert "db.example" in done.stdout and "(states)" in done.stdout


def test_print_config_masks_every_password(folder):
    env = {"API_PROXY": "http://u:pw22@p:1", "GRAPH_API_URL": "https://u:pw22@graph.example", "MONGODB_URI": "mongodb://h/d?authMechanismProperties=AWS_SESSION_TOKEN:pw22",
           "DATABASE_URL": "postgresql://h/d?sslpassword=pw22&password=pw22", "STATE_URL": "https://u:pw22@states.example", "ADMIN_TOKEN": "pw22://x"}
    done = run("print-config", env=env)
    assert "pw22" not in done.stdout + done.stderr and "http://u:***@p:1" in done.stdout
    assert "pw22" not in run("print-config", env={"API_PROXY": "u:pw22@p:1"}).stdout


def test_an_unknown_key_in_the_file_is_an_error(folder):
    config = folder / "loquat.toml"
    config.write_text('PROT = 9000\n[server]\nhost = "x"\n')
    done = run("--config", str(config), "check-config")
    assert done.returncode == 2 and "PROT" in done.stderr
    assert run("--config", str(folder / "absent.toml"), "check-config").returncode == 2


def test_which_database(folder):
    def chosen(env):
        out = run("print-config", env=env).stdout
        return {line.split()[0]: line.split()[1] for line in out.splitlines() if line.startswith("(")}

    urls = {"DATABASE_URL": "sqlite:///a.db", "DB_DSN": "sqlite:///b.db", "DB_URL": "sqlite:///c.db"}
    out = run("print-config", env=urls).stdout
    assert re.search(r"\(integrations\)\s+sqlite:///a.db", out) and re.search(r"\(states\)\s+sqlite:///c.db", out) and re.search(r"\(bus, bot\)\s+sqlite:///b.db", out)
    out = run("print-config", env=urls | {"STATE_URL": "memory://", "MONGODB_URI": "mongodb://m/x", "INTEGRATIONS_URL": ""}).stdout
    assert re.search(r"\(states\)\s+memory://", out) and re.search(r"\(integrations\)\s+mongodb://m/x", out)


# --- health, readiness, metrics, description ----------------------------------------------------------------------

def test_health_and_readiness(service):
    assert (service.get("/health").status, service.get("/health").body) == (200, b'{"status":"ok"}')
    assert service.get("/ready").json() == {"status": "ok"}
    ready = service.get("/readiness")
    assert ready.status == 200 and ready.json()["status"] == "ready"
    assert set(ready.json()["checks"]) >= {"database", "integrations", "states", "bus"} and set(ready.json()["checks"].values()) == {"ok"}
    assert service.get("/").json() == {"message": "Welcome to AI Chatbot Framework API"}


def test_metrics(service):
    service.get("/health")
    answer = service.get("/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    for name in ("http_requests_total", "http_request_duration_seconds_bucket", "db_pool_connections", "db_pool_wait_seconds", "messenger_signature_checks_total",
                 "messenger_events_total", "messenger_sends_total", "bus_pending", "bus_dead_letters", "bus_oldest_age_seconds", "build_info"):
        assert "loquat_" + name in answer.text, name
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_openapi_and_docs(service):
    document = service.get("/openapi.json")
    assert document.status == 200 and document.json()["openapi"].startswith("3.1")
    for path in ("/health", "/readiness", "/webhook", "/admin/intents/", "/states", "/integrations/{id}"):
        assert any(known.rstrip("/") == path.rstrip("/") or known.startswith(path.split("{")[0]) for known in document.json()["paths"]), path
    page = service.get("/docs")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "https://" not in re.sub(r"https://[a-z.]*(w3|github)[^\"' ]*", "", page.text) or "cdn" not in page.text


def test_without_metrics(start):
    process = start("state", env={"METRICS_ENABLED": "false"})
    assert process.get("/metrics").status == 404


# --- errors, headers, limits --------------------------------------------------------------------------------------

@pytest.mark.parametrize("method, path, status, detail", [
    ("GET", "/nothing", 404, "Not Found"), ("GET", "/admin/nothing", 404, "Not Found"), ("DELETE", "/health", 405, "Method Not Allowed"),
    ("POST", "/readiness", 405, "Method Not Allowed"), ("PATCH", "/webhook", 405, "Method Not Allowed"), ("TRACE", "/health", 405, "Method Not Allowed"),
    ("GET", "/integrations/absent", 404, "Integration not found"),
])
def test_error_shapes(service, method, path, status, detail):
    answer = service.call(method, path)
    assert (answer.status, answer.json()) == (status, {"detail": detail})
    assert answer.headers["Content-Type"].startswith("application/json")
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_trailing_slash(service):
    for path in ("/integrations", "/states", "/admin/intents", "/admin/entities", "/admin/chatlogs"):
        assert service.get(path).status == service.get(path + "/").status == 200, path


@pytest.mark.parametrize("body, expected", [
    ({}, [("missing", ["body", "id"], "Field required"), ("missing", ["body", "name"], "Field required"), ("missing", ["body", "description"], "Field required")]),
    ({"id": 5, "name": "n", "description": "d"}, [("string_type", ["body", "id"], "Input should be a valid string")]),
    ({"id": "x", "name": None, "description": "d"}, [("string_type", ["body", "name"], "Input should be a valid string")]),
    ({"id": "x", "name": "n", "description": "d", "status": "perhaps"}, [("bool_parsing", ["body", "status"], None)]),
    ({"id": "x", "name": "n", "description": "d", "settings": [1]}, [("dict_type", ["body", "settings"], "Input should be a valid dictionary")]),
    ([], [("model_attributes_type", ["body"], None)]),
])
def test_validation(service, body, expected):
    answer = service.post("/integrations", body)
    assert answer.status == 422
    found = answer.json()["detail"]
    assert [(d["type"], d["loc"]) for d in found] == [(kind, loc) for kind, loc, _ in expected]
    assert all(msg is None or d["msg"] == msg for d, (_, _, msg) in zip(found, expected)) and all("input" in d for d in found)


def test_json_that_is_none(service):
    answer = service.post("/integrations", "{bad", {"Content-Type": "application/json"})
    assert answer.status == 422 and answer.json()["detail"][0]["type"] == "json_invalid"
    assert answer.json()["detail"][0]["loc"] == ["body", 1]
    answer = service.post("/integrations", b"\xff\xfe{", {"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (400, {"detail": "There was an error parsing the body"})


def test_body_limits(service):
    two = b'{"x":"' + b"x" * (2 << 20) + b'"}'
    answer = service.post("/integrations", two, {"Content-Type": "application/json"})
    assert answer.status == 413 and "detail" in answer.json()
    assert service.deliver(two).status == 404, "webhooks may have 4 MiB (there is no page here)"
    head = b"POST /integrations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"
    assert statuses(exchange(service.port, head)) == [413]
    chunked = b"POST /integrations HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n0\r\n\r\n"
    assert statuses(exchange(service.port, chunked)) == [413]


def test_head_limit(service):
    assert statuses(exchange(service.port, GET + b"X-Big: " + b"x" * 20_000 + b"\r\n" + CLOSE)) == [431]
    assert statuses(exchange(service.port, GET + b"X-Big: " + b"x" * 10_000 + b"\r\n" + CLOSE)) == [200]
    assert statuses(exchange(service.port, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))[0] in (414, 431)


@pytest.mark.parametrize("given, kept", [("abc-1.2_X", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("ä", False), ("", False), ("a\tb", False), ("<x>", False)])
def test_request_id(service, given, kept):
    answer = service.get("/health", {"X-Request-ID": given.encode("utf-8").decode("latin-1")})
    made = answer.headers["X-Request-ID"]
    assert (made == given) if kept else (made != given and re.fullmatch("[A-Za-z0-9._-]{1,64}", made))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    missing = service.get("/nothing")
    assert missing.headers["X-Request-ID"] and missing.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("head", [
    b"GET /health HTTP/1.1\r\n", GET + b"Host: other\r\n", GET + b"X-A: 1\r\n folded\r\n", GET + b"Transfer-Encoding: gzip\r\n",
    GET + b"Transfer-Encoding: gzip, chunked\r\n", GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", GET + b"Transfer-Encoding: xchunked\r\n",
    GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", GET + b"Content-Length: 5\r\nContent-Length: 6\r\n", GET + b"Content-Length: +5\r\n",
    GET + b"Content-Length: 5, 5\r\n", GET + b"Content-Length: 0x5\r\n", GET + b"Content-Length: -1\r\n", GET + b"X-A : 1\r\n", GET + b": 1\r\n", GET + b"X\x00A: 1\r\n",
    GET + b"X-A: a\x00b\r\n", GET + b"X-A: a\rb\r\n", b"GET /health HTTP/1.1\nHost: 127.0.0.1\n", b"GET  /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"GET /health\r\nHost: 127.0.0.1\r\n", b"GET /he alth HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    b"GET /health HTTP/1.1\r\nHost: a b\r\n", b"GET /health HTTP/1.1\r\nHost: \r\nHost: x\r\n",
])
def test_heads_that_mislead(service, head):
    smuggled = b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = exchange(service.port, head + b"\r\n", smuggled, timeout=3)
    assert statuses(answer) in ([400], [505], []), answer
    assert service.get("/health").status == 200


def test_http_that_is_right(service):
    assert statuses(exchange(service.port, GET + b"\r\n" + GET + CLOSE)) == [200, 200], "pipelined"
    assert statuses(exchange(service.port, b"GET /health HTTP/1.0\r\n\r\n")) == [200]
    assert statuses(exchange(service.port, GET[:20], GET[20:] + CLOSE, pause=0.05)) == [200]
    body = b"POST /integrations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    assert statuses(exchange(service.port, body + CLOSE, b"{}", pause=0.1)) == [100, 422]
    chunked = b"POST /integrations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    assert statuses(exchange(service.port, chunked + CLOSE + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n")) == [422]
    assert service.post("/integrations", b"x", {"Content-Encoding": "gzip"}).status == 415


def test_slow_clients_are_cut_off(service):
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\n")
        data = b"."
        while data and time.monotonic() - begin < 25:
            try:
                slow.sendall(b"X-A: 1\r\n")
                slow.settimeout(0.5)
                data = slow.recv(1000)
                if data:
                    break
            except socket.timeout:
                continue
            except OSError:
                break
    assert 5 < time.monotonic() - begin < 20
    assert service.get("/health").status == 200


def test_connection_cap(start):
    process = start("state", env={"MAX_CONNECTIONS": "20"})
    held = [socket.create_connection(("127.0.0.1", process.port)) for _ in range(40)]
    try:
        statuses = []
        for connection in held:
            try:
                connection.sendall(GET + b"\r\n")
                statuses.append(int(connection.recv(1000).split()[1]))
            except (OSError, IndexError):  # refused before it asked
                statuses.append(503)
        # Each event loop takes connections from a queue of its own: which ones come first is not said.
        assert set(statuses) == {200, 503} and 15 <= statuses.count(200) <= 20, statuses
    finally:
        for connection in held:
            connection.close()
    assert eventually(process.is_ready)


# --- who may call -------------------------------------------------------------------------------------------------

def test_tokens(start):
    process = start(env={"ADMIN_TOKEN": "root-token", "ADMIN_TOKENS": "ann:ann-token,bob:bob-token", "SERVICE_TOKEN": "svc-token"})
    for path in ("/", "/health", "/readiness", "/ready", "/metrics", "/openapi.json", "/docs", "/static/widget/script.js"):
        assert process.get(path).status == 200, path
    admin = ["/integrations", "/states", "/admin/intents/", "/admin/integrations", "/admin/chatlogs/"]
    for path in admin:
        refused = process.get(path)
        assert refused.status == 401 and "detail" in refused.json() and refused.headers["WWW-Authenticate"].startswith("Bearer"), path
        for wrong in ("Bearer nope", "Bearer ", "Basic cm9vdA==", "root-token", "Bearer root-token2"):
            assert process.get(path, {"Authorization": wrong}).status == 401
        for token in ("root-token", "ann-token", "bob-token"):
            assert process.get(path, {"Authorization": f"Bearer {token}"}).status == 200
    service = {"Authorization": "Bearer svc-token"}
    assert process.get("/integrations", service).status == 200 and process.get("/states", service).status == 200
    assert process.get("/admin/intents/", service).status in (401, 403)
    # Only the service token sees secrets.
    process.call("PUT", "/integrations/facebook", {"id": "facebook", "name": "n", "description": "d", "settings": {"secret": "s3cr3t"}}, {"Authorization": "Bearer ann-token"})
    assert process.get("/integrations/facebook", service).json()["settings"]["secret"] == "s3cr3t"
    assert process.get("/integrations/facebook", {"Authorization": "Bearer ann-token"}).json()["settings"]["secret"] == "•" * 8
    # The REST channel is public.
    assert process.post("/bots/channels/rest/webbook", {"thread_id": "t", "text": "/init_conversation", "context": {}}).status == 200
    assert eventually(lambda: any("ann" in json.dumps(entry) for entry in process.logs() if entry.get("logger") == "audit"))
    assert "s3cr3t" not in process.output()


@pytest.mark.parametrize("headers, allowed", [
    ({}, True), ({"Host": "localhost:80"}, True), ({"Host": "[::1]:80"}, True), ({"Host": "evil.example"}, False), ({"Host": "127.0.0.1.evil.example"}, False),
    ({"X-Forwarded-For": "1.2.3.4"}, False), ({"X-Forwarded-Host": "x"}, False), ({"X-Forwarded-Proto": "https"}, False), ({"Forwarded": "for=1.2.3.4"}, False),
    ({"Origin": "https://evil.example"}, False), ({"Origin": "null"}, False), ({"Origin": "https://shop.example"}, True), ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False), ({"Sec-Fetch-Site": "same-origin"}, True), ({"Sec-Fetch-Site": "none"}, None),
])
def test_open_mode(service, headers, allowed):
    for path in ("/integrations", "/admin/intents/", "/states"):
        status = service.get(path, headers).status
        assert status == 200 if allowed else allowed is None or status in (401, 403), path
    assert service.get("/health", headers).status == 200


def test_cors(service):
    shop = service.get("/admin/intents/", {"Origin": "https://shop.example"})
    assert shop.headers["Access-Control-Allow-Origin"] == "https://shop.example" and shop.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in shop.headers["Vary"]
    evil = service.get("/health", {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in evil.headers
    preflight = service.call("OPTIONS", "/admin/intents/", None, {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,x-a"})
    assert preflight.status in (200, 204) and "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert "content-type" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert service.call("OPTIONS", "/admin/intents/").status == 405


def test_paths_behind_a_proxy(start):
    admin = free_port()
    process = start(env={"ROOT_PATH": "/api", "ADMIN_PORT": str(admin)}, ready=False)
    assert eventually(lambda: process.process.poll() is not None or ok(process.url + "/api/health"))
    assert process.get("/api/readiness").status == 200 and process.get("/health").status in (200, 404)
    assert process.get("/api/admin/intents/").status == 404 and process.get("/api/metrics").status == 404
    assert request(f"http://127.0.0.1:{admin}/api/metrics").status == 200
    assert request(f"http://127.0.0.1:{admin}/api/admin/intents/").status == 200
    assert process.get("/api/openapi.json").status in (200, 404)


def ok(url):
    try:
        return request(url).status == 200
    except OSError:
        return False


# --- logs ---------------------------------------------------------------------------------------------------------

def test_logs(start, graph):
    process = start(graph=graph, env={"ADMIN_TOKEN": "admintoken", "PAGE_ACCESS_TOKEN": "pagetoken", "APP_SECRET": "thesecret", "VERIFY_TOKEN": "verifytoken"})
    body = webhook([text_item("5", "my private words", "m_1")])
    assert process.deliver(body, "thesecret").status == 200
    assert eventually(lambda: graph.entries())
    process.deliver(body, "wrongsecret")
    process.get("/webhook?hub.mode=subscribe&hub.verify_token=verifytoken&hub.challenge=1")
    process.get("/integrations?token=queryvalue", {"Authorization": "Bearer admintoken", "X-Request-ID": "req-77"})
    process.post("/bots/channels/rest/webbook", {"thread_id": "t", "text": "other private words", "context": {}})
    process.get("/nothing\x1b[31m".replace("\x1b", "%1B"))
    assert process.stop() == 0
    assert process.lines
    for line in process.lines:
        entry = json.loads(line)
        assert {"timestamp", "level", "logger", "message"} <= set(entry), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", entry["timestamp"])
    for hidden in ("pagetoken", "thesecret", "verifytoken", "admintoken", "private words", "queryvalue", "sha256="):
        assert hidden not in process.output(), hidden
    [access] = [entry for entry in process.logs() if entry.get("request_id") == "req-77" and "status" in entry]
    assert access["method"] == "GET" and access["status"] == 200 and "route" in access and any("duration" in name for name in access)
    messages = [entry["message"] for entry in process.logs()]
    assert messages.index("start") < messages.index("ready") < messages.index("draining") < messages.index("stopped")


def test_text_logs(start):
    process = start("state", env={"LOG_FORMAT": "text", "LOG_LEVEL": "DEBUG"})
    process.get("/nothing", {"User-Agent": "a"})
    assert process.stop() == 0
    assert not process.lines[0].startswith("{") and all("\x1b" not in line for line in process.lines)


def test_a_full_pipe_blocks_nothing(start, folder):
    env = {"PATH": os.environ["PATH"], "PORT": str(free_port()), "DATA_DIR": str(folder / "d"), "LOG_LEVEL": "debug", "LOG_FORMAT": "json"}
    process = subprocess.Popen([BINARY, "serve", "state"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{env['PORT']}"
        assert eventually(lambda: ok(url + "/readiness"))
        for _ in range(1500):
            assert request(url + "/health", headers={"User-Agent": "x" * 200}, timeout=5).status == 200
    finally:
        process.kill()
        process.wait()


# --- shutdown -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop(start, number):
    process = start(env={"SHUTDOWN_DELAY": "1"})
    process.signal(number)
    assert eventually(lambda: process.get("/readiness").json() == {"status": "draining"}, 1)
    assert process.get("/health").status == 200
    assert process.process.wait(20) == 0


def test_running_requests_end_before_the_stop(start, graph):
    """A REST turn whose API call takes a second is answered although SIGTERM came meanwhile."""
    from support.processes import intent, write_bot
    process = start(start=False)
    call = {"url": f"{graph.url}/v1/me/messages", "requestType": "POST", "headers": [], "isJson": True, "jsonData": '{"recipient":{"id":"1"},"message":{"text":"x"}}'}
    bot = write_bot(process.folder / "bot.json", intent("slow", "done {{ result.recipient_id }}", apiTrigger=True, apiDetails=call))
    assert process.run("import", bot).returncode == 0
    process.start()
    graph.control(default={"slow": 1})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(process.post("/bots/channels/rest/webbook", {"thread_id": "t", "text": "/slow", "context": {}})))
    thread.start()
    assert eventually(lambda: graph.entries())
    process.signal(signal.SIGTERM)
    assert process.process.wait(20) == 0
    thread.join()
    assert answers[0].status == 200 and answers[0].json() == [{"text": "done 1"}]


def test_a_second_signal_ends_at_once(start):
    process = start("state", env={"SHUTDOWN_DELAY": "20"})
    process.signal(signal.SIGTERM)
    assert eventually(lambda: process.get("/readiness").status == 503, 5)
    process.signal(signal.SIGTERM)
    assert process.process.wait(15) != 0, "before the delay is over"


# --- databases and addresses --------------------------------------------------------------------------------------

def test_a_database_that_is_away_at_start(start, postgres):
    url = postgres.database()
    postgres.stop()
    try:
        process = start(database=url, ready=False)
        assert eventually(lambda: ok(process.url + "/health"))
        answer = process.get("/readiness")
        assert answer.status == 503 and answer.json()["status"] == "unavailable" and "postgres" not in answer.text.replace("postgresql", "postgres") and "127.0.0.1" not in answer.text
        assert process.get("/integrations").status == 503
        assert process.deliver(b"{}").status == 503
    finally:
        postgres.start()
    assert eventually(process.is_ready, 30) and process.process.poll() is None
    assert eventually(lambda: process.get("/integrations").status == 200)
    assert [i["id"] for i in process.get("/integrations").json()] == ["facebook", "chat_widget"], "the defaults follow"


def test_one_process_a_data_dir(start, folder):
    first = start()
    second = start(ready=False)
    assert second.process.wait(20) == 1
    assert str(folder / "data") in second.output() and "another loquat" in second.output()
    assert first.get("/readiness").status == 200
    first.kill()
    third = start()
    assert third.get("/readiness").status == 200, "a killed process leaves no lock behind"


def test_a_port_in_use(start, folder):
    first = start("state")
    second = start("state", port=first.port, data_dir=folder / "other", ready=False)
    assert second.process.wait(20) == 1 and str(first.port) in second.output() and "another program does" in second.output()


@pytest.mark.parametrize("target, served, absent", [
    ("messenger", ["/health", "/readiness", "/metrics", "/openapi.json"], ["/integrations", "/states", "/admin/intents/"]),
    ("integrations", ["/health", "/integrations", "/admin/integrations", "/readiness"], ["/states", "/admin/intents/", "/webhook"]),
    ("state", ["/health", "/states", "/readiness"], ["/integrations", "/admin/intents/", "/webhook"]),
    ("bot", ["/health", "/", "/admin/intents/", "/admin/integrations", "/static/widget/script.js", "/readiness"], ["/webhook"]),
])
def test_each_target_alone(start, target, served, absent, database):
    process = start(target, database=database)
    for path in served:
        assert process.get(path).status == 200, path
    for path in absent:
        assert process.get(path).status == 404, path
    assert process.stop() == 0


def test_services_apart_work_together(start, graph, database, folder):
    """The messenger reads integrations and keeps its states through the other services."""
    tokens = {"SERVICE_TOKEN": "svc", "ADMIN_TOKEN": "adm"}
    integrations = start("integrations", database=database, env=tokens, data_dir=folder / "i")
    state = start("state", database=database, env=tokens, data_dir=folder / "s")
    messenger = start("messenger", database=database, data_dir=folder / "m", env=tokens | {"INTEGRATIONS_URL": integrations.url, "STATE_URL": state.url, "GRAPH_API_URL": graph.url})
    settings = {"verify": "v", "secret": SECRET, "page_access_token": "t"}
    integrations.call("PUT", "/integrations/facebook", {"id": "facebook", "name": "n", "description": "d", "status": True, "settings": settings}, {"Authorization": "Bearer adm"})
    assert eventually(lambda: messenger.get("/webhook?hub.mode=subscribe&hub.verify_token=v&hub.challenge=7").status == 200, 4)
    assert messenger.say("5", "/init_conversation").status == 200
    assert eventually(lambda: len(graph.texts("5")) == 2)
    found = state.get("/states/5", {"Authorization": "Bearer adm"})
    assert found.status == 200 and found.json()["user_message"]["text"] == "/init_conversation"
    state.kill()
    assert eventually(lambda: messenger.get("/readiness").status == 503, 5)
    assert messenger.say("6", "/init_conversation").status == 200, "what the messenger keeps by itself is taken"
    state.start()
    assert eventually(lambda: len(graph.texts("6")) == 2, 15)
