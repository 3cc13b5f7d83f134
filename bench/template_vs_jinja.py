#!/usr/bin/env python3
"""Rendering of the same templates by Jinja2 and by Loquat, one after the other on the same machine.

    bench/template_vs_jinja.py build/release/src/template/template_bench
"""

import json
import re
import subprocess
import sys
import timeit
from pathlib import Path

import jinja2

HERE = Path(__file__).resolve().parent


def read_templates():
    """The templates of template_bench.cpp, so that both render the same."""
    source = (HERE / "template_bench.cpp").read_text(encoding="utf-8")
    found = re.findall(r'constexpr const char\* (\w+) =\s*((?:"(?:[^"\\]|\\.)*"\s*)+);', source)
    return {name: "".join(json.loads(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', text)) for name, text in found}


def variables():
    items = [{"name": f"item{i}", "price": i * 1.25} for i in range(10)]
    return {
        "context": {"username": "Ada", "channel": "rest"},
        "parameters": {"city": "new york"},
        "result": {"temp": 21.456, "items": items},
    }


def time_jinja(source):
    """Nanoseconds a rendering, the best of five runs."""
    template = jinja2.Template(source)
    data = variables()
    timer = timeit.Timer(lambda: template.render(data))
    number, _ = timer.autorange()
    return min(timer.repeat(5, number)) / number * 1e9


def time_loquat(program):
    out = subprocess.run(
        [program, "--benchmark_filter=render", "--benchmark_format=json", "--benchmark_repetitions=5"],
        check=True, capture_output=True, text=True,
    ).stdout
    best = {}
    for row in json.loads(out)["benchmarks"]:
        if row["run_type"] == "iteration":
            name = row["run_name"].split("/")[1]
            best[name] = min(best.get(name, 1e12), row["real_time"])
    return best


def main():
    ours = time_loquat(sys.argv[1])
    print(f"Jinja2 {jinja2.__version__}, Python {sys.version.split()[0]}")
    print(f"{'template':10} {'Jinja2 ns':>10} {'Loquat ns':>10} {'times':>6}")
    worst = 1e9
    for name, source in read_templates().items():
        theirs = time_jinja(source)
        worst = min(worst, theirs / ours[name])
        print(f"{name:10} {theirs:10.0f} {ours[name]:10.0f} {theirs / ours[name]:6.1f}")
    print(f"at least {worst:.1f} times as fast")
    return 0 if worst >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
