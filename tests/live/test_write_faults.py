"""What local-backed mounts answer when the backing cannot: the right errno, the daemon alive,
nothing else damaged."""
import errno
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib_mount import Mount, environment, start_fails
from lib_proc import PAILFS, expect_error, mounted, run, wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own")
MIB = 1 << 20


@pytest.fixture
def small():
    """A file system of 8 MiB that is nearly full when a test has written a little."""
    root = Path(tempfile.mkdtemp(prefix="pailfs-small-"))
    run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", root])
    yield root
    run(["umount", root])
    root.rmdir()


@needs_root
def test_disk_full_in_the_middle_of_a_write(small, local):
    fs = local(root=small)
    fs.path("other").write_bytes(b"o" * MIB)
    fs.path("value").write_bytes(b"v" * MIB)
    fd = os.open(fs.path("value"), os.O_RDWR)
    done = 0
    with pytest.raises(OSError) as caught:
        while True:
            done += os.pwrite(fd, b"w" * MIB, done)
    assert caught.value.errno == errno.ENOSPC
    assert done >= 4 * MIB  # what was acknowledged is there
    assert os.pread(fd, done, 0) == b"w" * done
    assert os.pwrite(fd, b"x" * 100, 500) == 100  # in place needs no room
    os.close(fd)
    assert fs.path("other").read_bytes() == b"o" * MIB


@needs_root
def test_disk_full_in_a_replacement_keeps_the_old_value(small, local):
    fs = local(root=small)
    fs.path("value").write_bytes(b"v" * 3 * MIB)
    expect_error(errno.ENOSPC, fs.path("new").write_bytes, b"n" * 6 * MIB)
    os.unlink(fs.path("new"))
    assert fs.path("value").read_bytes() == b"v" * 3 * MIB
    assert os.listdir(small) == ["value"]
    fd = os.open(fs.path("value"), os.O_RDWR)
    expect_error(errno.ENOSPC, os.posix_fallocate, fd, 0, 20 * MIB)
    os.close(fd)


@pytest.fixture
def limited_quota():
    """A directory that may hold 4 MiB: a subvolume of btrfs, whose quotas need nothing of the
    kernel but btrfs."""
    base = Path(tempfile.mkdtemp(prefix="pailfs-quota-"))
    top, image = base / "top", base / "image"
    top.mkdir()
    with open(image, "wb") as f:
        f.truncate(128 * MIB)
    run(["mkfs.btrfs", "-q", image])
    if run(["mount", "-t", "btrfs", "-o", "loop", image, top], check=False).returncode:
        shutil.rmtree(base)
        pytest.skip("no btrfs in this kernel, or no loop devices")
    run(["btrfs", "quota", "enable", top])
    run(["btrfs", "subvolume", "create", top / "limited"])
    run(["btrfs", "qgroup", "limit", "4M", top / "limited"])
    yield top / "limited"
    run(["umount", top])
    shutil.rmtree(base)


@needs_root
@pytest.mark.skipif(not shutil.which("mkfs.btrfs"), reason="no btrfs-progs")
@pytest.mark.parametrize("kind", ["file", "direct"])
def test_quota(limited_quota, local, kind):
    fs = local(kind, root=limited_quota)
    fs.path("value").write_bytes(b"v" * MIB)
    fd = os.open(fs.path("new"), os.O_RDWR | os.O_CREAT)
    done = 0
    with pytest.raises(OSError) as caught:
        while True:
            done += os.pwrite(fd, b"w" * 300_000, done)
    assert caught.value.errno == errno.EDQUOT
    assert 2 * MIB < done < 4 * MIB
    assert os.pread(fd, done, 0) == b"w" * done  # what was acknowledged is there
    expect_error(errno.EDQUOT, os.posix_fallocate, fd, 0, 20 * MIB)
    os.close(fd)
    os.unlink(fs.path("new"))
    assert fs.path("value").read_bytes() == b"v" * MIB
    run(["btrfs", "filesystem", "sync", limited_quota])
    fs.path("value").write_bytes(b"x" * 2 * MIB)
    assert (limited_quota / "value").read_bytes() == b"x" * 2 * MIB


