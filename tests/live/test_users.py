"""Mounts by a user who is not root. The tests run as root so that there is another user to be;
where the suite itself runs as a user, every live test is one of these."""
import ctypes
import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

import lib_data
from lib_local import in_children
from lib_mount import environment, start_fails
from lib_proc import PAILCTL, PAILFS, expect_error, mounted, run, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user too")
RENAME_EXCHANGE = 2
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@pytest.fixture
def user():
    """user(work) runs work() as nobody; user.start(SOURCE, OPTION...) mounts as nobody, at
    user.mnt. user.home is nobody's directory."""
    class User:
        def __init__(self):
            self.base = Path(tempfile.mkdtemp(prefix="pailfs-test-", dir="/tmp"))
            self.base.chmod(0o755)
            self.program, self.pailctl = (shutil.copy(p, self.base) for p in (PAILFS, PAILCTL))
            self.home, self.mnt = self.base / "home", self.base / "mnt"
            for each in (self.home, self.mnt):
                each.mkdir()
                os.chown(each, NOBODY, NOBODY)

        def __call__(self, work):
            def as_nobody(_):
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                work()
            in_children(1, as_nobody)

        def start(self, source, *options, env=None, prefix=()):
            words = [word for option in options for word in ("-o", option)]
            done = run([*prefix, self.program, source, self.mnt, *words], env=environment(env),
                       **AS_NOBODY)
            assert (done.stdout, done.stderr) == ("", "")
            assert mounted(self.mnt)

    # Distributions give it to everybody; a container's may be root's alone.
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    os.chmod("/dev/fuse", 0o666)
    one = User()
    yield one
    if mounted(one.mnt):
        run(["fusermount3", "-u", "-z", one.mnt])
    os.chmod("/dev/fuse", mode)
    shutil.rmtree(one.base)


