"""F1, F2 and F7: cat, ls, stat and Ctrl-C under each kind of trouble at once. Each ends in time
with the right errno and one log line, the daemon does not grow, nothing that is shown holds a
secret, and afterwards every byte is right.

Trouble comes from faultproxy.sh where it can make it, else from a bucket in this process
whose answers are bent. The long suite (tests/run long) repeats the table under each read
policy, and adds rows that take their time.
"""
import errno
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import lib_data
import pytest
from lib_bucket import Bucket, error
from lib_proc import PAILCTL, run, wait_until
from lib_servers import FaultProxy

LONG = bool(os.environ.get("PAILFS_LONG"))
POLICIES = ("auto", "sequential", "ranged") if LONG else ("auto",)
BUDGET = 2           # seconds, of retry_timeout
GROWTH = 48 << 20    # bytes of memory that a row may cost

OBJECTS = {
    "data/cat.bin": lib_data.noise(301, 2 * lib_data.MIB + 77),
    "data/killed.bin": lib_data.noise(302, lib_data.MIB),
    "data/empty": b"",
    **{f"a-listed/{i:02}": lib_data.noise(310 + i, 100 * i) for i in range(20)},
    **{f"b-interrupted/{i:02}": b"%d" % i for i in range(50)},
    "c-asked/name": b"a name that nobody has listed",
}

OK, EIO, EACCES, ENOENT, ESTALE, ETIMEDOUT = (
    {0}, {errno.EIO}, {errno.EACCES}, {errno.ENOENT}, {errno.ESTALE}, {errno.ETIMEDOUT})


@dataclass
class Row:
    """What goes wrong, and what reading and listing may end with meanwhile."""
    reads: set
    lists: set
    proxy: dict = field(default_factory=dict)
    bend: callable = None
    flows: bool = False  # bytes come in between, with each 64 KiB of which the time begins anew
    empty: bool = False  # what is seen while it lasts need not be right
    long: bool = False


# Bent answers.

def is_list(handler):
    return "list-type" in handler.path


def only(condition):
    """bend() for the requests of one kind."""
    def decorator(change):
        def bend(handler, answer):
            return change(handler, *answer()) if condition(handler) else answer()
        return bend
    return decorator


gets = only(lambda handler: not is_list(handler) and handler.headers.get("Range"))
lists = only(is_list)


def raw(handler, data):
    """Sends bytes that are no answer, or not all of one, and ends the connection."""
    handler.close_connection = True
    try:
        handler.wfile.write(data)
    except OSError:
        pass  # we hung up: enough is enough


