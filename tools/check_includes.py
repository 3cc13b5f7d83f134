#!/usr/bin/env python3
"""Checks who may include whom, and that heavy third-party headers stay behind one folder each. See docs/architecture.md."""
import pathlib
import re
import sys

# core <- chat <- async <- {http, db} <- bus <- features <- app
BASE = {
    "core": set(),
    "chat": {"core"},
    "async": {"core", "chat"},
    "http": {"core", "chat", "async"},
    "db": {"core", "chat", "async"},
}
LOWER = {"core", "chat", "async", "http", "db"}
# A feature sees another only through its port header and value types.
FEATURES = {
    "template": {"core"},
    "nlu": {"core", "chat", "async"},
    "integrations": LOWER,
    "state": LOWER,
    "bus": LOWER | {"state"},  # the states' rows are the outbox: docs/bus.md
    "bot": LOWER | {"state", "nlu"},
    "dialogue": LOWER | {"nlu", "template", "state", "bot"},
    "rest": LOWER | {"dialogue", "state"},
    "messenger": LOWER | {"bus", "dialogue", "state", "integrations"},
    "testing": LOWER,
}
# Other features' headers that may be seen: ports, values, and what an allowed edge is about.
PUBLIC = {
    "state": {"state.h", "store.h", "sql_rows.h", "memory_store.h", "search_request.h"},
    "integrations": {"integration.h", "store.h", "memory_store.h"},
    "bot": {"definition.h", "store.h", "memory_store.h"},
    "nlu": {"interpreter.h", "meaning.h", "phrase_interpreter.h"},
    "template": {"template.h"},
    "dialogue": {"manager.h"},
    "bus": {"bus.h", "handler.h", "item.h"},
}
# Value and rule files: no coroutine, no I/O.
PURE = ["integrations/integration.", "integrations/body.", "integrations/secrets.", "dialogue/policy.", "messenger/event.", "messenger/signature.",
        "messenger/graph_message.", "bot/definition.", "bot/draft.", "state/state.", "state/rules."]
PURE_ALLOWED = {"core", "chat", "state", "bot", "integrations", "nlu", "bus", "messenger", "dialogue", "template"}
THIRD_PARTY = {
    r"boost/beast": {"http"},
    r"curl/": {"http"},
    r"sqlite3\.h": {"db"},
    r"libpq": {"db"},
    r"mongoc|bson": {"db", "integrations", "state", "bot"},
    r"prometheus/": {"core"},
    r"spdlog/": {"core"},
    r"openssl/": {"core", "http"},
    r"CLI/": {"app"},
}
# Tests and what only tests use may include what they need.
TEST_ENDS = ("_test", "_bench", "_fuzz", "_fixture", "_tool", "_test_server")
TEST_BEGINS = ("test_", "fake_")


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    problems = []
    for file in sorted([*root.rglob("*.h"), *root.rglob("*.cpp")]):
        relative = file.relative_to(root)
        folder = relative.parts[0]
        if folder == "main.cpp":
            continue
        is_test = folder == "testing" or relative.stem.endswith(TEST_ENDS) or relative.stem.startswith(TEST_BEGINS)
        allowed = BASE.get(folder, FEATURES.get(folder)) if folder != "app" else None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            target = match.group(1)
            where = f"src/{relative}:{number}"
            for pattern, homes in THIRD_PARTY.items():
                if re.match(pattern, target) and folder not in homes and not is_test:
                    problems.append(f"{where}: {target} belongs behind {', '.join(sorted(homes))}")
            other = target.split("/")[0]
            if "/" not in target or other == folder or not (root / target).exists():
                continue
            if is_test:
                continue
            if allowed is not None and other not in allowed:
                problems.append(f"{where}: {folder} must not include {other}")
            elif allowed is not None and other in PUBLIC and target.split("/", 1)[1] not in PUBLIC[other]:
                problems.append(f"{where}: of {other} only {', '.join(sorted(PUBLIC[other]))} may be seen")
            if any(str(relative).startswith(pure) for pure in PURE) and other not in PURE_ALLOWED:
                problems.append(f"{where}: {relative} is a value or rule file and must not include {other}")
    print("\n".join(problems) if problems else "include rules: no findings")
    return 1 if problems else 0


sys.exit(main())
