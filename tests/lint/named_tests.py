#!/usr/bin/env python3
"""named_tests.py SOURCE_ROOT - every property of docs/semantics.md names tests, and they exist.

A property begins with "**R1. ", and its tests stand before the next one. A line that begins with "> " names tests: "test_file.py::test_name", "::test_other" (of the
same file), "test_file.c: name, name"; a "*" at the end of a name stands for the rest of it.
"""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
tests = {path.name: re.findall(r"^def (test_\w+)", path.read_text(), re.M)
         for path in root.glob("tests/live/test_*.py")}
tests |= {path.name: re.findall(r"START_TEST\((\w+)\)", path.read_text())
          for path in root.glob("tests/unit/test_*.c")}
bad = []


def look_up(file, name, star):
    if file not in tests:
        bad.append(f"there is no {file}")
    elif name and not any(test.startswith(name) if star else test == name for test in tests[file]):
        bad.append(f"{file} has no test {name}{star}")


text = (root / "docs" / "semantics.md").read_text()
for block in re.findall(r"(?:^> .*\n)+", text, re.M):
    block = re.sub(r"\([^)]*\)", "", " ".join(line[2:] for line in block.splitlines()))
    file = None
    for word, star in re.findall(r"([\w.:]+)(\*?)", block):
        if re.fullmatch(r"test_\w+\.(py|c):?", word):
            file = word.rstrip(":")
            look_up(file, "", "")
        elif "::" in word:
            first, name = word.split("::")
            file = first or file
            look_up(file, name.rstrip(":"), star)
        elif file and file.endswith(".c") and re.fullmatch(r"\w+", word) and word != "tests":
            look_up(file, word, star)
parts = re.split(r"^\*\*([A-Z]\d+)\. ", text, flags=re.M)
bad += [f"{name} names no test" for name, body in zip(parts[1::2], parts[2::2])
        if not re.search(r"^> ", body, re.M)]
if len(parts) < 3:
    bad.append("found no property")
print("\n".join(bad))
sys.exit(bool(bad))
