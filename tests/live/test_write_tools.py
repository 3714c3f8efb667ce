"""W15: the tools that people use, on local-backed mounts, beside the same on a plain
directory."""
import os
import sqlite3
import subprocess
import sys
import zipfile

import h5py
import numpy
import pytest

from lib_local import KINDS, in_children
from lib_proc import run

pytestmark = pytest.mark.limit(300)
GIT = {**os.environ, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
       "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
       "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}


@pytest.fixture
def here(shared, request):
    path = shared.path(request.node.name.split("[")[0])
    path.mkdir()
    return path


def test_zip_update(here):
    (here / "a").write_text("first")
    (here / "b").write_text("b" * 100_000)
    run(["zip", "-q", "x.zip", "a", "b"], cwd=here)
    (here / "a").write_text("second, longer")
    os.utime(here / "a", (2_000_000_000, 2_000_000_000))
    run(["zip", "-q", "-u", "x.zip", "a"], cwd=here)
    run(["zip", "-q", "-d", "x.zip", "b"], cwd=here)
    run(["unzip", "-tq", "x.zip"], cwd=here)
    assert run(["unzip", "-p", "x.zip", "a"], cwd=here).stdout == "second, longer"
    with zipfile.ZipFile(here / "x.zip", "a") as z:  # the directory is overwritten in place
        z.writestr("c", "c" * 1000)
    assert zipfile.ZipFile(here / "x.zip").namelist() == ["a", "c"]


def test_sed_in_place(here):
    (here / "f").write_text("one\ntwo\n")
    os.chmod(here / "f", 0o640)
    run(["sed", "-i", "s/two/2/", "f"], cwd=here)
    assert (here / "f").read_text() == "one\n2\n"
    assert (here / "f").stat().st_mode & 0o777 == 0o640
    assert os.listdir(here) == ["f"]


def test_vim(here):
    (here / "f").write_text("one\ntwo\n")
    run(["vi", "-u", "NONE", "-es", "-c", "%s/one/1/", "-c", "wq", "f"], cwd=here)
    assert (here / "f").read_text() == "1\ntwo\n"
    assert os.listdir(here) == ["f"]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite(shared, journal):
    path = shared.path(f"db-{journal}")
    for n in range(5):
        db = sqlite3.connect(path)
        assert db.execute(f"pragma journal_mode={journal}").fetchone()[0] == journal
        db.execute("create table if not exists t (n integer primary key, s text)")
        with db:
            db.executemany("insert into t (s) values (?)", [(str(i) * 100,) for i in range(500)])
        try:
            with db:
                db.execute("delete from t")
                raise ZeroDivisionError  # rolls back
        except ZeroDivisionError:
            pass
        db.execute("update t set s = 'x' where n % 2")
        db.commit()
        db.execute("vacuum")
        assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert db.execute("select count(*) from t").fetchone()[0] == 500 * (n + 1)
        db.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite_writers_at_once(shared, journal):
    """Their locks are fcntl's, and the index of a WAL is a shared mapping."""
    def write(worker):
        db = sqlite3.connect(path, timeout=240)
        for n in range(25):
            with db:
                db.execute("begin immediate")
                total = db.execute("select sum(n) from t").fetchone()[0]
                db.execute("insert into t values (?, ?, ?)", (worker, 1, "x" * (n * 401 % 9000)))
                assert db.execute("select sum(n) from t").fetchone()[0] == total + 1
        db.close()

    path = shared.path(f"shared-{journal}")
    db = sqlite3.connect(path)
    assert db.execute(f"pragma journal_mode={journal}").fetchone()[0] == journal
    with db:
        db.execute("create table t (worker integer, n integer, s text)")
        db.execute("insert into t values (0, 0, '')")
    db.close()
    in_children(4, write)
    db = sqlite3.connect(path)
    assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
    assert db.execute("select count(*), sum(n) from t").fetchone() == (101, 100)
    db.close()


def test_git(here):
    def git(*words):
        return run(["git", *words], cwd=here, env=GIT).stdout
    git("init", "-q", "-b", "main")
    for n in range(10):
        (here / f"file{n}").write_text(f"{n}\n" * 1000)
        git("add", "-A")
        git("commit", "-q", "-m", f"commit {n}")
    git("checkout", "-q", "-b", "side", "HEAD~5")
    (here / "side").write_text("side")
    git("add", "-A")
    git("commit", "-q", "-m", "side")
    git("merge", "-q", "--no-edit", "main")
    git("gc", "-q", "--prune=now")
    assert git("fsck", "--full") == ""
    assert git("status", "--porcelain") == ""
    git("clone", "-q", ".", "clone")
    assert (here / "clone/file9").read_text() == "9\n" * 1000


def plant(root):
    """A tree with all that an archive can hold."""
    (root / "sub/empty").mkdir(parents=True)
    (root / "data").write_bytes(os.urandom(300_000))
    (root / "sub/script").write_text("#!/bin/sh\n")
    os.chmod(root / "sub/script", 0o755)
    with open(root / "sparse", "wb") as f:
        f.truncate(1 << 20)
        f.seek(600_000)
        f.write(b"middle")
    os.symlink("../data", root / "sub/link")
    os.symlink("nowhere", root / "dangling")
    os.link(root / "data", root / "sub/hard")
    os.mkfifo(root / "fifo")
    os.setxattr(root / "data", "user.note", b"kept")
    for n, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(10 ** 18 + n, 10 ** 18 + n * 1_000_003), follow_symlinks=False)


