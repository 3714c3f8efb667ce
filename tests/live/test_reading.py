"""Reading as a local file is read: R1, R4 and R5 through each system call that reads, M5 and
M6 of stat, and what F1, F5, F6 and F7 promise a reader of a server that is silent."""
import errno
import fcntl
import mmap
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import lib_data
import pytest
from lib_bucket import Bucket
from lib_mount import environment
from lib_proc import PAILCTL, PAILFS, mounted, processes_with, run, wait_until

MIB = lib_data.MIB
PAGE = mmap.PAGESIZE
NAME = "odd.bin"  # 100 MiB and 13 bytes


@pytest.fixture(scope="module")
def original():
    with open(lib_data.data("tools") / NAME, "rb") as file, \
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@pytest.fixture(params=["s3", "http"])
def cold(request, mount):
    """A cold mount of the file: (mount, server, path)."""
    if request.param == "s3":
        server = request.getfixturevalue("nulls3")
        here = mount("s3://bench/tools", *server.s3().options, env=server.s3().environ)
    else:
        server = request.getfixturevalue("nginx")
        here = mount(f"{server.endpoint}/data/tools/{NAME}")
    return here, server, here.path(NAME)


@pytest.fixture
def descriptor(cold):
    file = os.open(cold[2], os.O_RDONLY)
    yield file
    os.close(file)


