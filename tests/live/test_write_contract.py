"""W1 to W18 of the write contract on mounts of local-backed stores, property by property."""
import ctypes
import errno
import fcntl
import mmap
import os
import random
import re
import stat
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib_local import Local, in_children
from lib_proc import run

OTHER = 4321
libc = ctypes.CDLL(None, use_errno=True)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as other users")


@pytest.fixture
def local(shared, request):
    """The store, with an empty directory of this test's own as `local.dir`."""
    name = re.sub(r"\W", "_", request.node.name)
    shared.dir = shared.path(name)
    shared.dir.mkdir()
    shared.behind = shared.backing(name) if shared.has_backing else None
    return shared


def written_by(pid):
    """Bytes that the process made dirty or sent to a device, as the kernel counts them."""
    return int(re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.M).group(1))


def as_another(work, groups=()):
    """Runs work() as a user of no rights."""
    def in_child(_):
        os.setgroups(groups)
        os.setgid(OTHER)
        os.setuid(OTHER)
        work()
    in_children(1, in_child)


def pwrite(path, data, offset):
    fd = os.open(path, os.O_WRONLY)
    try:
        assert os.pwrite(fd, data, offset) == len(data)
    finally:
        os.close(fd)


def test_r1_only_bytes_that_are_there_are_counted(local):
    """The kernel asks for whole pages, also for those that reach beyond the end."""
    path = local.dir / "value"
    path.write_bytes(bytes(10_001))
    with open(path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        before = local.mount.stats()
        assert len(file.readall()) == 10_001
        assert os.pread(file.fileno(), 4096, 20_000) == b""
        assert (local.mount.stats() - before).read_bytes == 10_001


def test_w1_a_range_write_changes_its_bytes_only(local):
    value = random.Random(1).randbytes(32 << 20)
    path = local.dir / "value"
    path.write_bytes(value)
    if local.has_backing:
        # Out of the page cache: the kernel counts what is dirty by pieces of the cache,
        # which are large where large writes made them.
        with open(local.behind / "value") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        inode, before = (local.behind / "value").stat().st_ino, written_by(local.mount.pid)
    pwrite(path, b"x" * 100, 9_999_999)
    expected = value[:9_999_999] + b"x" * 100 + value[9_999_999 + 100:]
    if local.has_backing:
        # Two pages at most, and an inode's block or two.
        assert written_by(local.mount.pid) - before <= 32768
        assert (local.behind / "value").read_bytes() == expected
        assert (local.behind / "value").stat().st_ino == inode
    assert path.read_bytes() == expected


def test_w1_one_request_a_write(local):
    path = local.dir / "value"
    path.write_bytes(bytes(4 << 20))
    before = local.mount.stats()
    pwrite(path, b"y" * (1 << 20), 1 << 20)
    spent = local.mount.stats() - before
    assert spent.sum("pailfs_fuse_requests_total", op="write") == 1
    assert spent.sum("pailfs_written_bytes_total") == 1 << 20


def test_w2_write_past_the_end_fills_with_zeros(local):
    path = local.dir / "value"
    path.write_bytes(b"abc")
    pwrite(path, b"z", 10_000)
    assert path.read_bytes() == b"abc" + bytes(9_997) + b"z"
    fd = os.open(path, os.O_RDWR)
    with pytest.raises(OSError) as caught:
        os.pwrite(fd, b"x", -1)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError) as caught:
        os.pwrite(fd, b"xx", 2 ** 63 - 1)
    assert caught.value.errno in (errno.EFBIG, errno.EINVAL)
    os.close(fd)
    assert path.stat().st_size == 10_001


def test_w3_a_missing_file_is_enoent(local):
    with pytest.raises(FileNotFoundError):
        os.open(local.dir / "missing", os.O_WRONLY)
    assert os.listdir(local.dir) == []