def facts(root):
    found, inodes = {}, {}
    for path in sorted(root.rglob("*")):
        st = path.lstat()
        kind = st.st_mode
        inodes.setdefault(st.st_ino, str(path.relative_to(root)))
        found[str(path.relative_to(root))] = (
            kind, st.st_uid, st.st_gid, st.st_mtime_ns, inodes[st.st_ino],
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            os.getxattr(path, "user.note") if path.name == "data" else None)
    return found


COPIES = {
    "cp -a": lambda a, b: run(["cp", "-a", f"{a}/.", b]),
    "rsync -aHAX": lambda a, b: run(["rsync", "-aHAX", f"{a}/", f"{b}/"]),
    "tar": lambda a, b: run(["sh", "-c", 'tar -C "$0" --xattrs -cf - . | tar -C "$1" --xattrs -xpf -', a, b]),
}


@pytest.mark.parametrize("tool", COPIES)
def test_copies_of_a_tree(shared, tmp_path, tool):
    source, there, back = tmp_path / "source", shared.path(tool.split()[0]), tmp_path / "back"
    for each in (source, there, back):
        each.mkdir()
    plant(source)
    COPIES[tool](source, there)
    COPIES[tool](there, back)
    want = facts(source)
    if tool == "tar":  # GNU tar keeps times of its default format in seconds
        cut = lambda found: {k: v[:3] + (v[3] // 10 ** 9,) + v[4:] for k, v in found.items()}
        assert cut(facts(there)) == cut(want)
        assert cut(facts(back)) == cut(want)
    else:
        assert facts(there) == want
        assert facts(back) == want


def test_building_a_program(here):
    for n in range(20):
        (here / f"m{n}.c").write_text(f"int f{n}(void) {{ return {n}; }}\n")
    calls = "+".join(f"f{n}()" for n in range(20))
    protos = "".join(f"int f{n}(void);" for n in range(20))
    (here / "main.c").write_text(f"{protos}\nint main(void) {{ return {calls} != 190; }}\n")
    (here / "Makefile").write_text("prog: $(patsubst %.c,%.o,$(wildcard *.c))\n\t$(CC) -o $@ $^\n")
    run(["make", "-s", "-j2"], cwd=here, timeout=120)
    run([here / "prog"])
    assert "up to date" in run(["make"], cwd=here).stdout
    (here / "m3.c").write_text("int f3(void) { return 4; }\n")
    os.utime(here / "m3.c", (2_000_000_000, 2_000_000_000))
    run(["make", "-s"], cwd=here)
    assert run([here / "prog"], check=False).returncode == 1


def test_h5py_in_place(here):
    path = here / "x.h5"
    with h5py.File(path, "w") as f:
        f["a"] = numpy.arange(100_000)
        f.create_dataset("c", (1000, 100), chunks=(10, 100), compression="gzip", maxshape=(None, 100))
    for n in range(5):
        with h5py.File(path, "r+") as f:
            f["a"][n * 1000:(n + 1) * 1000] = n
            f["c"].resize(1000 + n * 10, axis=0)
            f["c"][n * 100:(n + 1) * 100] = n
            f[f"new{n}"] = n
    with h5py.File(path) as f:
        assert list(f["a"][:5000:1000]) == [0, 1, 2, 3, 4] and f["a"][5000] == 5000
        assert f["c"][499, 99] == 4 and f["c"].shape == (1040, 100)


def test_numpy_memmap(here):
    m = numpy.memmap(here / "m", "f8", "w+", shape=(1000, 100))
    m[:] = numpy.arange(100_000).reshape(1000, 100)
    m.flush()
    again = numpy.memmap(here / "m", "f8", "r+", shape=(1000, 100))
    again[500] = -1
    again.flush()
    assert (numpy.fromfile(here / "m").reshape(1000, 100)[500] == -1).all()
    assert m[500, 0] == -1


@pytest.mark.parametrize("shared", KINDS, indirect=True)  # a minute each
def test_pythons_own_file_tests(here):
    """CPython's tests of files, as far as the distribution has them."""
    names = ["test_file", "test_fileio", "test_largefile", "test_mmap", "test_shutil", "test_tempfile", "test_glob"]
    found = [n for n in names if subprocess.run([sys.executable, "-c", f"import test.{n}"],
                                                stderr=subprocess.DEVNULL).returncode == 0]
    assert found, "this Python came without its tests: tests/run packages installs them"
    done = run([sys.executable, "-m", "test", "-j2", *found], cwd=here, env={**os.environ, "TMPDIR": str(here)},
               timeout=250, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