@needs_root
def test_a_read_only_backing(small, local):
    (small / "value").write_bytes(b"old")
    run(["mount", "-o", "remount,ro", small])
    fs = local(root=small)
    expect_error(errno.EROFS, os.open, fs.path("value"), os.O_WRONLY)
    expect_error(errno.EROFS, os.mkdir, fs.path("d"))
    expect_error(errno.EROFS, os.unlink, fs.path("value"))
    expect_error(errno.EROFS, os.truncate, fs.path("value"), 0)
    assert fs.path("value").read_bytes() == b"old"


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
/* Files whose name contains "broken" answer EIO. */
static int broken(int fd)
{
	char link[40], path[4096] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "broken");
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t pread(int fd, void *b, size_t n, off_t o)
{ return broken(fd) ? errno = EIO, -1 : REAL(pread)(fd, b, n, o); }
ssize_t pread64(int fd, void *b, size_t n, off64_t o)
{ return broken(fd) ? errno = EIO, -1 : REAL(pread64)(fd, b, n, o); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o)
{ return broken(fd) ? errno = EIO, -1 : REAL(pwrite)(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o)
{ return broken(fd) ? errno = EIO, -1 : REAL(pwrite64)(fd, b, n, o); }
ssize_t splice(int in, off64_t *oi, int out, off64_t *oo, size_t n, unsigned f)
{ return broken(in) || broken(out) ? errno = EIO, -1 : REAL(splice)(in, oi, out, oo, n, f); }
int fsync(int fd)
{ return broken(fd) ? errno = EIO, -1 : REAL(fsync)(fd); }
"""


@pytest.mark.parametrize("kind", ["file", "direct"])
def test_eio_of_the_backing(kind, tmp_path):
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    run(["cc", "-shared", "-fPIC", "-o", shim, tmp_path / "shim.c", "-ldl"])
    root = Path(tempfile.mkdtemp(prefix="backing-", dir=Path(PAILFS).parent))
    (root / "broken").write_bytes(b"b" * 10_000)
    (root / "whole").write_bytes(b"w" * 10_000)
    # A sanitizer's runtime wants to be the first library.
    with Mount(f"{kind}://{root}", env={"LD_PRELOAD": str(shim), "ASAN_OPTIONS": "verify_asan_link_order=0"}) as m:
        expect_error(errno.EIO, m.path("broken").read_bytes)
        fd = os.open(m.path("broken"), os.O_WRONLY)
        expect_error(errno.EIO, os.pwrite, fd, b"x" * 5000, 0)
        expect_error(errno.EIO, os.fsync, fd)
        os.close(fd)
        assert m.path("whole").read_bytes() == b"w" * 10_000
        m.path("whole").write_bytes(b"n")
    assert (root / "broken").read_bytes() == b"b" * 10_000
    run(["rm", "-rf", root])


def test_a_backing_file_that_others_replace_and_shrink(local):
    fs = local()
    fs.backing("value").write_bytes(b"a" * 100_000)
    fd = os.open(fs.path("value"), os.O_RDWR)
    assert os.pread(fd, 10, 50_000) == b"a" * 10
    fs.backing("new").write_bytes(b"b" * 10)
    os.rename(fs.backing("new"), fs.backing("value"))
    assert os.pread(fd, 10, 0) == b"a" * 10  # what was opened stays
    os.close(fd)
    fs.backing("other").write_bytes(b"c" * 100_000)
    fd = os.open(fs.path("other"), os.O_RDWR)
    os.truncate(fs.backing("other"), 10)
    assert len(os.pread(fd, 200_000, 0)) <= 100_000
    os.pwrite(fd, b"d", 20)
    os.close(fd)
    assert fs.backing("other").read_bytes() == b"c" * 10 + bytes(10) + b"d"


@needs_root
def test_m5_two_file_systems_in_one_backing(small, local, tmp_path):
    """Inode numbers that are the same on both tell neither hard links nor loops."""
    (small / "below").mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", small / "below"])
    try:
        for where in (small, small / "below"):
            for n in range(3):
                (where / f"f{n}").write_text(f"{where}, {n}")
                os.link(where / f"f{n}", where / f"link{n}")
        numbers = [{entry.inode() for entry in os.scandir(where) if entry.is_file()}
                   for where in (small, small / "below")]
        assert numbers[0] & numbers[1]
        fs = local(root=small)
        assert run(["find", "."], cwd=fs.path()).stderr == ""
        run(["cp", "-a", f"{fs.path()}/.", tmp_path / "copy"])
        run(["diff", "-r", small, tmp_path / "copy"])
        for where in (fs.path(), fs.path("below")):
            assert all(entry.inode() == entry.stat().st_ino for entry in os.scandir(where)
                       if entry.is_file())
        assert fs.path("below/f0").stat().st_ino == fs.path("below/link0").stat().st_ino
        assert fs.path("f0").stat().st_ino == (small / "f0").stat().st_ino
    finally:
        run(["umount", "-l", small / "below"])


def test_names_at_their_limit(local):
    fs = local()
    name = "n" * 255
    fs.path(name).write_bytes(b"x")
    assert fs.backing(name).read_bytes() == b"x"
    expect_error(errno.ENAMETOOLONG, fs.path("n" * 256).touch)
    expect_error(errno.ENOENT, os.stat, fs.path("n" * 254))
    odd = b"\x01\xff \n*?\\\"'"
    with open(os.path.join(os.fsencode(fs.mount.directory), odd), "wb") as f:
        f.write(b"odd")
    assert odd in os.listdir(os.fsencode(fs.root))


def test_paths_over_path_max(local):
    fs = local()
    here = os.open(fs.path(), os.O_RDONLY | os.O_DIRECTORY)
    name = "d" * 200
    for _ in range(30):  # 6000 bytes
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    fd = os.open("deep", os.O_RDWR | os.O_CREAT, dir_fd=here)
    os.write(fd, b"down here")
    assert os.pread(fd, 100, 0) == b"down here"
    os.close(fd)
    os.rename("deep", "deeper", src_dir_fd=here, dst_dir_fd=here)
    assert os.listdir(here) == ["deeper"]
    os.close(here)


def test_links_that_point_out_are_the_callers_business(local, tmp_path):
    """The kernel follows a link in the caller's own name space; the daemon never does."""
    fs = local()
    (tmp_path / "outside").write_bytes(b"secret")
    os.symlink(tmp_path / "outside", fs.backing("link"))
    os.symlink("/etc", fs.backing("dir"))
    assert os.readlink(fs.path("link")) == str(tmp_path / "outside")
    assert fs.path("link").read_bytes() == b"secret"  # as at a local path
    st = os.lstat(fs.path("link"))
    os.utime(fs.path("link"), ns=(1, 2), follow_symlinks=False)
    assert (tmp_path / "outside").stat().st_mtime_ns != 2
    assert os.lstat(fs.path("link")).st_ino == st.st_ino


def test_offsets_at_the_end_of_the_world(local):
    for kind in ("file", "direct", "mem"):
        fs = local(kind)
        fs.path("value").write_bytes(b"abc")
        fd = os.open(fs.path("value"), os.O_RDWR)
        for offset in (2 ** 63 - 1, 2 ** 63 - 4096, 2 ** 62):
            try:
                os.pwrite(fd, b"x" * 10, offset)
                os.ftruncate(fd, 3)
            except OSError as e:
                assert e.errno in (errno.EFBIG, errno.EINVAL)
        expect_error(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
        assert os.pread(fd, 10, 2 ** 62) == b""
        os.close(fd)
        assert fs.path("value").read_bytes() == b"abc"


def limited(source, mountpoint, **limits):
    """A pailfs in the foreground with resource limits of its own."""
    def set_limits():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))
        os.setsid()
    return subprocess.Popen([PAILFS, source, mountpoint, "-f"], env=environment(), preexec_fn=set_limits,
                            stderr=subprocess.PIPE)


