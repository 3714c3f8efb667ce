"""The option writeback: what the kernel keeps of writes arrives whole, in its place and in time.
The contract's own tests and the random model (test_write_contract.py, test_write_model.py) run
with it too."""
import contextlib
import errno
import mmap
import os
import random
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib_local import WRITEBACK, Local
from lib_mount import environment
from lib_proc import PAILCTL, PAILFS, expect_error, run, wait_until

MIB = 1 << 20
DATA = random.Random(1).randbytes(MIB)


@pytest.fixture(params=WRITEBACK)
def kept(request, local):
    """kept(OPTION...) -> a fresh mount of each kind in turn, whose writes the kernel keeps."""
    return lambda *options: local(request.param, *options)


def requests(spent, op):
    return spent.sum("pailfs_fuse_requests_total", op=op)


def test_small_writes_are_gathered(kept):
    fs = kept()
    before = fs.mount.stats()
    with open(fs.path("value"), "wb", buffering=0) as f:
        for at in range(0, MIB, 1000):
            f.write(DATA[at:at + 1000])
    spent = fs.mount.stats() - before
    assert requests(spent, "write") < 20
    assert spent.sum("pailfs_written_bytes_total") == MIB
    if fs.has_backing:
        assert fs.backing("value").read_bytes() == DATA
    assert fs.path("value").read_bytes() == DATA


def test_pages_are_kept_over_an_open(kept):
    """The backing's times have moved by the kernel's own late writes, which drops no page."""
    fs = kept()
    fs.path("value").write_bytes(DATA)
    before = fs.mount.stats()
    for _ in range(3):
        assert fs.path("value").read_bytes() == DATA
    assert (fs.mount.stats() - before).read_bytes == 0


def test_a_page_is_changed_through_a_handle_that_only_writes(kept):
    """The kernel reads the rest of the page through it."""
    fs = kept()
    os.mknod(fs.path("value"), stat.S_IFREG | 0o644)
    os.truncate(fs.path("value"), 9000)
    for name, expected in (("value", 9000), ("new", 0)):
        fd = os.open(fs.path(name), os.O_WRONLY | os.O_CREAT)
        os.pwrite(fd, b"x" * 10, 5000)
        os.close(fd)
        assert fs.path(name).read_bytes() == \
            (bytes(5000) + b"x" * 10).ljust(expected, b"\0")


def test_appends_come_behind_what_is_not_sent_yet(kept):
    """The end is the kernel's to know, whichever way the bytes take."""
    fs = kept()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    one, two, direct = (os.open(fs.path("log"), flags | more) for more in (0, 0, os.O_DIRECT))
    expected = b""
    with mmap.mmap(-1, 4096) as page:
        for n in range(1, 60):
            page[:] = bytes([n]) * 4096
            for fd, data in ((one, bytes([n]) * 100), (two, bytes([n]) * (4096 - 100)), (direct, page)):
                assert os.writev(fd, [data]) == len(data)
                expected += bytes(data)
    for fd in (one, two, direct):
        os.close(fd)
    assert fs.path("log").read_bytes() == expected
    if fs.has_backing:
        assert fs.backing("log").read_bytes() == expected


def test_bytes_that_are_not_sent_yet_are_no_hole(kept):
    """cp(1) and tar(1) leave out what they are told is one."""
    fs = kept()
    fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4 * MIB)
    os.pwrite(fd, b"data", 2 * MIB)
    os.pwrite(fd, b"end", 8 * MIB)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 8 * MIB + 3
    run(["cp", "--sparse=always", fs.path("value"), fs.path("copy")])
    copied = fs.path("copy").read_bytes()
    assert copied == (bytes(2 * MIB) + b"data").ljust(8 * MIB, b"\0") + b"end"
    os.close(fd)


def test_late_errors_reach_fsync_and_close(kept):
    fs = kept("chaos=error=@1:EIO:write")
    fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT)
    assert os.pwrite(fd, DATA, 0) == MIB
    expect_error(errno.EIO, os.fsync, fd)
    assert os.pwrite(fd, DATA, 0) == MIB
    os.fsync(fd)
    os.close(fd)
    assert fs.path("value").read_bytes() == DATA


def test_a_full_disk_is_told_by_fsync_or_close(kept):
    fs = kept("chaos=space=300k")
    for sync in (os.fsync, os.close):
        fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        assert os.pwrite(fd, DATA, 0) == MIB
        expect_error(errno.ENOSPC, sync, fd)
        if sync != os.close:
            os.close(fd)


def test_times_are_those_of_the_writes(kept):
    fs = kept()
    fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, DATA, 0)
    written = os.fstat(fd).st_mtime_ns
    os.fsync(fd)
    assert os.fstat(fd).st_mtime_ns == written
    os.pwrite(fd, DATA, 0)
    os.utime(fd, ns=(10**18 + 1, 10**18 + 2))  # after the write, which is still on its way
    os.close(fd)
    assert fs.path("value").stat().st_mtime_ns == 10**18 + 2
    if fs.has_backing:
        assert fs.backing("value").stat().st_mtime_ns == 10**18 + 2


