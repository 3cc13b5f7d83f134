#!/usr/bin/env python3
"""Adds up the test results that GoogleTest, ctest and pytest wrote as XML; prints 'N passed, N failed, N skipped'.

usage: count_results.py PATH...   each a file or a folder; exit status 1 when something failed or nothing ran"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def files(paths):
    for path in map(pathlib.Path, paths):
        yield from sorted(path.glob("*.xml")) + sorted(path.glob("*.junit")) if path.is_dir() else [path]


def main(paths):
    passed = failed = skipped = 0
    for file in files(paths):
        if not file.exists():
            print(f"no results in {file}")
            failed += 1
            continue
        for case in ElementTree.parse(file).iter("testcase"):
            # ctest counts whole programs: only those that are no GoogleTest programs are new.
            if file.suffix == ".junit" and not case.get("name", "").startswith("fuzz_corpus") and case.find("failure") is None:
                continue
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"FAILED {case.get('classname', '')} {case.get('name', '')}")
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                skipped += 1
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1:]))