def test_a_limit_on_file_sizes(local):
    """The caller's: SIGXFSZ or EFBIG for it. The daemon's own would be an errno, not its end."""
    fs = local()

    def in_child():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
    done = subprocess.run(["dd", "if=/dev/zero", f"of={fs.path('big')}", "bs=512k", "count=4"],
                          preexec_fn=in_child, stderr=subprocess.PIPE)
    assert done.returncode and b"File too large" in done.stderr
    assert fs.path("big").stat().st_size == MIB


def test_the_daemons_own_limit_on_file_sizes(tmp_path):
    root, where = tmp_path / "root", tmp_path / "mount"
    root.mkdir()
    where.mkdir()
    daemon = limited(f"file://{root}", where, RLIMIT_FSIZE=MIB)
    try:
        wait_until(lambda: mounted(where), 20, "mount")
        expect_error(errno.EFBIG, (where / "big").write_bytes, bytes(3 * MIB))
        (where / "small").write_bytes(b"alive")
        assert (root / "small").read_bytes() == b"alive"
    finally:
        run(["fusermount3", "-u", where], check=False)
        assert daemon.wait(20) == 0


def test_more_files_than_descriptors(tmp_path):
    """The kernel is asked to forget files that nobody uses, so a walk over any number works."""
    root, where = tmp_path / "root", tmp_path / "mount"
    where.mkdir()
    names = [f"d{n}/f{i}" for n in range(100) for i in range(50)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    daemon = limited(f"file://{root}", where, RLIMIT_NOFILE=1000)
    held = None
    try:
        wait_until(lambda: mounted(where), 20, "mount")
        held = os.open(where / "d0/f0", os.O_RDWR)
        for _ in range(2):
            for name in names:
                assert (where / name).read_text() == name
            assert sum(len(files) for _, _, files in os.walk(where)) == 5000
        assert os.readlink(f"/proc/self/fd/{held}") == str(where / "d0/f0")
        if resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0] == 1000:  # else root raised it
            wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) < 700, 10, "forgotten files")
    finally:
        if held is not None:
            os.close(held)
        run(["fusermount3", "-u", where], check=False)
        assert daemon.wait(20) == 0


