"""Local-backed mounts over a store that fails on purpose (the option chaos=): each failure
reaches the program with its errno, nothing else is damaged, the daemon goes on."""
import errno
import mmap
import os
import random
import stat
import threading
import time

import pytest

from lib_local import KINDS, in_children
from lib_mount import start_fails
from lib_proc import expect_error, run

MIB = 1 << 20
OLD = bytes(range(250)) * 40  # 10,000 bytes


@pytest.fixture(params=KINDS)
def chaos(request, local):
    """chaos(FAULT...) -> a mount that has these faults."""
    return lambda *faults: local(request.param, "chaos=" + "\\,".join(faults))


def make_file(path, operation="", size=len(OLD)):
    """A file of zeros, made with other operations than this one."""
    if operation in ("make", "truncate"):
        path.write_bytes(bytes(size))
    else:
        os.mknod(path, stat.S_IFREG | 0o644)
        os.truncate(path, size)


def opened(path, call, flags=os.O_RDWR):
    fd = os.open(path, flags)
    try:
        return call(fd)
    finally:
        os.close(fd)


# The operation of the store, and what a program does that comes to it.
CALLS = {
    "create": lambda v: opened(v.parent / "new", lambda fd: None, os.O_CREAT | os.O_RDWR),
    "make": lambda v: os.symlink("target", v.parent / "new"),
    "link": lambda v: os.link(v, v.parent / "new"),
    "unlink": lambda v: os.unlink(v.parent / "other"),
    "rename": lambda v: os.rename(v, v.parent / "other"),
    "setattr": lambda v: os.chmod(v, 0o600),
    "truncate": lambda v: os.truncate(v, 10),
    "open": lambda v: opened(v, lambda fd: None, os.O_RDONLY),
    "flush": lambda v: opened(v, lambda fd: None, os.O_RDONLY),
    "read": lambda v: opened(v, lambda fd: os.pread(fd, 100, 0)),
    "write": lambda v: opened(v, lambda fd: os.pwrite(fd, b"x" * 100, 0)),
    "fsync": lambda v: opened(v, os.fsync),
    "fallocate": lambda v: opened(v, lambda fd: os.posix_fallocate(fd, 0, 100_000)),
    "seek": lambda v: opened(v, lambda fd: os.lseek(fd, 0, os.SEEK_HOLE)),
    "copy": lambda v: opened(v, lambda fd: os.copy_file_range(fd, fd, 100, 0, 5000)),
    "opendir": lambda v: os.listdir(v.parent),
    "readdir": lambda v: os.listdir(v.parent),
    "fsyncdir": lambda v: opened(v.parent, os.fsync, os.O_RDONLY | os.O_DIRECTORY),
    "statfs": lambda v: os.statvfs(v.parent),
}


@pytest.mark.parametrize("operation", CALLS)
def test_one_failure_is_one_errno(chaos, operation):
    """EIO or ENOSPC once, nothing has changed; then the same call works."""
    number = errno.ENOSPC if operation in ("create", "make", "write", "fallocate") else errno.EIO
    # The kernel answers a failed read by asking for its first page once more.
    times = 2 if operation == "read" else 1
    fs = chaos(*(f"error=@{1 + n}:{errno.errorcode[number]}:{operation}" for n in range(times)))
    value, other = fs.path("value"), fs.path("other")
    if operation == "flush":  # the files of the setup are closed too
        os.mknod(value, stat.S_IFREG | 0o644)
        os.mknod(other, stat.S_IFREG | 0o644)
    else:
        make_file(value, operation)
        make_file(other, operation)
    before, names = os.stat(value), {"value", "other"}
    expect_error(number, CALLS[operation], value)
    after = os.stat(value)
    assert (before.st_size, before.st_mode, before.st_nlink) == (after.st_size, after.st_mode, after.st_nlink)
    assert set(os.listdir(fs.path())) == names
    assert value.read_bytes() == bytes(before.st_size)
    assert other.read_bytes() == bytes(before.st_size)
    CALLS[operation](value)