class Direct:
    """Reads past the kernel's page cache, so that what is asked for arrives as it is."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, MIB)

    def pread(self, size, offset):
        with memoryview(self.buffer) as view, view[:size] as part:
            return bytes(part[:os.preadv(self.file, [part], offset)])

    def close(self):
        os.close(self.file)


@pytest.fixture
def direct(cold):
    reader = Direct(cold[2])
    yield reader
    reader.close()


# R1: every way to read.

def test_r1_lseek(descriptor, original):
    size = len(original)
    assert os.lseek(descriptor, 0, os.SEEK_END) == size
    assert os.lseek(descriptor, -13, os.SEEK_CUR) == size - 13
    assert os.read(descriptor, 100) == original[-13:]
    assert os.read(descriptor, 100) == b""
    assert os.lseek(descriptor, size + 5, os.SEEK_SET) == size + 5
    assert os.read(descriptor, 100) == b""
    with pytest.raises(OSError) as refused:
        os.lseek(descriptor, -1, os.SEEK_SET)
    assert refused.value.errno == errno.EINVAL


def test_r1_lseek_finds_no_holes(descriptor, original):
    """A value in a bucket is all data, with the one hole at its end that every file has."""
    size = len(original)
    for offset in (0, 1, MIB, size - 1):
        assert os.lseek(descriptor, offset, os.SEEK_DATA) == offset
        assert os.lseek(descriptor, offset, os.SEEK_HOLE) == size
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        with pytest.raises(OSError) as past:
            os.lseek(descriptor, size, whence)
        assert past.value.errno == errno.ENXIO


def test_r1_reads_around_the_end(cold, direct, descriptor, original):
    """Nothing past the end is asked for, of a server that would have to refuse it."""
    mount, server, _ = cold
    size, log = len(original), server.requests()
    before = mount.stats()
    for offset in (size, size + 1, size + PAGE, 1 << 40, (1 << 62)):
        assert os.pread(descriptor, 4096, offset) == b""
    # O_DIRECT's offsets are whole blocks; the kernel lets all of them through.
    for offset in (-(-size // PAGE) * PAGE, (size // MIB + 9) * MIB):
        assert direct.pread(4096, offset) == b""
    assert not log.read()
    assert (mount.stats() - before).requests("get") == 0
    last = size // PAGE * PAGE
    assert direct.pread(2 * PAGE, last) == original[last:]
    assert os.pread(descriptor, 1000, size - 7) == original[-7:]
    assert os.pread(descriptor, MIB, size - 3 * PAGE) == original[-3 * PAGE:]
    assert {request.status for request in log.read()} <= {200, 206}


def test_r1_random_preads(cold, descriptor, direct, original):
    dice = random.Random(3)
    for _ in range(150):
        offset, size = dice.randrange(len(original)), dice.choice([1, 100, 4096, 70000, 600000])
        assert os.pread(descriptor, size, offset) == original[offset:offset + size]
        offset, size = offset // PAGE * PAGE, dice.choice([PAGE, 16 * PAGE, MIB])
        assert direct.pread(size, offset) == original[offset:offset + size]


def test_r1_preadv_fills_each_buffer(descriptor, original):
    buffers = [bytearray(n) for n in (1, 4095, 70001)]
    assert os.preadv(descriptor, buffers, 12345) == 74097
    assert b"".join(buffers) == original[12345:12345 + 74097]


def test_r1_mmap(cold, descriptor, original):
    dice = random.Random(4)
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped:
        assert len(mapped) == len(original)
        for _ in range(100):
            offset = dice.randrange(len(original))
            assert mapped[offset:offset + 5000] == original[offset:offset + 5000]
        assert mapped[-5000:] == original[-5000:]
    with mmap.mmap(descriptor, 3 * PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE,
                   offset=7 * PAGE) as private:
        private[:5] = b"mine!"
        assert private[5:] == original[7 * PAGE + 5:10 * PAGE]
    assert os.pread(descriptor, 5, 7 * PAGE) == original[7 * PAGE:7 * PAGE + 5]


def test_r1_sendfile(descriptor, original, tmp_path):
    with open(tmp_path / "copy", "wb") as out:
        sent, offset = 0, 1000
        while sent < 9 * MIB:
            sent += os.sendfile(out.fileno(), descriptor, offset + sent, 9 * MIB - sent)
        assert os.sendfile(out.fileno(), descriptor, len(original), 100) == 0
    assert (tmp_path / "copy").read_bytes() == original[offset:offset + 9 * MIB]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert os.sendfile(ours.fileno(), descriptor, 77, 3000) == 3000
        assert theirs.recv(3000, socket.MSG_WAITALL) == original[77:3077]


def test_r1_splice(descriptor, original):
    out, into = os.pipe()
    try:
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, MIB)
        for offset in (0, 50 * MIB + 3, len(original) - 500):
            expected = original[offset:offset + 300000]
            got = b""
            while len(got) < len(expected):
                n = os.splice(descriptor, into, len(expected) - len(got),
                              offset_src=offset + len(got))
                assert n > 0
                got += os.read(out, n)
            assert got == expected
    finally:
        os.close(out)
        os.close(into)


def test_r1_copy_file_range(cold, descriptor, original, tmp_path):
    """Kernels that copy between file systems of two types are few: EXDEV, as of any two."""
    with open(tmp_path / "copy", "wb") as out:
        try:
            n = os.copy_file_range(descriptor, out.fileno(), 5000, offset_src=MIB)
            assert n > 0
        except OSError as refused:
            assert refused.errno == errno.EXDEV
            n = 0
    assert (tmp_path / "copy").read_bytes() == original[MIB:MIB + n]
    run(["cp", "--reflink=auto", cold[2], tmp_path / "whole"])
    run(["cmp", tmp_path / "whole", lib_data.data("tools") / NAME])


def test_r1_advice_is_taken_or_left(descriptor, original):
    for advice in (os.POSIX_FADV_RANDOM, os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_WILLNEED,
                   os.POSIX_FADV_DONTNEED, os.POSIX_FADV_NOREUSE, os.POSIX_FADV_NORMAL):
        os.posix_fadvise(descriptor, 0, 8 * MIB, advice)
        assert os.pread(descriptor, 10000, 3 * MIB) == original[3 * MIB:3 * MIB + 10000]


# R4, R5: what a stream is.

def test_r4_reads_out_of_order_are_one_stream(cold, direct, original):
    """As the kernel's own readahead sends them: the later of two requests first."""
    mount, server, _ = cold
    size, log = 128 << 10, server.requests()
    for pair in range(0, 64 * MIB, 2 * size):
        for offset in (pair + size, pair):
            assert direct.pread(size, offset) == original[offset:offset + size]
    gets = [request for request in log.read() if request.method == "GET"]
    # After the first few, which come before it is known for a stream, a part of its window each.
    short = [request.range for request in gets if request.sent < MIB]
    assert len(short) <= 4 and len(gets) <= 80, [request.range for request in gets]
    assert mount.stats().received <= len(original) + 16 * MIB