def test_a_full_descriptor_table(local):
    """Limited by prlimit(2) after the start, when root's daemon has raised its own."""
    fs = local()
    for i in range(300):
        fs.backing(f"f{i}").touch()
    used = len(os.listdir(f"/proc/{fs.mount.pid}/fd"))
    limit, hard = resource.prlimit(fs.mount.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(fs.mount.pid, resource.RLIMIT_NOFILE, (used + 50, hard))
    errors, held = set(), []
    for i in range(300):
        try:
            held.append(os.open(fs.path(f"f{i}"), os.O_RDWR))
        except OSError as e:
            errors.add(e.errno)
    assert errors == {errno.EMFILE}
    assert len(held) >= 10
    os.pwrite(held[0], b"alive", 0)
    for fd in held:
        os.close(fd)
    resource.prlimit(fs.mount.pid, resource.RLIMIT_NOFILE, (limit, hard))
    assert fs.path("f0").read_bytes() == b"alive"
    fs.path("f299").write_bytes(b"again")


@needs_root
def test_direct_is_refused_where_it_cannot_work():
    root = Path(tempfile.mkdtemp(prefix="pailfs-nodirect-"))
    run(["mount", "-t", "ramfs", "ramfs", root])
    try:
        for options in ("rw", "ro"):  # no nameless file tells where nothing can be written
            (root / "file").touch()
            run(["mount", "-o", f"remount,{options}", root])
            line = start_fails(f"direct://{root}")
            assert "O_DIRECT" in line and "file://" in line and str(root) in line
    finally:
        run(["umount", root])
        root.rmdir()


@pytest.mark.parametrize("scheme", ["file", "direct"])
@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/sys"])
def test_files_without_a_size_are_refused(scheme, path):
    """They would be shown, and read, as empty."""
    line = start_fails(f"{scheme}://{path}")
    assert path in line and "no size" in line


@pytest.mark.parametrize("source", ["file:///nonexistent-dir", "direct:///nonexistent-dir"])
def test_a_missing_backing_directory(source):
    line = start_fails(source)
    assert "/nonexistent-dir" in line and "No such file or directory" in line


def test_a_file_is_no_backing_directory(tmp_path):
    (tmp_path / "f").touch()
    assert "Not a directory" in start_fails(f"file://{tmp_path}/f")