def test_eio_in_the_middle_of_writes(chaos):
    """W9: what was acknowledged is there, what failed is not, and others are whole."""
    fs = chaos("error=@5:EIO:write", "short=@8:write")
    fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT)
    other = os.open(fs.path("other"), os.O_RDWR | os.O_CREAT)
    assert os.pwrite(other, OLD, 0) == len(OLD)
    expected = bytearray()
    for i in range(20):
        block = bytes([65 + i]) * 4096
        try:
            n = os.pwrite(fd, block, len(expected))
        except OSError as e:
            assert e.errno == errno.EIO
            n = 0
        expected += block[:n]
    assert 18 * 4096 < len(expected) < 19 * 4096  # one failed, one was cut
    os.fsync(fd)
    assert os.pread(fd, MIB, 0) == expected
    assert os.pread(other, MIB, 0) == OLD
    os.close(fd)
    os.close(other)
    if fs.has_backing:
        assert fs.backing("value").read_bytes() == expected


def test_disk_full_in_the_middle_of_a_write(chaos):
    fs = chaos("space=3m")
    fs.path("other").write_bytes(OLD)
    fd = os.open(fs.path("value"), os.O_RDWR | os.O_CREAT)
    done = 0
    with pytest.raises(OSError) as caught:
        while True:
            done += os.pwrite(fd, b"w" * 700_000, done)
    assert caught.value.errno == errno.ENOSPC
    assert done == 3 * MIB - len(OLD)
    assert os.fstat(fd).st_size == done
    assert os.pread(fd, done + 1, 0) == b"w" * done
    os.close(fd)
    assert fs.path("other").read_bytes() == OLD
    os.unlink(fs.path("value"))
    assert os.listdir(fs.path()) == ["other"]


@pytest.mark.parametrize("fault, number", [("error=@2+:EIO:write", errno.EIO), ("space=40k", errno.ENOSPC),
                                           ("error=@1+:EIO:fsync", errno.EIO),
                                           ("error=@1+:EDQUOT:flush", errno.EDQUOT),
                                           ("error=@1+:EIO:rename", errno.EIO)])
def test_w8_a_replacement_that_fails_leaves_the_old_value(chaos, fault, number):
    """Write beside, fsync, close, rename: where it fails, the old value is under its name."""
    fs = chaos(fault)
    make_file(fs.path("value"))

    def replace():
        fd = os.open(fs.path("new"), os.O_WRONLY | os.O_CREAT)
        try:
            done = 0
            while done < 100_000:
                done += os.pwrite(fd, b"n" * 10_000, done)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(fs.path("new"), fs.path("value"))

    expect_error(number, replace)
    assert fs.path("value").stat().st_size == len(OLD)
    with open(fs.path("value"), "rb", buffering=0) as f:
        assert f.read() == bytes(len(OLD))
        if "flush" in fault:
            expect_error(number, f.close)
    os.unlink(fs.path("new"))
    assert os.listdir(fs.path()) == ["value"]


def test_w12_a_mapping_learns_of_it_from_msync(chaos):
    fs = chaos("error=@1:EIO:write")
    make_file(fs.path("value"), size=4096)
    fd = os.open(fs.path("value"), os.O_RDWR)
    with mmap.mmap(fd, 4096) as m:
        m[:5] = b"first"
        expect_error(errno.EIO, m.flush)
        m[:5] = b"again"
        m.flush()
    assert os.pread(fd, 5, 0) == b"again"
    os.close(fd)


def test_w12_a_mapping_is_written_whole(chaos):
    """The kernel does not look at how much of its pages was taken."""
    fs = chaos("short=@1:write", "space=300k")
    make_file(fs.path("value"), size=MIB)
    fd = os.open(fs.path("value"), os.O_RDWR)
    with mmap.mmap(fd, MIB) as m:
        m[:100_000] = b"a" * 100_000
        m.flush()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(fd, 100_000, 0) == b"a" * 100_000
        m[100_000:] = b"b" * (MIB - 100_000)
        expect_error(errno.ENOSPC, m.flush)
    os.close(fd)


def test_extended_attributes_that_cannot_be_read(chaos):
    fs = chaos("error=@1+:EIO:xattr")
    make_file(fs.path("value"))
    expect_error(errno.EIO, os.setxattr, fs.path("value"), "user.a", b"b")
    expect_error(errno.EIO, os.getxattr, fs.path("value"), "user.a")
    expect_error(errno.EIO, os.listxattr, fs.path("value"))
    assert fs.path("value").read_bytes() == bytes(len(OLD))


