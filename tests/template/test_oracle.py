"""Loquat's templates against the real Jinja2: a table of templates, and generated ones.

TEMPLATE_CASES and TEMPLATE_SEED set how many are generated and which ones (20,000 and the date of the commit are CI's)."""

import copy
import json
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


def test_generated(tool):
    for start in range(0, CASES, BATCH):
        trees = [grammar.Generator(SEED * 1_000_003 + number).template() for number in range(start, min(start + BATCH, CASES))]
        tasks = [{"template": grammar.text_of(tree), "variables": grammar.NAMES} for tree in trees]
        for tree, task, actual in zip(trees, tasks, tool.render_all(tasks)):
            expected = oracle.render_with_jinja(task["template"], grammar.NAMES)
            if oracle.differs(expected, actual):
                report(tool, tree)


def report(tool, tree):
    def fails(candidate):
        text = grammar.text_of(candidate)
        return oracle.differs(oracle.render_with_jinja(text, grammar.NAMES), tool.render(text, grammar.NAMES))

    text = grammar.text_of(grammar.shrink(tree, fails))
    expected = oracle.render_with_jinja(text, grammar.NAMES)
    pytest.fail(f"smallest differing template: {text!r}\n  jinja2: {expected}\n  loquat: {tool.render(text, grammar.NAMES)}\n"
                f"  found as: {grammar.text_of(tree)!r}")
