#!/usr/bin/env python3
"""rooms.py SOURCE_ROOT - holds the architecture of docs/design.md.

A room is a folder of src/ with its contracts in include/pailfs/. Rooms depend downwards only,
and on each other's contracts, never on private headers; each foreign library is included by one
room; a line of the log says from which room it comes.
"""
import re
import sys
from pathlib import Path

# room: the rooms whose contracts it may include. Its own and base's are open to it; a room
# stands below those that name it, so what a row names must have a row above.
ROOMS = {
    "base": "",
    "oplog": "",
    "net": "",
    "store": "net oplog",
    "config": "store",
    "ctl": "oplog",
    "names": "store",
    "cache": "",
    "read": "cache store",
    "fs": "read names store config ctl",
    "mount": "fs read names cache store net oplog config",  # src/mount.c, which builds the stack
    "main": "mount config",                                 # src/main.c, src/preflight.c
}
# Contracts that are not called like their room.
CONTRACTS = {"endpoint": "net", "retry": "net", "policy": "read", "store_tree": "store"}
# Foreign headers, and the only places that may include them.
FOREIGN = {
    "curl/": "src/net/",
    "fuse": "src/fs/",
    "expat.h": "src/store/",
    "jansson.h": "src/store/",
    "libxml/": "src/store/",
    "ini.h": "src/config/",
    "zstd.h": "src/oplog/",
    "openssl/": "src/base/crypto.c src/net/",
}

root = Path(sys.argv[1])
bad = []


def room_of(path):
    """The room that a file below src/ or include/pailfs/ belongs to."""
    parts = path.parts[1:] if path.parts[0] == "src" else path.parts[2:]
    if len(parts) > 1:
        return parts[0]
    name = parts[0].partition(".")[0]
    if path.parts[0] == "src":
        return "mount" if name == "mount" else "main"
    return CONTRACTS.get(name, name)


def check_include(path, room, quoted, name):
    """One #include of a file of a room."""
    if not quoted:
        for header, places in FOREIGN.items():
            if name.startswith(header) and not str(path).startswith(tuple(places.split())):
                bad.append(f"{path}: <{name}> may be included by {places} only")
    elif name.startswith("pailfs/"):
        other = room_of(Path("include") / name)
        if other not in ["base", room, *ROOMS.get(room, "").split()]:
            bad.append(f"{path}: {room} may not depend on {other} ({name})")
    elif name != "pailfs-config.h":
        private = root / name if name.startswith("src/") else root / path.parent / name
        if path.parts[0] != "src" or private.resolve().parent != (root / path.parent).resolve():
            bad.append(f"{path}: {name} is private to another room")


files = sorted(path.relative_to(root) for top in ("src", "include")
               for path in (root / top).rglob("*") if path.suffix in (".c", ".h", ".def"))
texts = {path: (root / path).read_text() for path in files}

above = []
for room, below in ROOMS.items():
    bad += [f"the rules let {room} depend on {each}, which is not below it"
            for each in below.split() if each not in above]
    above.append(room)
for room in sorted({room_of(path) for path in files} ^ set(ROOMS)):
    bad.append(f"{room}: a room without a rule, or a rule without a room")

for path, text in texts.items():
    for mark, name in re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.M):
        check_include(path, room_of(path), mark == '"', name)
    if path.parts[0] == "include" and path.suffix == ".h" and "#ifndef PAILFS_" not in text:
        bad.append(f"{path} has no include guard")

enum = re.search(r"^enum log_room \{(.*?)^\}", texts[Path("include/pailfs/base/log.h")], re.M | re.S)
for name in re.findall(r"LOG_(\w+),", enum[1])[:-1]:  # the last is their number
    found = [path for path, text in texts.items()
             if path.parts[0] == "src" and re.search(rf"\blog_[a-z]+\([^;]*\bLOG_{name}\b", text)]
    if not found:
        bad.append(f"no line of the log is of LOG_{name}")
    bad += [f"{path}: a line of the log is of LOG_{name}" for path in found
            if name.lower() != ("main" if len(path.parts) == 2 else path.parts[1])]

print("\n".join(bad))
sys.exit(bool(bad))