def head(status, headers):
    lines = [f"HTTP/1.1 {status} Said", *(f"{key}: {value}" for key, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def every(answer):
    """bend(): this answer to everything."""
    return lambda handler, _: answer(handler)


@gets
def reset_in_body(handler, status, body, headers):
    raw(handler, head(status, {**headers, "Content-Length": len(body)}) + body[:len(body) // 2])
    time.sleep(0.05)
    reset(handler)


def with_length(change, what=gets):
    """A Content-Length that is not the body's."""
    @what
    def bend(handler, status, body, headers):
        raw(handler, head(status, {**headers, "Content-Length": change(len(body))}) + body)
    return bend


@gets
def longer_than_asked(handler, status, body, headers):
    return status, body + b"more", headers


@gets
def half_of_it(handler, status, body, headers):
    """A part that is consistent in itself, but not the one that was asked for."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("Content-Range", ""))
    if not match or len(body) < 2:
        return status, body, headers
    half = len(body) // 2
    headers["Content-Range"] = f"bytes {match[1]}-{int(match[1]) + half - 1}/{match[3]}"
    return status, body[:half], headers


def with_range(change):
    @gets
    def bend(handler, status, body, headers):
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("Content-Range", ""))
        if match:
            headers["Content-Range"] = change(*map(int, match.groups()))
        return status, body, {key: value for key, value in headers.items() if value is not None}
    return bend


@gets
def whole(handler, status, body, headers):
    """200 and the whole object, as of a server that does not know ranges."""
    if status != 206:
        return status, body, headers
    del headers["Content-Range"]
    return 200, OBJECTS[urlsplit(handler.path).path.split("/", 2)[2]], headers


@gets
def other_etag(handler, status, body, headers):
    return status, bytes(255 - byte for byte in body), {**headers, "ETag": '"another"'}


@gets
def replaced(handler, status, body, headers):
    return error(412, "PreconditionFailed")


@gets
def denied_in_the_middle(handler, status, body, headers):
    first = int(handler.headers["Range"].split("=")[1].split("-")[0])
    return error(403, "AccessDenied") if first >= 65536 else (status, body, headers)


@gets
def drip(handler, status, body, headers):
    """A byte now and then: no stall, and no end either."""
    handler.close_connection = True
    try:
        handler.wfile.write(head(status, {**headers, "Content-Length": len(body)}))
        for at in range(120):
            handler.wfile.write(body[at:at + 1])
            time.sleep(0.25)
    except OSError:
        pass


def header_drip(handler):
    handler.close_connection = True
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(120):
            handler.wfile.write(b"x-%d: y\r\n" % i)
            time.sleep(0.25)
    except OSError:
        pass


def continues(handler):
    for _ in range(20000):
        raw(handler, b"HTTP/1.1 100 Continue\r\n\r\n")


def xml_of(text):
    return every(lambda handler: (200, text.encode(), {"Content-Type": "application/xml"}))


LAUGHS = '<!DOCTYPE z [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(20)) + "]>"
BOMB = f"{LAUGHS}<ListBucketResult><Name>&u;</Name><IsTruncated>false</IsTruncated>" \
       "<Contents><Key>&u;</Key><Size>1</Size></Contents></ListBucketResult>"
BOMB_ERROR = f"{LAUGHS}<Error><Code>&u;</Code><Message>&u;</Message></Error>"
OUTSIDE = '<!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/hostname">]>' \
          "<ListBucketResult><Contents><Key>&a;</Key><Size>1</Size></Contents></ListBucketResult>"
DEEP = "<ListBucketResult>" + "<a>" * 200000
WIDE = "<ListBucketResult><Name>" + "x" * (64 << 20)


def token(of):
    """A listing that goes on for ever: its continuation token is of(the one before)."""
    @lists
    def bend(handler, status, body, headers):
        given = parse_qs(urlsplit(handler.path).query).get("continuation-token", [""])[0]
        body = re.sub(rb"<IsTruncated>\w+</IsTruncated>(<Next.*?Token>)?",
                      b"<IsTruncated>true</IsTruncated><NextContinuationToken>%s"
                      b"</NextContinuationToken>" % of(given).encode(), body)
        return status, body, headers
    return bend


def endless_text(handler):
    """A listing without end, in chunks."""
    handler.close_connection = True
    try:
        handler.wfile.write(head(200, {"Transfer-Encoding": "chunked"}))
        chunk = b"<Contents><Key>key</Key><Size>1</Size></Contents>" * 1000
        handler.wfile.write(b"10\r\n<ListBucketResul\r\n2\r\nt>\r\n")
        while True:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    except OSError:
        pass


def expired(handler):
    return error(400, "ExpiredToken")


def always_another_region(handler):
    region = handler.headers.get("authorization", "us-west-1").count("us-west-1")
    name = "us-west-2" if region else "us-west-1"
    return error(301, "PermanentRedirect", headers={"x-amz-bucket-region": name})


SECRET, TOKEN = "the-Secret-Key-0123456789abcdefghijklmno", "the-Session-Token-0123456789"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA00000000MATRIX00", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN}
BIG = 1 << 20

ROWS = {
    # Trouble that stays, by the proxy.
    "503 SlowDown": Row(EIO, EIO, {"status": 503}),
    "503 SlowDown, Retry-After 1": Row(EIO, EIO, {"status": 503, "retry_after": 1}),
    "503 SlowDown, Retry-After 3600": Row(EIO, EIO, {"status": 503, "retry_after": 3600},
                                          long=True),
    "500": Row(EIO, EIO, {"status": 500}),
    "502": Row(EIO, EIO, {"status": 502}, long=True),
    "504": Row(EIO, EIO, {"status": 504}, long=True),
    "429": Row(EIO, EIO, {"status": 429}, long=True),
    "403": Row(EACCES, EACCES, {"status": 403}),
    # What is there can then not be told from a directory above what may be read (M2).
    "403 AccessDenied": Row(EACCES, EACCES | OK, bend=every(
        lambda handler: error(403, "AccessDenied")), empty=True),
    "404": Row(ENOENT | ESTALE, OK | EIO | ENOENT, {"status": 404}, empty=True),
    "418": Row(EIO, EIO, {"status": 418}, long=True),
    "reset": Row(EIO, EIO, {"reset": 1}),
    "truncated at once": Row(EIO, EIO, {"truncate": 1}),
    "truncated later": Row(EIO | OK, EIO, {"truncate": 200}, long=True),
    "stall": Row(ETIMEDOUT, ETIMEDOUT, {"hang": 1}),
    "corrupt listing": Row(OK, EIO, {"corrupt": 1, "path": "list%-type"}),
    # Trouble that passes, by the proxy.
    "503 three times": Row(OK, OK, {"status": 503, "times": 3}),
    "a third is 503": Row(OK | EIO, OK | EIO, {"status": 503, "percent": 33}, long=True),
    "a fifth is reset": Row(OK, OK, {"reset": 1, "percent": 20}),
    "slow": Row(OK, OK, {"delay_ms": 100, "jitter_ms": 200}),
    # Bodies.
    "reset in a body": Row(EIO, OK, bend=reset_in_body, flows=True),
    "a length that is too large": Row(EIO | ETIMEDOUT, OK, bend=with_length(lambda n: n + 100)),
    "a length that is too small": Row(EIO, OK, bend=with_length(lambda n: max(n - 10, 0))),
    "a length that is no number": Row(EIO | OK, OK, bend=with_length(lambda n: f"{n}x"), long=True),
    "a negative length": Row(EIO | OK, OK, bend=with_length(lambda n: -n), long=True),
    "a length of 2^64": Row(EIO | ETIMEDOUT | OK, OK,
                            bend=with_length(lambda n: 1 << 64), long=True),
    "more than was asked for": Row(EIO, OK, bend=longer_than_asked),
    "half of what was asked for": Row(EIO, OK, bend=half_of_it),
    "Content-Range shifted": Row(EIO, OK, bend=with_range(
        lambda low, high, total: f"bytes {low + 1}-{high + 1}/{total}")),
    "Content-Range of another size": Row(ESTALE | EIO, OK, bend=with_range(
        lambda low, high, total: f"bytes {low}-{high}/{total + 1}")),
    "Content-Range missing": Row(EIO, OK, bend=with_range(lambda *_: None)),
    "Content-Range nonsense": Row(EIO, OK, bend=with_range(lambda *_: "bytes 9-1/-3"), long=True),
    "200 instead of 206": Row(OK | EIO, OK, bend=whole),
    "another ETag": Row(ESTALE | EIO, OK, bend=other_etag, long=True),
    "412 for ever": Row(ESTALE | EIO, OK, bend=replaced),
    "403 in the middle": Row(EACCES, OK, bend=denied_in_the_middle),
    "drip": Row(ETIMEDOUT | EIO, OK, bend=drip),
    # Answers to both.
    "ExpiredToken": Row(EACCES, EACCES, bend=every(expired)),
    "always another region": Row(EIO, EIO, bend=every(always_another_region)),
    "redirected in a circle": Row(EIO, EIO, bend=every(
        lambda handler: (307, b"", {"Location": handler.path}))),
    "a header of 1 MiB": Row(EIO, EIO, bend=every(
        lambda handler: raw(handler, head(200, {"x-long": "x" * BIG})))),
    "headers of 1 MiB": Row(EIO, EIO, bend=every(lambda handler: raw(handler, head(
        200, {f"x-{i}": "y" * 100 for i in range(BIG // 110)})))),
    "a header without end": Row(EIO, EIO, bend=every(
        lambda handler: raw(handler, b"HTTP/1.1 200 OK\r\nx: " + b"x" * (8 << 20))), long=True),
    "headers drip": Row(ETIMEDOUT | EIO, ETIMEDOUT | EIO, bend=every(header_drip), long=True),
    "100 Continue, again and again": Row(EIO | ETIMEDOUT, EIO | ETIMEDOUT, bend=every(continues),
                                         long=True),
    "no HTTP": Row(EIO, EIO, bend=every(
        lambda handler: raw(handler, b"SSH-2.0-OpenSSH_9.2\r\n" + b"x" * 1000))),
    "nothing at all": Row(EIO, EIO, bend=every(lambda handler: raw(handler, b"")), long=True),
    "204": Row(EIO, EIO, bend=every(lambda handler: (204, b"", {})), long=True),
    # Listings, and errors in XML.
    "XML bomb": Row(EIO | ESTALE, EIO, bend=xml_of(BOMB)),
    "XML bomb in an error": Row(EIO, EIO, bend=every(
        lambda handler: (500, BOMB_ERROR.encode(), {}))),
    "XML that asks for a file": Row(EIO | ESTALE, EIO, bend=xml_of(OUTSIDE), long=True),
    "XML without depth limit": Row(EIO | ESTALE, EIO, bend=xml_of(DEEP)),
    "XML of 64 MiB": Row(EIO | ESTALE, EIO, bend=xml_of(WIDE)),
    "a listing without end": Row(EIO, EIO | ETIMEDOUT, bend=every(endless_text)),
    "a token that repeats": Row(OK, EIO | OK, bend=token(lambda _: "same")),
    "tokens in turns": Row(OK, EIO | OK, bend=token(lambda was: "b" if was == "a" else "a")),
    "an empty listing, truncated": Row(OK, EIO | OK | ENOENT, bend=lists(lambda *_: (
        200, b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x%d"
        b"</NextContinuationToken></ListBucketResult>" % time.monotonic_ns(), {})), long=True),
    "HTML": Row(EIO | ESTALE, EIO, bend=every(
        lambda handler: (200, b"<html><body>Log in, please<br></body></html>", {})), long=True),
}


# What is done meanwhile.

OUTCOME = """
import hashlib, os, sys, time
start = time.monotonic()
try:
    seen = {"cat": lambda path: open(path, "rb").read(),
            "stat": lambda path: b"%d" % os.stat(path).st_size,
            "ls": lambda path: b" ".join(sorted(os.listdir(path)))
           }[sys.argv[1]](os.fsencode(sys.argv[2]))
    number = 0
except OSError as error:
    number, seen = error.errno, b""
print(number, time.monotonic() - start, hashlib.md5(seen).hexdigest())
"""


class Doing(threading.Thread):
    """One of cat, ls and stat in a process of its own: its errno, how long it took, and a hash
    of what it saw."""

    def __init__(self, what, path):
        super().__init__()
        self.what, self.path, self.errno, self.seconds = what, path, None, None
        self.start()

    def run(self):
        done = run([sys.executable, "-c", OUTCOME, self.what, self.path], timeout=60)
        number, seconds, self.seen = done.stdout.split()
        self.errno, self.seconds = int(number), float(seconds)


class Interrupted(threading.Thread):
    """Starts a command and presses Ctrl-C; `seconds` is how long it still lived."""

    def __init__(self, *command):
        super().__init__()
        self.command, self.seconds = command, None
        self.start()

    def run(self):
        with subprocess.Popen(self.command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            time.sleep(0.4)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait(60)
            self.seconds = time.monotonic() - start


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def compare(mount):
    """Every name and byte is right."""
    found = {}
    for directory, _, files in os.walk(mount.directory, onerror=pytest.fail):
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, mount.directory)] = file.read()
    assert {key: len(body) for key, body in found.items()} == \
        {key: len(body) for key, body in OBJECTS.items()}
    assert found == OBJECTS


RIGHT = {what: hashlib.md5(seen).hexdigest() for what, seen in {
    "cat": OBJECTS["data/cat.bin"], "stat": b"%d" % len(OBJECTS["c-asked/name"]),
    "ls": b" ".join(b"%02d" % i for i in range(20))}.items()}


def check_log(log, cat, ls, stat):
    """One line for what failed, however often it was tried and asked for."""
    lines = [re.sub(r"^\S+ | \(attempt \d+\)|\(request ID .*?\)", "", line)
             for line in log.splitlines() if re.match(r"\S+ pailfs\[\d+\] (warn|error) ", line)]
    assert len(set(lines)) == len(lines), log
    of_cat = sum("cat.bin" in line for line in lines)
    # A version that is gone is one thing, and what came of asking for the new one another.
    assert of_cat <= (2 if cat == errno.ESTALE else 1), log
    assert of_cat or not cat, log
    if ls not in (0, errno.ENOENT):  # one who walks a tree lists it whole: no name to look for
        assert any("LIST" in line or "ListBucket" in line for line in lines), log
    if stat not in (0, errno.ENOENT):  # it may have been the guest of the listing
        of_stat = sum("c-asked/" in line for line in lines)
        assert of_stat == 1 or not of_stat and ls, log


def check_secrets(mount, oplog):
    """F7: nothing that was shown, at any level, tells them, however they may be written."""
    shown = {"log": mount.log.encode(), "oplog": oplog.read_bytes(),
             "mounts": Path("/proc/mounts").read_bytes()}
    for name in ("stats", "config", "version"):
        shown[name] = mount.path(".pailfs", name).read_bytes()
    for name in os.listxattr(mount.path("data", "cat.bin")):
        shown[name] = os.getxattr(mount.path("data", "cat.bin"), name)
    for what in ("stat", "why"):
        done = run([PAILCTL, what, *([mount.directory] if what == "stat" else
                                     [mount.path("data", "cat.bin")])])
        shown[f"pailctl {what}"] = (done.stdout + done.stderr).encode()
    assert "debug" in mount.log and shown["oplog"].count(b"\n") > 2
    for where, text in shown.items():
        for secret in (SECRET, TOKEN, "Signature=", "authorization:"):
            assert secret.lower().encode() not in text.lower(), (where, secret)


@pytest.fixture(scope="module")
def bucket():
    with Bucket(OBJECTS) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(bucket):
    server = FaultProxy(bucket.endpoint)
    yield server
    server.wipe()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if LONG or not row.long])
def test_f1_f2_f7_trouble(bucket, proxy, mount, tmp_path, name, policy):
    row = ROWS[name]
    bucket.bend = None
    proxy.clear()
    here = mount("s3://bench", f"endpoint={proxy.endpoint if row.proxy else bucket.endpoint}",
                 "region=us-east-1", "addressing=path", f"read_policy={policy}",
                 "range_buffer=512k", "connect_timeout=1s", "stall_timeout=1s", f"retry_timeout={BUDGET}s",
                 "metadata_ttl=60s", "log_level=debug", f"oplog={tmp_path}/oplog", env=KEYS)
    os.listdir(here.directory)
    # The kernel knows the files; the directories sort before them, so nobody knows those yet.
    os.listdir(here.path("data"))
    assert here.path("data", "cat.bin").stat().st_size == len(OBJECTS["data/cat.bin"])
    here.path("data", "killed.bin").stat()
    before = resident(here.pid)
    bucket.bend = row.bend
    if row.proxy:
        proxy.set(**row.proxy)

    doing = [Doing("cat", here.path("data", "cat.bin")), Doing("ls", here.path("a-listed")),
             Doing("stat", here.path("c-asked", "name"))]
    killed = [Interrupted("cat", here.path("data", "killed.bin")),
              Interrupted("ls", here.path("b-interrupted"))]
    for each in doing + killed:
        each.join()
    growth = resident(here.pid) - before
    bucket.bend = None
    proxy.clear()

    told = [(each.what, errno.errorcode.get(each.errno, 0), round(each.seconds, 1))
            for each in doing]
    allowed = {"cat": row.reads, "ls": row.lists, "stat": row.lists}
    for each in doing:
        assert each.errno in allowed[each.what], (told, here.log)
        assert each.seconds < BUDGET * (3 if row.flows else 1) + 1, told
        assert each.errno or row.empty or each.seen == RIGHT[each.what], told
    for each in killed:
        assert each.seconds < 2, each.command
    assert growth < GROWTH, growth
    check_log(here.log, *(each.errno for each in doing))

    # Nothing that was learnt in the trouble outlives it by more than the second that a final
    # failure is remembered for; what the server said for certain is asked to be forgotten.
    wait_until(lambda: here.stats().sum("pailfs_gets_in_flight") == 0, 10, "end of all GETs")
    if row.empty:
        run([PAILCTL, "refresh", here.directory])
    if any(each.errno for each in doing):
        time.sleep(1.1)
    compare(here)
    check_secrets(here, tmp_path / "oplog")
