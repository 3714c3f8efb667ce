"""A server in trouble: reads end within their time, with the right bytes or the right error,
and the mount goes on when the trouble is over."""
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import lib_data
import pytest
from lib_canned import Canned
from lib_proc import expect_error, run, wait_until

QUICK = ("connect_timeout=1s", "stall_timeout=1s", "retry_timeout=30s")
SHORT = ("connect_timeout=1s", "stall_timeout=1s", "retry_timeout=3s")


@pytest.fixture
def troubled(faultproxy, mount):
    """troubled(OPTION...) mounts the data set `tools` of nulls3 through the proxy."""
    def start(*options):
        return mount("s3://bench/tools", f"endpoint={faultproxy.endpoint}", "region=us-east-1",
                     "addressing=path", "no_sign", *options)
    return start


def original(name):
    return lib_data.data("tools") / name


def compare(mount, name, timeout=60):
    run(["cmp", mount.path(name), original(name)], timeout=timeout)


def read_error(path, timeout=30):
    """The errno of reading a file in another process, and how long it took."""
    script = "import sys\ntry: open(sys.argv[1], 'rb').read(); print(0)\n" \
             "except OSError as error: print(error.errno)"
    start = time.monotonic()
    return int(run([sys.executable, "-c", script, path], timeout=timeout).stdout), \
        time.monotonic() - start


# Trouble that passes: nobody notices but the counters.

PASSING = {
    "burst of 503": {"status": 503, "times": 6},
    "503 with Retry-After": {"status": 503, "times": 2, "retry_after": 1},
    "500": {"status": 500, "times": 4},
    "502": {"status": 502, "times": 3},
    "504": {"status": 504, "times": 3},
    "429": {"status": 429, "times": 3},
    "reset before the answer": {"reset": 1, "times": 6},
    "body cut at once": {"truncate": 1, "times": 4},
    "body cut in the middle": {"truncate": 300000, "times": 4},
    "stall": {"hang": 1, "times": 2},
    "a fifth of all fails": {"status": 503, "percent": 20},
    "a tenth of all is reset": {"reset": 1, "percent": 10},
    "delay and jitter": {"delay_ms": 20, "jitter_ms": 50},
}


@pytest.mark.parametrize("trouble", PASSING)
def test_trouble_that_passes(faultproxy, troubled, trouble):
    mount = troubled(*QUICK)
    run(["ls", mount.directory])
    before = mount.stats()
    faultproxy.set(method="GET", path="tools/", **PASSING[trouble])
    for name in ("odd.bin", "array.npy", "one"):
        compare(mount, name)
    if "delay_ms" not in PASSING[trouble]:
        assert int(faultproxy.get()["faults"]) > 0
        delta = mount.stats() - before
        # What was sent again is counted, whoever sent it: after the end of a kept connection
        # without an answer that is curl.
        assert delta.requests("get", "retry") > 0
        assert delta.requests("get", "error") == 0


@pytest.mark.parametrize("trouble", ["burst of 503", "reset before the answer", "stall",
                                     "body cut at once"])
def test_listing_in_trouble_that_passes(faultproxy, troubled, trouble):
    mount = troubled(*QUICK)
    faultproxy.set(path="list%-type=2", **PASSING[trouble])
    run(["diff", "-r", original("samples"), mount.path("samples")])
    assert int(faultproxy.get()["faults"]) > 0


def test_slow_bytes_are_no_stall(faultproxy, troubled):
    """2 MB/s without a pause: longer than every timeout, but never silent for one."""
    mount = troubled("stall_timeout=1s", "retry_timeout=2s", "connect_timeout=1s")
    faultproxy.set(rate="2m")
    compare(mount, "shards/shard-000.tar")


# Trouble that stays: an error in time, and a log line that helps.

STAYING = {
    "503": ({"status": 503}, errno.EIO),
    "500": ({"status": 500}, errno.EIO),
    "403": ({"status": 403}, errno.EACCES),
    # Gone, though a listing has just shown it.
    "404": ({"status": 404}, errno.ESTALE),
    "reset": ({"reset": 1}, errno.EIO),
    "truncated": ({"truncate": 1000}, errno.EIO),
    "stall": ({"hang": 1}, errno.ETIMEDOUT),
}


