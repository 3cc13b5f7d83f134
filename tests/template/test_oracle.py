"""Loquat's templates against the real Jinja2: a table of templates, and generated ones.

TEMPLATE_CASES and TEMPLATE_SEED set how many are generated (20,000 unless told) and which ones."""

import concurrent.futures
import copy
import json
import multiprocessing
import os

import pytest

jinja2 = pytest.importorskip("jinja2")

import grammar  # noqa: E402
import oracle  # noqa: E402

CASES = int(os.environ.get("TEMPLATE_CASES", "20000"))
SEED = int(os.environ.get("TEMPLATE_SEED", "1"))
BATCH = 500


@pytest.fixture(scope="module")
def tool():
    path = oracle.find_tool()
    if path is None:
        pytest.skip("template_tool is not built (LOQUAT_TEMPLATE_TOOL tells where it is)")
    made = oracle.Tool(path)
    yield made
    made.close()


def read_table():
    with open(oracle.TESTDATA / "templates.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_table(tool):
    table = read_table()
    assert len(table) >= 300
    with open(oracle.TESTDATA / "variables.json", encoding="utf-8") as file:
        variables = json.load(file)
    tasks = [{"template": row["template"], "variables": row.get("variables", variables)} for row in table]
    failures = []
    for task, actual in zip(tasks, tool.render_all(tasks)):
        expected = oracle.render_with_jinja(task["template"], copy.deepcopy(task["variables"]))
        if "error" in expected:
            same = "error" in actual
        else:
            same = expected["output"] == actual.get("output")
        if not same:
            failures.append(f"{task['template']!r}\n  jinja2: {expected}\n  loquat: {actual}")
    assert not failures, "\n".join(failures)


def tree_of(number):
    return grammar.Generator(SEED * 1_000_003 + number).template()


def compare(numbers):
    """The first of these templates on which the two differ, and how many gave text rather than an error."""
    tool = oracle.Tool(oracle.find_tool())
    rendered = 0
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        tasks = [{"template": grammar.text_of(tree_of(number)), "variables": grammar.NAMES} for number in batch]
        for number, task, actual in zip(batch, tasks, tool.render_all(tasks)):
            expected = oracle.render_with_jinja(task["template"], grammar.NAMES)
            rendered += "output" in expected
            if oracle.differs(expected, actual):
                return number, rendered
    tool.close()
    return None, rendered


def test_generated(tool):
    workers = min(os.cpu_count() or 1, 4)
    shares = [range(worker, CASES, workers) for worker in range(workers)]
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(compare, shares))
    for number, _ in results:
        if number is not None:
            report(tool, tree_of(number))
    assert sum(rendered for _, rendered in results) > CASES * 0.4, "most templates should give text"


def report(tool, tree):
    def fails(candidate):
        text = grammar.text_of(candidate)
        return oracle.differs(oracle.render_with_jinja(text, grammar.NAMES), tool.render(text, grammar.NAMES))

    text = grammar.text_of(grammar.shrink(tree, fails))
    expected = oracle.render_with_jinja(text, grammar.NAMES)
    pytest.fail(f"smallest differing template: {text!r}\n  jinja2: {expected}\n  loquat: {tool.render(text, grammar.NAMES)}\n"
                f"  found as: {grammar.text_of(tree)!r}")