def test_r5_streams_interleave_on_one_descriptor(cold, direct, original):
    """Eight readers of eighths, taking turns: each is a stream of its own."""
    mount, server, _ = cold
    size, step = 256 << 10, 12 * MIB
    log = server.requests()
    for at in range(0, step, size):
        for start in range(0, 8 * step, step):
            assert direct.pread(size, start + at) == original[start + at:start + at + size]
    gets = [request for request in log.read() if request.method == "GET"]
    assert len(gets) < 8 * step // size / 2, len(gets)
    # A window that runs into what another stream has read brings some of it again.
    assert mount.stats().received <= 1.3 * len(original)


# M5 and M6: stat.

def test_m5_attributes(nulls3, mount):
    here = mount("s3://bench/tools", *nulls3.s3().options, "file_mode=440", "dir_mode=550",
                 "uid=12", "gid=34", env=nulls3.s3().environ)
    for name, size in ((NAME, 100 * MIB + 13), ("one", 1), ("empty", 0), ("samples", 0)):
        got = here.path(name).stat()
        assert (got.st_blksize, got.st_nlink, got.st_size) == (4096, 1, size), name
        assert got.st_blocks == -(-size // 512), name
        assert got.st_mode & 0o777 == (0o550 if name == "samples" else 0o440)
        assert (got.st_uid, got.st_gid) == (12, 34)


@pytest.mark.parametrize("mode", ["000", "444", "555"])
def test_m5_what_is_no_program_is_not_executable(nulls3, mount, mode):
    here = mount("s3://bench/tools", *nulls3.s3().options, f"file_mode={mode}",
                 env=nulls3.s3().environ)
    assert os.access(here.path("one"), os.X_OK) == (mode == "555")
    assert here.path("one").stat().st_mode & 0o777 == int(mode, 8)
    for path in (here.path("one"), here.path("samples"), here.directory):
        assert os.access(path, os.R_OK) and not os.access(path, os.W_OK)
    assert os.access(here.path("samples"), os.X_OK)


def test_m5_statfs_refuses_nobody(nulls3, mount):
    here = mount("s3://bench", *nulls3.s3().options, env=nulls3.s3().environ)
    got = os.statvfs(here.directory)
    assert got.f_namemax == 255 and got.f_bavail * got.f_frsize > 1 << 50
    run(["df", here.directory])
    run(["df", "-i", here.directory])


def test_m6_mtime_is_last_modified(s3, mount):
    bucket = s3.bucket_of("times", {"a": b"1", "dir/b": b"22"})
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    for key in ("a", "dir/b"):
        modified = s3.client().head_object(Bucket=bucket, Key=key)["LastModified"].timestamp()
        assert int(here.path(key).stat().st_mtime) == int(modified)
    assert here.stats().requests("head") == 0


def test_m6_mtime_of_a_web_server(nginx, mount):
    here = mount(f"{nginx.endpoint}/data/tools/one")
    modified = run(["curl", "-sfI", f"{nginx.endpoint}/data/tools/one"]).stdout
    date, = [line for line in modified.splitlines() if line.lower().startswith("last-modified:")]
    assert here.path("one").stat().st_mtime == \
        parsedate_to_datetime(date.partition(":")[2].strip()).timestamp()


# F1: whoever is interrupted goes.

INTERRUPTED = """
    import ctypes, os, signal, sys
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.readdir.argtypes = [ctypes.c_void_p]
    signal.signal(signal.SIGUSR1, lambda *_: None)
    path = os.fsencode(sys.argv[2])
    print("asking", flush=True)
    if sys.argv[1] == "stat":
        libc.access(path, 0)
    else:
        listing = libc.opendir(path)
        while libc.readdir(listing):
            pass
    print(ctypes.get_errno(), flush=True)
"""


@pytest.fixture
def silent(faultproxy, mount):
    """A mount whose server has answered the start, and then says nothing any more."""
    here = mount("s3://bench", f"endpoint={faultproxy.endpoint}", "region=us-east-1",
                 "addressing=path", "no_sign", "stall_timeout=8s", "retry_timeout=60s")
    here.path("flat").stat()
    faultproxy.set(hang=1)
    return here, faultproxy


@pytest.mark.parametrize("what, name", [("stat", "tools/samples"), ("list", "flat")])
def test_f1_an_interrupted_question_is_eintr(silent, what, name):
    mount, proxy = silent
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(INTERRUPTED), what,
                           mount.path(name)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "asking\n"
        proxy.wait_for_faults(1)
        start = time.monotonic()
        child.send_signal(signal.SIGUSR1)
        assert int(child.stdout.readline()) == errno.EINTR
        assert time.monotonic() - start < 2


def test_f1_one_who_goes_leaves_the_others_waiting(silent):
    """Two ask for the same; the interrupted one does not take the answer from the other."""
    mount, proxy = silent
    command = ["stat", mount.path("tools", "samples", "000", "file-00001.bin")]
    silence = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(command, **silence)
    proxy.wait_for_faults(1)
    second = subprocess.Popen(command, **silence)
    time.sleep(0.5)
    first.send_signal(signal.SIGINT)
    assert first.wait(5) != 0
    assert second.poll() is None
    proxy.clear()
    assert second.wait(60) == 0


def test_f1_a_stop_interrupts_nothing(silent):
    """^Z and fg: what waits goes on, as on a disk. The kernel tells of these signals too."""
    mount, proxy = silent
    before = mount.stats()
    waiting = [subprocess.Popen([*command, mount.path(*name)], stdout=subprocess.DEVNULL)
               for command, name in ((["stat"], ["tools", "one"]), (["ls"], ["flat"]),
                                     (["cat"], ["small", "000", "file-00001.bin"]))]
    proxy.wait_for_faults(3)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for child in waiting:
            child.send_signal(number)
        time.sleep(0.5)
    assert (mount.stats() - before).sum("pailfs_fuse_requests_total", op="interrupt") == 3
    assert [child.poll() for child in waiting] == [None] * 3
    proxy.clear()
    assert [child.wait(60) for child in waiting] == [0] * 3


def test_f1_who_was_stopped_can_leave(silent):
    """The kernel tells of the first signal only."""
    mount, proxy = silent
    with subprocess.Popen(["ls", mount.path("flat")], stdout=subprocess.DEVNULL) as child:
        proxy.wait_for_faults(1)
        child.send_signal(signal.SIGTSTP)
        time.sleep(0.5)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(2) == -signal.SIGINT


@pytest.fixture
def forgetting(mount):
    """(mount, descriptor, event): listings get no answer any more, and the event is set when one
    is asked for. d/a and d/b were replaced; the descriptor is of d/a, of which one page was read
    before."""
    begin, end = threading.Event(), threading.Event()
    with Bucket({"d/a": b"1" * MIB, "d/b": b"b"}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "read_policy=ranged",
                     "range_buffer=0", "negative_ttl=0s", "stall_timeout=40s")
        file = os.open(here.path("d/a"), os.O_RDONLY)
        assert os.pread(file, PAGE, 0) == b"1" * PAGE
        here.path("d/b").stat()
        bucket.objects |= {"d/a": b"2" * MIB, "d/b": b"c"}

        def bend(handler, answer):
            if "list-type" in handler.path:
                begin.set()
                end.wait(60)
            return answer()

        bucket.bend = bend
        yield here, file, begin
        end.set()
        os.close(file)


def forget_meanwhile(file, asked):
    """The kernel is told to forget d/a, and waits for the question about its directory."""
    assert asked.wait(10)
    with pytest.raises(OSError):
        os.pread(file, PAGE, MIB // 2)
    time.sleep(0.5)


def interrupted_stat(path):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(INTERRUPTED), "stat", path],
                            stdout=subprocess.PIPE, text=True)