@pytest.mark.parametrize("trouble", STAYING)
def test_trouble_that_stays(faultproxy, troubled, trouble):
    settings, expected = STAYING[trouble]
    mount = troubled(*SHORT)
    run(["ls", "-R", mount.directory])
    faultproxy.set(method="GET", path="odd.bin", **settings)
    error, seconds = read_error(mount.path("odd.bin"))
    assert error == expected, (os.strerror(error), mount.log)
    assert seconds < 10
    assert "odd.bin" in mount.log
    # Its neighbour is not concerned, and the file is readable when the trouble is over.
    compare(mount, "stored.zip")
    faultproxy.clear()
    time.sleep(1.1)  # a final failure is remembered for a second
    compare(mount, "odd.bin")


def test_503_is_never_a_missing_file(faultproxy, troubled):
    """A listing that cannot be had is EIO, not ENOENT, also for names that do not exist."""
    mount = troubled(*SHORT, "metadata_ttl=0s", "negative_ttl=0s")
    faultproxy.set(status=503)
    for name in ("samples/000", "one", "nothing"):
        with pytest.raises(OSError) as failure:
            os.stat(mount.path(name))
        assert failure.value.errno == errno.EIO
    faultproxy.clear()
    with pytest.raises(FileNotFoundError):
        os.stat(mount.path("nothing"))
    compare(mount, "one")


def test_server_that_goes_away_and_comes_back(troubled, faultproxy):
    mount = troubled(*QUICK)
    compare(mount, "one")
    faultproxy.stop()
    reader = subprocess.Popen(["cmp", mount.path("odd.bin"), original("odd.bin")])
    time.sleep(2)
    assert reader.poll() is None
    faultproxy.start()
    assert reader.wait(60) == 0


def test_killed_reader_is_gone_at_once(faultproxy, troubled):
    """SIGKILL while the server is silent: no process in D state, and umount works."""
    mount = troubled("stall_timeout=20s", "retry_timeout=60s")
    run(["ls", mount.directory])
    faultproxy.set(hang=1, method="GET", path="odd.bin")
    reader = subprocess.Popen(["cat", mount.path("odd.bin")], stdout=subprocess.DEVNULL)
    faultproxy.wait_for_faults(1)
    reader.kill()
    assert reader.wait(5) == -signal.SIGKILL
    start = time.monotonic()
    mount.unmount()
    assert time.monotonic() - start < 10