def test_slow_is_not_wrong(chaos):
    fs = chaos("delay=2ms", "short=20%:write")
    with open(fs.path("value"), "wb") as f:
        f.write(OLD * 10)
    assert fs.path("value").read_bytes() == OLD * 10


def write_at_random(fs, index):
    """One file a process: what is acknowledged goes into an array, what fails does not."""
    roll, path = random.Random(index), fs.path(f"value{index}")
    expected, failed = bytearray(), 0

    def insist(call, *arguments):
        nonlocal failed
        while True:
            try:
                return call(*arguments)
            except OSError as e:
                assert e.errno in (errno.EIO, errno.ENOSPC), e
                failed += 1

    def read_all():
        got = b""
        while True:  # what comes before a failure is a short read
            part = insist(os.pread, fd, 200_000, len(got))
            if not part:
                return got
            got += part

    fd = insist(os.open, path, os.O_RDWR | os.O_CREAT, 0o644)
    for step in range(400):
        offset = roll.randrange(60_000)
        block = bytes([1 + step % 255]) * roll.randrange(1, 9000)
        try:
            if step % 20 == 19:
                os.ftruncate(fd, offset)
                del expected[offset:]
                expected.extend(bytes(offset - len(expected)))
            elif step % 20 == 9:
                new = path.with_name(f"value{index}-{step}")
                os.rename(path, new)
                path = new
            else:
                n = os.pwrite(fd, block, offset)
                expected.extend(bytes(max(0, offset + n - len(expected))))
                expected[offset:offset + n] = block[:n]
        except OSError as e:
            assert e.errno in (errno.EIO, errno.ENOSPC), e
            failed += 1
        assert read_all() == expected, f"step {step}"
    os.close(fd)
    assert failed > 10
    if fs.has_backing:
        assert fs.backing(path.name).read_bytes() == expected


def test_w1_to_w11_random_operations_that_fail_now_and_then(chaos):
    """Four processes, each with a model of its file, while one operation in twenty fails."""
    fs = chaos("error=5%:EIO:create:open:read:write:truncate:rename", "error=2%:ENOSPC:write", "short=5%:write")
    in_children(4, lambda index: write_at_random(fs, index))
    assert len(os.listdir(fs.path())) == 4


@pytest.mark.parametrize("fault", ["hang=1%", "error=1%:EIO:list", "error=1%", "spice=3"])
def test_what_no_local_store_can_do_is_refused(tmp_path, fault):
    line = start_fails(f"file://{tmp_path}", f"chaos={fault}", status=1)
    assert fault in line and "space=64k" in line


# What a program does while the connection is cut, which comes to the store as two operations: a
# question for the name, and this.
CUT = {
    "open": lambda root: os.open(root / "v", os.O_RDWR),
    "create": lambda root: os.open(root / "new", os.O_CREAT | os.O_RDWR),
    "opendir": lambda root: os.open(root / "d", os.O_RDONLY | os.O_DIRECTORY),
    "mkdir": lambda root: os.mkdir(root / "new"),
    "lookup": lambda root: os.stat(root / "d" / "none"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root cuts a mount's connection")
@pytest.mark.parametrize("operation", CUT)
def test_f6_a_connection_that_is_cut_is_an_end_like_others(mount, tmp_path, operation):
    """Also for a request that is answered after that, as with umount -f."""
    (tmp_path / "v").touch()
    (tmp_path / "d").mkdir()
    # Memory that was given back is filled, so that who goes on with it is found out.
    here = mount(f"file://{tmp_path}", "chaos=delay=600ms", env={"MALLOC_PERTURB_": "85"})
    failures = []

    def act():
        try:
            os.close(CUT[operation](here.directory) or os.open("/dev/null", os.O_RDONLY))
        except OSError as failure:
            failures.append(failure.errno)

    thread = threading.Thread(target=act)
    os.stat(here.directory)  # so that this is not asked before the name
    thread.start()
    time.sleep(0.9)
    run(["umount", "-f", "-l", here.directory])
    thread.join(20)
    assert failures == [errno.ECONNABORTED]
    try:
        assert here.process.wait(20) == 0, here.log
    finally:
        here.kill()