def test_w3_a_read_only_mount_is_erofs():
    local = Local("file", "ro")
    try:
        local.backing("value").write_bytes(b"abc")
        with pytest.raises(OSError) as caught:
            os.open(local.path("value"), os.O_WRONLY)
        assert caught.value.errno == errno.EROFS
        with pytest.raises(OSError) as caught:
            local.path("new").touch()
        assert caught.value.errno == errno.EROFS
        assert local.path("value").read_bytes() == b"abc"
    finally:
        local.close()


def test_w4_writing_nothing_changes_nothing(local):
    path = local.dir / "value"
    path.write_bytes(b"abc")
    before = path.stat()
    time.sleep(0.05)
    fd = os.open(path, os.O_WRONLY)
    assert os.pwrite(fd, b"", 1) == 0
    assert os.pwrite(fd, b"", 1000) == 0
    os.close(fd)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_size) == \
        (before.st_mtime_ns, before.st_ctime_ns, before.st_size)


@pytest.mark.parametrize("how", ["processes", "threads"])
def test_w5_disjoint_ranges_at_once(local, how):
    piece, count, workers = 1000, 400, 4
    path = local.dir / "value"
    path.write_bytes(bytes(piece * count))

    def write(index):
        fd = os.open(path, os.O_WRONLY)
        for i in range(index, count, workers):
            os.pwrite(fd, bytes([1 + index]) * piece, i * piece)
        os.close(fd)

    if how == "processes":
        in_children(workers, write)
    else:
        threads = [threading.Thread(target=write, args=[i]) for i in range(workers)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    expected = b"".join(bytes([1 + i % workers]) * piece for i in range(count))
    assert path.read_bytes() == expected
    if local.has_backing:
        assert (local.behind / "value").read_bytes() == expected


def test_w6_overlapping_writes_are_whole(local):
    size = 300_000
    path = local.dir / "value"
    path.write_bytes(bytes(size))

    def write(index):
        fd = os.open(path, os.O_WRONLY)
        for _ in range(30):
            os.pwrite(fd, bytes([1 + index]) * size, 0)
        os.close(fd)

    for _ in range(3):
        in_children(4, write)
        assert len(set(path.read_bytes())) == 1


def test_w7_the_file_is_there_all_the_time(local):
    path = local.dir / "value"
    path.write_bytes(b"0" * 100_000)
    stop = time.monotonic() + 1.5

    def work(index):
        while time.monotonic() < stop:
            if index:
                assert len(path.read_bytes()) == 100_000
            else:
                pwrite(path, b"1" * 50_000, 25_000)

    in_children(3, work)


def test_w8_rename_replaces_at_once(local):
    path, sizes = local.dir / "value", (1, 70_000)
    path.write_bytes(b"a")
    stop = time.monotonic() + 1.5

    def work(index):
        n = 0
        while time.monotonic() < stop:
            if index:
                data = path.read_bytes()
                assert len(data) in sizes and len(set(data)) == 1
            else:
                n += 1
                (local.dir / "new").write_bytes(bytes([n % 250 + 1]) * sizes[n % 2])
                os.rename(local.dir / "new", path)

    in_children(3, work)


def test_w10_truncate(local):
    path = local.dir / "value"
    path.write_bytes(b"x" * 10_000)
    os.truncate(path, 3_000)
    os.truncate(path, 10_000)
    assert path.read_bytes() == b"x" * 3_000 + bytes(7_000)
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.ftruncate(fd, 100)
    os.ftruncate(fd, 5_000)
    assert os.pread(fd, 10_000, 0) == b"x" * 100 + bytes(4_900)
    os.fchmod(fd, 0o640)
    os.utime(fd, ns=(5, 7))
    now = os.fstat(fd)
    assert (now.st_nlink, now.st_mode & 0o7777, now.st_mtime_ns) == (0, 0o640, 7)
    os.close(fd)


def test_w10_attributes_round_trip(local):
    path = local.dir / "value"
    path.write_bytes(b"x")
    os.utime(path, ns=(1_000_000_001_123_456_789, 1_600_000_000_987_654_321))
    assert path.stat().st_atime_ns == 1_000_000_001_123_456_789
    assert path.stat().st_mtime_ns == 1_600_000_000_987_654_321
    run(["touch", "-a", "-d", "@77", path])  # UTIME_OMIT for the other
    assert path.stat().st_atime_ns == 77_000_000_000
    assert path.stat().st_mtime_ns == 1_600_000_000_987_654_321
    os.utime(path)  # UTIME_NOW
    assert abs(path.stat().st_mtime - time.time()) < 5
    for mode in (0o600, 0o755, 0o4755, 0o2750, 0o1777, 0):
        os.chmod(path, mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
        os.chown(path, -1, 99)
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 99)
    os.symlink("nowhere", local.dir / "link")
    os.utime(local.dir / "link", ns=(3, 4), follow_symlinks=False)
    assert (local.dir / "link").lstat().st_mtime_ns == 4


def test_w11_every_handle_sees_a_write(local):
    path = local.dir / "value"
    path.write_bytes(b"a" * 100_000)
    readers = [os.open(path, os.O_RDONLY) for _ in range(3)]
    for fd in readers:
        assert os.pread(fd, 10, 50_000) == b"a" * 10
    writer = os.open(path, os.O_WRONLY)
    for byte in b"bcd":
        os.pwrite(writer, bytes([byte]) * 10, 50_000)
        for fd in readers:
            assert os.pread(fd, 10, 50_000) == bytes([byte]) * 10
    os.write(writer, b"e")
    os.ftruncate(writer, 10)
    for fd in readers:
        assert os.pread(fd, 100, 0) == b"e" + b"a" * 9
    for fd in [writer, *readers]:
        os.close(fd)


@pytest.mark.parametrize("kind", ["file", "direct"])
def test_w11_an_open_sees_what_others_wrote_to_the_backing(kind):
    local = Local(kind)
    try:
        local.backing("value").write_bytes(b"old")
        for i in range(20):
            data = b"%d" % i * (1 + i * 500)
            assert local.path("value").exists()  # the kernel knows its attributes now
            local.backing("value").write_bytes(data)
            assert local.path("value").read_bytes() == data
            local.backing(f"new{i}").touch()
            assert local.path(f"new{i}").exists()
    finally:
        local.close()


@pytest.mark.parametrize("kind", ["file", "direct"])
def test_w11_appends_beside_another_process_are_kept(kind):
    local = Local(kind)
    try:
        log = os.open(local.path("log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for i in range(50):
            os.write(log, b"m%02d\n" % i)
            with open(local.backing("log"), "ab") as other:
                other.write(b"b%02d\n" % i)
        os.close(log)
        assert local.backing("log").read_bytes() == \
            b"".join(b"m%02d\nb%02d\n" % (i, i) for i in range(50))
    finally:
        local.close()


def test_w12_shared_mappings(local):
    path = local.dir / "value"
    path.write_bytes(bytes(20_000))
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 20_000) as m:
        m[5_000:5_005] = b"hello"
        assert os.pread(f.fileno(), 5, 5_000) == b"hello"
        m.flush()
        if local.has_backing:
            assert (local.behind / "value").read_bytes()[5_000:5_005] == b"hello"
        os.pwrite(f.fileno(), b"world", 15_000)
        assert m[15_000:15_005] == b"world"
    expected = bytearray(20_000)
    expected[5_000:5_005], expected[15_000:15_005] = b"hello", b"world"
    assert path.read_bytes() == expected


def test_w12_a_mapping_through_an_append_handle_stays_in_place(local):
    path = local.dir / "value"
    path.write_bytes(b"." * 8_192)
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    with mmap.mmap(fd, 8_192) as m:
        m[0:3] = b"abc"
        m.flush()
    os.write(fd, b"end")
    os.close(fd)
    assert path.read_bytes() == b"abc" + b"." * 8_189 + b"end"


@pytest.mark.parametrize("lock", ["flock", "fcntl"])
def test_w13_advisory_locks(local, lock):
    path = local.dir / "value"
    path.write_bytes(b"0")

    def take(fd):
        if lock == "flock":
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            fcntl.lockf(fd, fcntl.LOCK_EX)

    def count(_):
        for _ in range(50):
            fd = os.open(path, os.O_RDWR)
            take(fd)
            n = int(os.pread(fd, 20, 0))
            os.pwrite(fd, b"%d" % (n + 1), 0)
            os.close(fd)

    in_children(4, count)
    assert path.read_bytes() == b"200"


def test_w14_small_adjacent_writes_equal_a_large_one(local):
    data = random.Random(2).randbytes(300_000)
    rng, done = random.Random(3), 0
    fd = os.open(local.dir / "pieces", os.O_WRONLY | os.O_CREAT)
    while done < len(data):
        n = rng.choice([1, 7, 511, 512, 4095, 4096, 10_000])
        done += os.write(fd, data[done:done + n])
    os.fsync(fd)
    os.close(fd)
    assert (local.dir / "pieces").read_bytes() == data
    if local.has_backing:
        assert (local.behind / "pieces").read_bytes() == data


@needs_root
def test_w10_who_changes_a_program_takes_its_suid_bits(local, tmp_path):
    """As on the bare directory, also where nothing but O_TRUNC changes it."""
    changes = {
        "truncating": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "creating": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)),
        "truncate": lambda path: os.truncate(path, 1),
        "write": lambda path: pwrite(path, b"x", 0),
        "allocate": lambda path: allocate(path, 100_000),
    }
    local.dir.chmod(0o755)
    (tmp_path / "bare").mkdir()
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(0o755)
    for place in (tmp_path / "bare", local.dir):
        for how, change in changes.items():
            path = place / how
            path.write_bytes(b"program")
            path.chmod(0o6777)
            as_another(lambda: change(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o777, (place, how)
            path.chmod(0o6777)
            change(path)  # root's may stay
            assert stat.S_IMODE(path.stat().st_mode) == 0o6777, (place, how)


def allocate(path, length):
    fd = os.open(path, os.O_WRONLY)
    os.posix_fallocate(fd, 0, length)
    os.close(fd)


@needs_root
def test_w16_creations_belong_to_the_caller(local):
    os.chmod(local.dir, 0o777)
    script = ("touch f; mkdir d; ln -s t s; mkfifo p; echo x > g; install -m 4755 /bin/true suid;"
              "umask 027; mkdir e; touch h")
    subprocess.run(["sh", "-c", script], cwd=local.dir, user=4321, group=8765, extra_groups=[50], check=True)
    for name in "fdspgeh":
        st = (local.dir / name).lstat()
        assert (st.st_uid, st.st_gid) == (4321, 8765), name
    assert stat.S_IMODE((local.dir / "e").stat().st_mode) == 0o750
    assert stat.S_IMODE((local.dir / "h").stat().st_mode) == 0o640
    assert stat.S_IMODE((local.dir / "suid").stat().st_mode) == 0o4755
    # The parent's setgid rule.
    (local.dir / "team").mkdir()
    os.chown(local.dir / "team", 0, 50)
    os.chmod(local.dir / "team", 0o2777)
    subprocess.run(["sh", "-c", "mkdir sub; touch file"], cwd=local.dir / "team", user=4321, group=8765,
                   extra_groups=[], check=True)
    assert (local.dir / "team/sub").stat().st_gid == 50
    assert stat.S_IMODE((local.dir / "team/sub").stat().st_mode) & 0o2000
    st = (local.dir / "team/file").stat()
    assert (st.st_uid, st.st_gid) == (4321, 50)
    # Another user has no business there.
    done = subprocess.run(["touch", "e/x"], cwd=local.dir, user=1, group=1, extra_groups=[],
                          stderr=subprocess.PIPE)
    assert done.returncode and b"Permission denied" in done.stderr


def test_w17_unlinked_and_replaced_files_stay_open(local):
    path = local.dir / "value"
    path.write_bytes(b"first")
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.pwrite(fd, b"F", 0)
    assert os.pread(fd, 100, 0) == b"First"
    path.write_bytes(b"second")
    other = os.open(path, os.O_RDWR)
    (local.dir / "new").write_bytes(b"third")
    os.rename(local.dir / "new", path)
    assert os.pread(fd, 100, 0) == b"First"
    assert os.pread(other, 100, 0) == b"second"
    assert path.read_bytes() == b"third"
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)
    os.close(other)


def test_w18_two_writers_are_one_value(local):
    path = local.dir / "value"
    a = os.open(path, os.O_RDWR | os.O_CREAT)
    b = os.open(path, os.O_RDWR)
    os.pwrite(a, b"aaaa", 0)
    os.pwrite(b, b"bb", 1)
    os.close(a)
    os.pwrite(b, b"c", 3)
    os.close(b)
    assert path.read_bytes() == b"abbc"


def test_holes(local):
    path = local.dir / "value"
    path.write_bytes(b"d" * (1 << 20))
    fd = os.open(path, os.O_RDWR)
    punch = 0x01 | 0x02
    if libc.fallocate(fd, punch, ctypes.c_long(200_000), ctypes.c_long(400_000)):
        raise OSError(ctypes.get_errno(), "fallocate")
    expected = b"d" * 200_000 + bytes(400_000) + b"d" * ((1 << 20) - 600_000)
    assert path.read_bytes() == expected
    assert os.fstat(fd).st_blocks * 512 < 800_000
    hole = os.lseek(fd, 0, os.SEEK_HOLE)
    if local.writeback:
        assert hole == 1 << 20
    else:
        assert 200_000 <= hole < 210_000
        assert 590_000 < os.lseek(fd, hole, os.SEEK_DATA) <= 600_000
    os.posix_fallocate(fd, 1 << 20, 1000)
    assert os.fstat(fd).st_size == (1 << 20) + 1000
    os.close(fd)


def test_copy_file_range(local):
    data = random.Random(4).randbytes(3 << 20)
    (local.dir / "a").write_bytes(data)
    a = os.open(local.dir / "a", os.O_RDONLY)
    b = os.open(local.dir / "b", os.O_RDWR | os.O_CREAT)
    done = 0
    while done < len(data):
        n = os.copy_file_range(a, b, len(data) - done, done, done)
        assert n > 0
        done += n
    os.close(a)
    os.close(b)
    assert (local.dir / "b").read_bytes() == data


def test_a_long_copy_comes_in_pieces(local):
    """One request that copied all of a large file would keep others waiting; cp(1) asks again."""
    size = 50_000_001
    with open(local.dir / "a", "wb") as a:
        a.truncate(size)
        a.seek(20_000_000)
        a.write(b"in the middle")
    with open(local.dir / "a", "rb") as a, open(local.dir / "b", "wb") as b:
        copied = os.copy_file_range(a.fileno(), b.fileno(), 1 << 40)
        assert 1 << 20 <= copied <= 16 << 20
    subprocess.run(["cp", "--sparse=never", local.dir / "a", local.dir / "b"], check=True)
    subprocess.run(["cmp", local.dir / "a", local.dir / "b"], check=True)


def test_extended_attributes(local):
    path = local.dir / "value"
    path.write_bytes(b"")
    os.setxattr(path, "user.a", b"1")
    os.setxattr(path, "user.b", b"x" * 2000)
    assert os.getxattr(path, "user.b") == b"x" * 2000
    with open(path, "rb"), open(path, "ab"):
        assert os.getxattr(path, "user.b") == b"x" * 2000
        with pytest.raises(OSError):
            os.getxattr(path, "user.c")
    assert sorted(n for n in os.listxattr(path) if n.startswith("user.")) == ["user.a", "user.b"]
    os.removexattr(path, "user.a")
    with pytest.raises(OSError) as caught:
        os.getxattr(path, "user.a")
    assert caught.value.errno == errno.ENODATA


def expect_names(fd):
    names = os.listxattr(fd)
    assert "user.a" in names and "trusted.secret" not in names
    assert libc.flistxattr(fd, None, 0) == sum(len(name) + 1 for name in names)


@needs_root
def test_extended_attributes_for_root_alone(local, tmp_path):
    """As on the bare directory, others do not hear of them."""
    for place in (tmp_path, local.dir):
        path = place / "value"
        path.write_bytes(b"")
        os.setxattr(path, "trusted.secret", b"1")
        os.setxattr(path, "user.a", b"2")
        assert {"trusted.secret", "user.a"} <= set(os.listxattr(path))
        with open(path, "rb") as f:
            as_another(lambda: expect_names(f.fileno()))


@needs_root
def test_an_acl_is_enforced(local):
    """With one, the mode's group bits are its mask and do not speak for the group."""
    path = local.dir / "value"
    path.write_bytes(b"x")
    os.chown(path, 0, 500)
    nobody, tags = 0xffffffff, {"user": 1, "user:": 2, "group": 4, "mask": 16, "other": 32}
    entries = [("user", 6, nobody), ("user:", 6, 1000), ("group", 4, nobody), ("mask", 6, nobody),
               ("other", 0, nobody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tags[t], bits, who) for t, bits, who in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError as e:
        assert e.errno == errno.EOPNOTSUPP and local.kind == "mem"
        return
    assert stat.S_IMODE(path.stat().st_mode) == 0o660

    def may(command, user, group):
        return subprocess.run(["sh", "-c", command], cwd=local.dir, user=user, group=group, extra_groups=[],
                              stderr=subprocess.DEVNULL).returncode == 0

    assert may("echo >>value", 1000, 1000)
    assert may("cat value", 1001, 500) and not may("echo >>value", 1001, 500)
    assert not may("cat value", 1002, 1002)


@needs_root
def test_an_acl_leaves_no_sgid_bit_of_another_group(local, tmp_path):
    """Its owner may give a file an ACL; who is of the file's group keeps the bit, as on the bare
    directory."""
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, 7, who) for tag, who in ((1, -1 & 0xffffffff), (2, 5), (4, -1 & 0xffffffff),
                                                          (16, -1 & 0xffffffff), (32, -1 & 0xffffffff)))
    if local.kind == "mem":
        pytest.skip("has no ACLs")
    for place in (tmp_path, local.dir):
        for groups, kept in (([], 0), ([77], 0o2000), ([*range(1000, 1100), 77], 0o2000)):
            path = place / f"of-{len(groups)}"
            path.touch()
            os.chown(path, OTHER, 77)
            path.chmod(0o2777)
            with open(path, "rb") as f:
                as_another(lambda: os.setxattr(f.fileno(), "system.posix_acl_access", acl), groups)
            assert stat.S_IMODE(path.stat().st_mode) == kept | 0o777, (place, groups)