def test_interrupted_listing_is_gone_at_once(faultproxy, troubled):
    """Ctrl-C while the server is silent."""
    mount = troubled("stall_timeout=20s", "retry_timeout=60s")
    faultproxy.set(hang=1)
    reader = subprocess.Popen(["ls", mount.path("samples")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    faultproxy.wait_for_faults(1)
    reader.send_signal(signal.SIGINT)
    assert reader.wait(5) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_mount_in_trouble(faultproxy, troubled, number):
    """The daemon is told to stop while a read waits for a silent server."""
    mount = troubled("stall_timeout=20s", "retry_timeout=60s")
    run(["ls", mount.directory])
    faultproxy.set(hang=1, method="GET")
    reader = subprocess.Popen(["cat", mount.path("odd.bin")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    faultproxy.wait_for_faults(1)
    mount.process.send_signal(number)
    assert reader.wait(15) != 0
    assert mount.process.wait(15) is not None
    mount.kill()


def test_many_readers_in_trouble(faultproxy, troubled):
    """Eight readers while a third of the requests fails in one of three ways."""
    mount = troubled("connect_timeout=1s", "stall_timeout=2s", "retry_timeout=60s")
    names = ["odd.bin", "stored.zip", "array.npy", "chunks.h5"] * 2
    stop = threading.Event()

    def change():
        ways = ({"status": 503}, {"reset": 1}, {"truncate": 100000})
        while not stop.is_set():
            for way in ways:
                faultproxy.clear()
                faultproxy.set(percent=33, method="GET", path="tools/", **way)
                stop.wait(0.7)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        readers = [subprocess.Popen(["cmp", mount.path(name), original(name)]) for name in names]
        assert [reader.wait(100) for reader in readers] == [0] * len(names)
    finally:
        stop.set()
        thread.join()


# Answers that are wrong in a way that no proxy makes.

BODY = lib_data.noise(99, 3 * lib_data.MIB + 17)


def ranged(handler, body=BODY, whole=False, etag='"v1"', shift=0, total=None, missing=0, cut=0,
           most=1 << 40):
    """A web server's answer to a ranged GET, bent as asked: `missing` bytes are not announced,
    `cut` ones are, and the connection then closed."""
    wanted = handler.headers.get("Range")
    if not wanted or whole:
        return 200, body, {"ETag": etag}
    first, last = 0, len(body) - 1
    low, _, high = wanted.split("=")[1].partition("-")
    first = int(low) if low else len(body) - int(high)
    last = min(int(high) if low and high else last, last)
    last = min(last, first + most - 1)
    part = body[first:last + 1 - missing]
    handler.close_connection = cut > 0
    return 206, part[:len(part) - cut], {
        "ETag": etag, "Content-Length": str(len(part)),
        "Content-Range": f"bytes {first + shift}-{last + shift}/{total or len(body)}"}


class Bent:
    """A web server that behaves until `bend` is set to keywords of ranged()."""

    def __init__(self):
        self.bend = {}
        self.canned = Canned(answer=lambda handler: ranged(handler, **self.bend))


@pytest.fixture
def bent(request, mount):
    """(server, path, mount) of a file; the mount's options are the parameter, if there is one."""
    server = Bent()
    with server.canned:
        here = mount(f"{server.canned.url}/file.bin", *SHORT, *getattr(request, "param", ()))
        yield server, here.path("file.bin"), here


def test_bent_server_is_straight_at_first(bent):
    _, path, _ = bent
    assert path.read_bytes() == BODY


WRONG = {
    "Content-Range of another place": ({"shift": 4096}, "Content-Range"),
    "Content-Range of another size": ({"total": 99999999}, "size"),
    "a length that is not the range's": ({"missing": 10}, "Content-Length"),
    "a body that is too short": ({"cut": 10}, "closed"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_r3_wrong_answers_are_never_believed(bent, wrong):
    server, path, mount = bent
    server.bend, words = WRONG[wrong]
    error, seconds = read_error(path)
    assert error == errno.EIO and seconds < 10, (os.strerror(error), mount.log)
    assert "file.bin" in mount.log and words in mount.log, mount.log
    # Not once only: what is wrong today may be right in a second.
    assert mount.stats().requests("get", "retry") > 2
    server.bend = {}
    time.sleep(1.1)
    assert path.read_bytes() == BODY


def test_r3_a_server_may_send_less_than_it_was_asked_for(bent):
    """RFC 9110, 15.3.7: a 206 says itself which part of the range it has; the rest is asked for,
    at once."""
    server, path, _ = bent
    server.bend = {"most": 100000}
    start = time.monotonic()
    assert path.read_bytes() == BODY
    assert time.monotonic() - start < 3


def test_200_instead_of_206(bent):
    """A server that begins to ignore Range: whole bodies come for parts."""
    server, path, mount = bent
    server.bend = {"whole": True}
    error, seconds = read_error(path)
    assert error == errno.EIO and seconds < 10, (os.strerror(error), mount.log)
    assert "Range" in mount.log
    server.bend = {}
    time.sleep(1.1)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("bent", [("read_policy=ranged", "range_buffer=0")], indirect=True)
def test_r2_changed_etag_is_never_mixed(bent):
    """The file is replaced between two reads of one descriptor, which cannot go on; a new one
    reads the new file."""
    server, path, _ = bent
    with open(path, "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 4096, 0) == BODY[:4096]
        other = bytes(255 - byte for byte in BODY)
        server.bend = {"body": other, "etag": '"v2"'}
        expect_error(errno.ESTALE, os.pread, file.fileno(), 4096, 2 << 20)

    def settled():
        try:
            return path.read_bytes() == other
        except OSError:
            return False
    wait_until(settled, 15, "the new version")
