"""The real Jinja2, set up as the old bots' backend did, and the tool that renders with Loquat's engine."""

import json
import os
import re
import subprocess
import threading
import warnings
from pathlib import Path

import jinja2

ROOT = Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "src" / "template" / "testdata"

warnings.filterwarnings("ignore", category=SyntaxWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning)


def _undefined(self, *args, **kwargs):
    return "undefined"


SILENT = (
    "add radd mul rmul div rdiv truediv rtruediv floordiv rfloordiv mod rmod pow rpow pos neg "
    "call getitem lt le gt ge int float complex"
)
# Attributes and these operators of something undefined give the text "undefined"; subtraction was forgotten and fails.
SilentUndefined = type(
    "SilentUndefined",
    (jinja2.Undefined,),
    {"_fail_with_undefined_error": _undefined, **{f"__{name}__": _undefined for name in SILENT.split()}},
)


class TooSlow(Exception):
    pass


def render_with_jinja(template, variables):
    """{"output": text} or {"error": words}."""
    try:
        text = jinja2.Template(template, undefined=SilentUndefined).render(**json.loads(json.dumps(variables)))
        return {"output": text}
    except RecursionError:
        return {"skip": "recursion"}
    except Exception as error:  # whatever a template can raise
        return {"error": f"{type(error).__name__}: {error}"}


def find_tool():
    given = os.environ.get("LOQUAT_TEMPLATE_TOOL")
    candidates = [Path(given)] if given else []
    candidates += sorted(ROOT.glob("build/*/src/template/template_tool"))
    for path in candidates:
        if path.is_file():
            return path
    return None


class Tool:
    """One process of template_tool; asks it one question after the other."""

    def __init__(self, path):
        self.path = path
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [str(self.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def render_all(self, tasks):
        """Answers to many tasks, each a dict for template_tool."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        process = self.process

        def write():
            try:
                for task in tasks:
                    process.stdin.write(json.dumps(task) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        answers = []
        for task in tasks:
            line = process.stdout.readline()
            if not line:
                writer.join()
                raise AssertionError(f"template_tool died at {task!r}")
            answers.append(json.loads(line))
        writer.join()
        return answers

    def render(self, template, variables):
        return self.render_all([{"template": template, "variables": variables}])[0]

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=30)


# Where Python prints an address, or the words of an object that Loquat does not have.
ADDRESS = re.compile(r"0x[0-9a-f]{6,}|<(class|function|bound method|built-in|method)|<\w+ object|reverseiterator|<Template", re.IGNORECASE)
LIMITS = ("too many steps", "too much memory", "too deeply", "too large", "too long", "complex numbers", "too big", "too wide")


def differs(expected, actual):
    """Whether the two disagree; where the one or the other has no answer of its own they agree."""
    if "skip" in expected:
        return False
    if "error" in expected:
        return "error" not in actual
    if ADDRESS.search(expected["output"]):
        return False
    if "error" in actual:
        return not any(words in actual["error"] for words in LIMITS)
    return expected["output"] != actual["output"]