def test_renames_with_flags(local):
    a, b = local.dir / "a", local.dir / "b"
    a.write_bytes(b"A")
    b.write_bytes(b"B")

    def rename(flags):
        if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags):
            raise OSError(ctypes.get_errno(), "renameat2")

    with pytest.raises(FileExistsError):
        rename(1)
    rename(2)
    assert (a.read_bytes(), b.read_bytes()) == (b"B", b"A")


def test_links_and_nodes(local):
    (local.dir / "a").write_bytes(b"x")
    os.link(local.dir / "a", local.dir / "b")
    pwrite(local.dir / "b", b"y", 0)
    assert (local.dir / "a").read_bytes() == b"y"
    assert (local.dir / "a").stat().st_nlink == 2
    assert (local.dir / "a").stat().st_ino == (local.dir / "b").stat().st_ino
    os.mkfifo(local.dir / "fifo")
    reader = os.open(local.dir / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(local.dir / "fifo", os.O_WRONLY)
    os.write(writer, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)
    if os.geteuid() == 0:
        os.mknod(local.dir / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        assert (local.dir / "null").stat().st_rdev == os.makedev(1, 3)


def test_a_directory_that_changes_while_it_is_read(local):
    for i in range(3000):
        (local.dir / f"{i:04}").touch()
    with os.scandir(local.dir) as entries:
        seen = {next(entries).name for _ in range(10)}
        for i in range(0, 3000, 2):
            os.unlink(local.dir / f"{i:04}")
        seen |= {e.name for e in entries}
    assert {f"{i:04}" for i in range(1, 3000, 2)} <= seen
    assert len(os.listdir(local.dir)) == 1500