def test_f1_a_name_that_the_kernel_shall_forget_holds_up_no_interrupt(forgetting):
    """To forget a name the kernel waits for the questions about its directory."""
    here, file, asked = forgetting
    with interrupted_stat(here.path("d/x")) as child:
        forget_meanwhile(file, asked)
        start = time.monotonic()
        child.send_signal(signal.SIGUSR1)
        assert child.stdout.readline() == "asking\n"
        assert int(child.stdout.readline()) == errno.EINTR
        assert time.monotonic() - start < 2


def test_f6_a_name_that_the_kernel_shall_forget_holds_up_no_end(forgetting):
    here, file, asked = forgetting
    with interrupted_stat(here.path("d/x")) as child:
        forget_meanwhile(file, asked)
        here.process.send_signal(signal.SIGTERM)
        assert here.process.wait(5) == 0, here.log
        child.kill()
    here.kill()


def test_f6_a_name_that_the_kernel_shall_forget_holds_up_no_question_to_the_mount(forgetting):
    here, file, asked = forgetting
    with interrupted_stat(here.path("d/x")) as child:
        forget_meanwhile(file, asked)
        run([PAILCTL, "flush", here.directory], timeout=5)
        child.send_signal(signal.SIGUSR1)


def test_f6_an_end_while_a_read_looks_for_the_new_version(forgetting, tmp_path):
    """What was opened and replaced before its first byte is looked for under its name."""
    here, _, asked = forgetting
    done = tmp_path / "done"
    with subprocess.Popen(["sh", "-c", 'head -c1 "$1"; echo > "$2"', "sh", here.path("d/b"), done],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        assert asked.wait(10) and not done.exists()
        here.process.send_signal(signal.SIGTERM)
        assert here.process.wait(5) == 0, here.log
        wait_until(done.exists, 5, "the reader's end")
    here.kill()


# F5: memory.

@pytest.mark.limit(180)
def test_f5_64_streams_and_a_silent_server(faultproxy, mount, original):
    here = mount("s3://bench/tools", f"endpoint={faultproxy.endpoint}", "region=us-east-1",
                 "addressing=path", "no_sign", "memory=64m", "stall_timeout=4s",
                 "retry_timeout=100s")
    size, wrong = len(original) // 64 // PAGE * PAGE, []

    def used():
        stats = here.stats()
        return sum(stats.sum("pailfs_memory_bytes", lane=lane)
                   for lane in ("demand", "speculation", "cache", "write"))

    def stream(number):
        file = os.open(here.path(NAME), os.O_RDONLY)
        try:
            start = number * size
            for at in range(start, start + size, 128 << 10):
                end = min(at + (128 << 10), start + size)
                if os.pread(file, end - at, at) != original[at:end]:
                    wrong.append(at)
        finally:
            os.close(file)

    run(["ls", here.directory])
    faultproxy.set(hang=1, method="GET", path=NAME, after=40)
    threads = [threading.Thread(target=stream, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    faultproxy.wait_for_faults(8, 30)
    for _ in range(10):
        assert used() <= 64 * MIB
        time.sleep(0.2)
    faultproxy.clear()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not wrong
    assert here.peak_memory() <= (64 + 48) * MIB
    # Each reservation is given back with the last handle.
    wait_until(lambda: used() == 0, 10, "all memory given back")
    assert here.stats().sum("pailfs_gets_in_flight") == 0


# F6: ends.

def test_f6_a_detached_mount_serves_who_is_in_it(cold, original):
    """umount -l: open files stay readable, and the daemon ends with the last of them."""
    mount, _, path = cold
    with open(path, "rb") as file:
        assert file.read(10) == original[:10]
        run(["fusermount3", "-u", "-z", mount.directory])
        assert not mounted(mount.directory)
        file.seek(60 * MIB)
        assert file.read(MIB) == original[60 * MIB:61 * MIB]
        assert mount.process.poll() is None
    assert mount.process.wait(10) == 0
    mount.kill()


def test_f6_what_is_open_at_the_end_is_let_go(cold, original):
    """No RELEASE comes for it; the address sanitizer's build is held to that by its status."""
    mount, _, path = cold
    with open(path, "rb") as file, os.scandir(mount.directory) as names:
        assert file.read(10) == original[:10] and next(names)
        mount.process.terminate()
        assert mount.process.wait(10) == 0
    mount.kill()


def test_f6_a_mount_in_use_stays(cold, original):
    mount, _, path = cold
    with open(path, "rb") as file:
        done = run(["fusermount3", "-u", mount.directory], check=False)
        assert done.returncode != 0 and "busy" in done.stderr
        assert file.read(MIB) == original[:MIB]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_f6_a_signal_while_reading_ends_well(cold, original, number):
    """The reader of that moment gets bytes or an error, never other bytes; status 0."""
    mount, _, path = cold
    read = []

    def reader():
        try:
            with open(path, "rb") as file:
                while True:
                    part = file.read(MIB)
                    read.append(part == original[(len(read)) * MIB:(len(read) + 1) * MIB])
                    if not part:
                        file.seek(0)
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                        read.clear()
        except OSError:
            pass

    thread = threading.Thread(target=reader)
    thread.start()
    wait_until(lambda: read, 10, "a first read")
    mount.process.send_signal(number)
    assert mount.process.wait(15) == 0, mount.log
    thread.join(15)
    assert not thread.is_alive() and all(read)
    assert not mounted(mount.directory)
    mount.kill()


# F7: secrets.

SECRET, TOKEN = "wJalrXUtnSECRETsecretSECRETsecretSECRETsk", "FwoGZXIvYXdzTOKENtokenTOKENtoken"


def test_f7_keys_are_shown_nowhere(ceph, mount, tmp_path):
    """What a mount tells, in debug lines too, does not have the secret key or the token."""
    s3 = ceph.s3()
    bucket = s3.bucket_of("secrets", {"a": b"1", "dir/b": b"22"})
    told = []
    # A token that the server does not know: each answer is a refusal with an explanation.
    with pytest.raises(AssertionError) as refused:
        mount(f"s3://{bucket}", *s3.options, "log_level=debug", "retry_timeout=2s",
              env={"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY": SECRET,
                   "AWS_SESSION_TOKEN": TOKEN})
    told.append(str(refused.value))
    here = mount(f"s3://{bucket}", *s3.options, "log_level=debug", f"oplog={tmp_path}/oplog",
                 env=s3.environ)
    here.path("a").read_bytes()
    run(["ls", "-lR", here.directory])
    with pytest.raises(FileNotFoundError):
        here.path("missing").stat()
    told += [here.path(".pailfs", name).read_text() for name in ("stats", "config", "version")]
    told += [run([PAILCTL, *words]).stdout for words in
             (["config", here.directory], ["stat", here.directory], ["why", here.path("a")])]
    told += [os.getxattr(here.path("a"), name).decode() for name in os.listxattr(here.path("a"))]
    here.unmount()
    told += [here.log, (tmp_path / "oplog").read_text()]
    for secret in (SECRET, TOKEN, s3.secret_key):
        assert not [text for text in told if secret in text]
    # The key's owner knows it by what is shown.
    assert "AKIA" in told[0] and "AKIAEXAMPLEKEY" not in told[0]


def test_f7_a_presigned_url_is_shown_without_its_query(nginx, mount, tmp_path):
    url = f"{nginx.endpoint}/data/tools/one?X-Amz-Signature={SECRET}&X-Amz-Security-Token={TOKEN}"
    here = mount(url, "log_level=debug", f"oplog={tmp_path}/oplog")
    assert os.listdir(here.directory) == ["one"]
    assert here.path("one").read_bytes() == b"1"
    told = [here.path(".pailfs", name).read_text() for name in ("stats", "config", "version")]
    told += [os.getxattr(here.path("one"), name).decode()
             for name in os.listxattr(here.path("one"))]
    told.append(Path("/proc/self/mountinfo").read_text())
    here.unmount()
    told += [here.log, (tmp_path / "oplog").read_text()]
    for secret in (SECRET, TOKEN):
        assert not [text for text in told if secret in text]


def test_f7_no_core_file(tmp_path):
    """The memory of a daemon that crashes, with keys in it, is not written to a disk."""
    directory = tmp_path / "mnt"
    directory.mkdir()
    script = f'ulimit -c unlimited; cd {tmp_path}; exec "$@"'
    with subprocess.Popen(["sh", "-c", script, "sh", PAILFS, "mem://", directory, "-f"],
                          env=environment(), stderr=subprocess.DEVNULL) as daemon:
        wait_until(lambda: mounted(directory), 10, "mount")
        daemon.send_signal(signal.SIGABRT)
        _, status = os.waitpid(daemon.pid, 0)
        daemon.returncode = -os.WTERMSIG(status)
    run(["fusermount3", "-u", "-z", directory], check=False)
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert not processes_with(str(directory))