@pytest.mark.parametrize("kind", ["file", "direct", "mem"])
def test_a_local_store(user, kind):
    root = Path(tempfile.mkdtemp(prefix="backing-", dir=user.home)) if kind != "mem" else None
    if root:
        os.chown(root, NOBODY, NOBODY)
        (root / "roots").write_bytes(b"root's own")
        (root / "roots").chmod(0o600)
        (root / "locked").mkdir(0o755)
    data = os.urandom(5_000_001)

    def work():
        here = user.mnt
        (here / "d").mkdir()
        (here / "d/f").write_bytes(data)
        assert (here / "d/f").read_bytes() == data
        with open(here / "d/f", "r+b", buffering=0) as f:
            os.pwrite(f.fileno(), b"changed", 1_234_567)
            os.fsync(f.fileno())
        os.link(here / "d/f", here / "hard")
        os.symlink("hard", here / "soft")
        os.mkfifo(here / "pipe")
        os.setxattr(here / "hard", "user.colour", b"blue")
        os.utime(here / "hard", ns=(1, 2))
        os.rename(here / "d/f", here / "g")
        os.truncate(here / "soft", 2_000_000)
        assert (here / "g").read_bytes() == data[:1_234_567] + b"changed" + data[1_234_574:2_000_000]
        st = (here / "g").stat()
        assert (st.st_nlink, st.st_uid, st.st_gid) == (2, NOBODY, NOBODY)
        assert os.getxattr(here / "g", "user.colour") == b"blue"

        os.chmod(here / "g", 0o400)
        expect_error(errno.EACCES, os.open, here / "g", os.O_WRONLY)
        expect_error(errno.EPERM, os.chown, here / "g", 0, 0)
        expect_error(errno.EPERM, os.mknod, here / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        if root:
            expect_error(errno.EACCES, (here / "roots").read_bytes)
            expect_error(errno.EPERM, os.chmod, here / "roots", 0o666)
            expect_error(errno.EACCES, (here / "locked/f").touch)
            os.unlink(here / "roots")  # the directory is nobody's
        os.unlink(here / "hard")
        shutil.rmtree(here / "d")
        assert sorted(os.listdir(here)) == sorted(["g", "pipe", "soft"] + (["locked"] if root else []))

    user.start(f"{kind}://{root or ''}")
    user(work)
    # Without allow_other the kernel keeps all others out, root too.
    expect_error(errno.EACCES, os.listdir, user.mnt)
    if root:
        st = (root / "g").stat()
        assert (st.st_uid, stat.S_IMODE(st.st_mode), st.st_size) == (NOBODY, 0o400, 2_000_000)
    run([user.pailctl, "umount", user.mnt], **AS_NOBODY)
    assert not mounted(user.mnt)


@pytest.mark.parametrize("kind", ["file", "direct", "mem"])
def test_new_files_that_nobody_may_write(user, kind):
    """Who creates a file may write to it, whatever its mode says of later opens: git's objects."""
    def work():
        for mode in (0o444, 0o400, 0o200, 0):
            for access in (os.O_WRONLY, os.O_RDWR):
                f = user.mnt / f"{mode:o}-{access}"
                fd = os.open(f, access | os.O_CREAT | os.O_EXCL, mode)
                assert os.write(fd, b"w" * 10_001) == 10_001
                assert os.pwrite(fd, b"xyz", 4095) == 3
                os.close(fd)
                assert stat.S_IMODE(f.stat().st_mode) == mode
                os.chmod(f, 0o600)
                assert f.read_bytes() == b"w" * 4095 + b"xyz" + b"w" * 5903
    user.start(f"{kind}://{user.home if kind != 'mem' else ''}")
    user(work)


@pytest.mark.parametrize("how", ["links", "renames"])
def test_files_of_many_names_and_few_descriptors(user, how):
    """The kernel forgets a file when it drops all the names that it knows. (A daemon of root's
    would raise its limit.)"""
    def work():
        for d in range(20):
            for i in range(50):
                if how == "links":
                    assert (user.mnt / f"a{d}/{i}").stat().st_nlink == 2
                    assert (user.mnt / f"b{d}/{i}").stat().st_nlink == 2
                else:
                    (user.mnt / f"a{d}/.new").write_text("new")
                    os.rename(user.mnt / f"a{d}/.new", user.mnt / f"a{d}/{i}")
                    (user.mnt / f"a{d}/.new").write_text("newer")
                    os.rename(user.mnt / f"a{d}/.new", user.mnt / f"b{d}/{i}")
                    if i % 2:
                        libc.renameat2(-100, os.fsencode(user.mnt / f"a{d}/{i}"), -100,
                                       os.fsencode(user.mnt / f"b{d}/{i}"), RENAME_EXCHANGE)
                        assert (user.mnt / f"a{d}/{i}").read_text() == "newer"
    for d in range(20):
        for each in (user.home / f"a{d}", user.home / f"b{d}"):
            each.mkdir()
            os.chown(each, NOBODY, NOBODY)
        for i in range(50) if how == "links" else ():
            (user.home / f"a{d}/{i}").touch()
            os.link(user.home / f"a{d}/{i}", user.home / f"b{d}/{i}")
    user.start(f"file://{user.home}", prefix=["sh", "-c", 'ulimit -n 300; exec "$@"', "sh"])
    user(work)


def test_a_bucket(user, nulls3):
    def work():
        assert "stored.zip" in os.listdir(user.mnt / "tools")
        run(["cmp", user.mnt / "tools/odd.bin", user.home / "original"])
        assert (user.mnt / "tools/odd.bin").stat().st_uid == NOBODY
        expect_error(errno.EROFS, (user.mnt / "tools/new").touch)
        assert b"pailfs_store_requests_total" in (user.mnt / ".pailfs/stats").read_bytes()

    shutil.copy(lib_data.data("tools") / "odd.bin", user.home / "original")
    (user.home / "original").chmod(0o644)
    s3 = nulls3.s3()
    user.start("s3://bench", *s3.options, env=s3.environ)
    user(work)
    expect_error(errno.EACCES, os.listdir, user.mnt)
    run(["fusermount3", "-u", user.mnt], **AS_NOBODY)
    wait_until(lambda: not mounted(user.mnt), 10, "end of the mount")


def test_what_only_root_may(user):
    def line_of(directory, *options):
        return start_fails("mem://", *options, directory=directory, program=user.program, prefix=prefix)
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    theirs = user.base / "theirs"
    theirs.mkdir(0o755)
    line = line_of(theirs)
    assert str(theirs) in line and "only root may mount" in line
    if "\nuser_allow_other" not in "\n" + Path("/etc/fuse.conf").read_text():
        assert "user_allow_other in /etc/fuse.conf" in line_of(user.mnt, "allow_other")