def test_w9_what_fsync_returned_for_survives():
    fs = Local("file-writeback")
    try:
        synced = os.open(fs.path("synced"), os.O_RDWR | os.O_CREAT)
        other = os.open(fs.path("other"), os.O_RDWR | os.O_CREAT)
        for n in range(1, 10):
            os.pwrite(synced, DATA, n * 1000)
            os.pwrite(other, DATA, n * 1000)
            os.fsync(synced)
            os.pwrite(other, b"late", 0)
            os.pwrite(synced, b"late", 0)
            os.fsync(synced)
        fs.mount.process.kill()
        fs.mount.process.wait()
        for fd in (synced, other):
            expect_error(errno.ENOTCONN, os.fsync, fd)
            expect_error(errno.ENOTCONN, os.close, fd)
        fs.mount.kill()
        found = fs.backing("synced").read_bytes()
        assert found[:4] == b"late" and found[9000:] == DATA
    finally:
        fs.close()


WRITER = """
import mmap, os, sys
written, mapped = (os.open(name, os.O_RDWR | os.O_CREAT) for name in sys.argv[1:])
os.pwrite(written, b"w" * 1000001, 5)
os.ftruncate(mapped, 1000006)
mapping = mmap.mmap(mapped, 1000006)
mapping[5:] = b"m" * 1000001
print("written", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def writer(fs):
    """A process that has written to two files and keeps them open. Another one, because every
    program that a process starts closes what it inherits, upon which the kernel sends all."""
    process = subprocess.Popen(["/usr/bin/python3", "-c", WRITER, fs.path("w"), fs.path("m")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    for name in "wm":
        content = fs.backing(name).read_bytes()
        assert name.encode() not in content, "was sent before it had to be"
    yield
    process.communicate(timeout=30)


def has_arrived(fs):
    for name in "wm":
        assert fs.backing(name).read_bytes() == bytes(5) + name.encode() * 1_000_001


@pytest.mark.parametrize("kind", ["file-writeback", "direct-writeback"])
@pytest.mark.parametrize("threads", [1, 4])
def test_f6_nothing_is_lost_when_a_mount_ends_under_writers(kind, threads):
    fs = Local(kind, f"threads={threads}")
    try:
        with writer(fs):
            fs.mount.process.terminate()
            assert fs.mount.process.wait(30) == 0
            has_arrived(fs)
        fs.mount.kill()
    finally:
        fs.close()


@pytest.mark.parametrize("command", [["flush"], ["umount", "-l"]])
def test_pailctl_waits_for_what_is_kept(command):
    fs = Local("file-writeback", "threads=1")
    try:
        with writer(fs):
            run([PAILCTL, *command, fs.mount.directory])
            fs.mount.process.kill()
            has_arrived(fs)
        fs.mount.kill()
    finally:
        fs.close()


def test_f6_a_mount_ends_under_a_writer_without_end():
    fs = Local("file-writeback")
    try:
        endless = subprocess.Popen("exec yes > yes", shell=True, cwd=fs.path(),
                                   stderr=subprocess.DEVNULL)
        wait_until(lambda: fs.backing("yes").exists() and fs.backing("yes").stat().st_size, 30,
                   "bytes that arrive")
        written = fs.path("yes").stat().st_size
        fs.mount.process.terminate()
        assert fs.mount.process.wait(60) == 0
        endless.kill()
        endless.wait()
        fs.mount.kill()
        # What comes while the mount ends may be lost in pieces, as in a crash.
        assert fs.backing("yes").read_bytes()[:written] == b"y\n" * (written // 2)
    finally:
        fs.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")
@pytest.mark.parametrize("kind", ["file", "direct"])
def test_a_daemon_that_may_write_and_not_more(kind):
    """It owns the files not, so that it cannot set their times, and one it may not read: what is
    written there passes the cache by."""
    base = Path(tempfile.mkdtemp(prefix="pailfs-backing-", dir="/var/tmp"))  # a checkout may be private
    base.chmod(0o777)
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    program, mnt = shutil.copy(PAILFS, base), base / "mnt"
    os.chmod("/dev/fuse", 0o666)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        root = base / "root"
        root.mkdir()
        mnt.mkdir()
        os.chown(mnt, 65534, 65534)
        for name, mode_of_file in (("both", 0o666), ("blind", 0o222)):
            (root / name).write_bytes(DATA)
            (root / name).chmod(mode_of_file)
        run([program, f"{kind}://{root}", mnt, "-o", "writeback"], env=environment(), **nobody)
        work = f"""
import os
for name in ("both", "blind"):
    fd = os.open("{mnt}/" + name, os.O_WRONLY)
    for n in range(10):
        os.pwrite(fd, b"x", 10_001 * n)
    os.ftruncate(fd, 100_000)
    os.fsync(fd)
    os.close(fd)
"""
        run(["/usr/bin/python3", "-c", work], **nobody)
        expected = bytearray(DATA[:100_000])
        for n in range(10):
            expected[10_001 * n:10_001 * n + 1] = b"x"
        for name in ("both", "blind"):
            assert (root / name).read_bytes() == expected, name
    finally:
        run(["fusermount3", "-u", "-z", mnt], check=False)
        os.chmod("/dev/fuse", mode)
        shutil.rmtree(base)
