#!/usr/bin/env python3
"""Checks that the table of settings in docs/configuration.md is that of src/app/config.cpp; --write writes it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/configuration.md"
BEGIN, END = "<!-- settings: made by tools/check_settings.py --write -->", "<!-- end of settings -->"


def read_settings():
    source = (ROOT / "src/app/config.cpp").read_text()
    table = re.search(r"SettingInfo> settings\{(.*?)\n\};", source, re.S).group(1)
    text = r'"((?:[^"\\]|\\.)*)"'
    rows = re.findall(r"\{" + text + r",\s*" + text + r",\s*" + text + r"(,\s*secret)?\s*\}", table)
    assert len(rows) == table.count("\n    {"), "a row of the table of settings was not understood"
    return rows


def make_table():
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name, default, what, secret in read_settings():
        shown = default[1:-1] if default.startswith("[") else f"`{default}`" if default else ""
        lines.append(f"| `{name}`{' (secret)' if secret else ''} | {shown} | {what} |")
    return "\n".join(lines)


def main(write):
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    wanted = f"{before}{BEGIN}\n{make_table()}\n{END}{after}"
    if page == wanted:
        print("settings: docs/configuration.md is complete")
        return 0
    if write:
        PAGE.write_text(wanted)
        return 0
    print("docs/configuration.md is not what src/app/config.cpp says: python3 tools/check_settings.py --write")
    return 1


sys.exit(main("--write" in sys.argv[1:]))
