"""Prints "PASSED FAILED" for meson's testlog.json or pytest's junit XML.

A test program of ours says "100%: Checks: 12, Failures: 0, Errors: 0"; such a line
counts by its checks, any other test program as one.
"""
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

CHECKS = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)


def meson(path):
    passed = failed = 0
    with open(path, encoding="utf-8", errors="replace") as log:
        for test in map(json.loads, log):
            good = test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
            counts = [tuple(map(int, found)) for found in CHECKS.findall(test.get("stdout", ""))]
            bad = sum(f + e for _, f, e in counts)
            if counts and good == (bad == 0):
                passed += sum(n for n, _, _ in counts) - bad
                failed += bad
            elif good:
                passed += 1
            else:
                failed += 1
    return passed, failed


def junit(path):
    suites = list(ElementTree.parse(path).getroot().iter("testsuite"))
    total = {key: sum(int(s.get(key, 0)) for s in suites)
             for key in ("tests", "failures", "errors", "skipped")}
    failed = total["failures"] + total["errors"]
    # Nothing collected is no success.
    return (total["tests"] - failed - total["skipped"], failed) if total["tests"] else (0, 1)


if __name__ == "__main__":
    print(*(junit if sys.argv[1].endswith(".xml") else meson)(sys.argv[1]))
