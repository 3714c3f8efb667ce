"""pailctl, configuration files, mount(8)'s way of calling, and the operation log."""
import csv
import errno
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest
from lib_bucket import Bucket
from lib_local import Local, in_children
from lib_mount import environment
from lib_proc import PAILCTL, PAILFS, mounted, processes_with, run, wait_until

COLUMNS = ("idx thread op client_id n_objects bytes endpoint file error start first_byte end "
           "duration_ns").split()
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def pailctl(*arguments, **options):
    return run([PAILCTL, *arguments], **options)


def fails(*words, arguments, **options):
    """pailctl must fail with one line that has these words."""
    done = pailctl(*arguments, check=False, **options)
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.startswith("pailctl: ") and done.stderr.count("\n") == 1, done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, f"{missing} not in {done.stderr}"


@pytest.fixture
def bench(mount, nulls3):
    return mount("s3://bench", *nulls3.s3().options, env=nulls3.s3().environ)


@pytest.fixture
def background(nulls3, tmp_path):
    """A mount in the background, as a user has it."""
    directory = tmp_path / "mnt"
    directory.mkdir()
    command = [PAILFS, "s3://bench/tools", directory, "-o", f"log={tmp_path}/log"]
    for option in nulls3.s3().options:
        command += ["-o", option]
    run(command, env=environment(nulls3.s3().environ), timeout=30)
    yield directory
    if mounted(directory):
        run(["fusermount3", "-u", "-z", directory], check=False)


def test_stat_tells_requests_and_bytes(bench):
    data = bench.path("tools", "one").read_bytes()
    text = pailctl("stat", bench.directory).stdout
    assert re.search(r"^requests +get 1, list \d+$", text, re.M), text
    assert f"for reads of {len(data)} B" in text, text
    raw = pailctl("stat", "--raw", bench.path("tools")).stdout
    assert "# TYPE pailfs_store_requests_total counter" in raw


def test_config_says_where_values_come_from(mount, nulls3, tmp_path):
    (tmp_path / "pailfs").mkdir()
    (tmp_path / "pailfs" / "config").write_text(
        "connections = 7\n[s3://bench*]\nmetadata_ttl = 3m\n[s3://other]\nthreads = 9\n")
    s3 = nulls3.s3()
    here = mount("s3://bench", *s3.options, "range_buffer=1m",
                 env={**s3.environ, "XDG_CONFIG_HOME": str(tmp_path)})
    text = pailctl("config", here.directory).stdout
    assert text == here.path(".pailfs", "config").read_text()
    for line in ("source = s3://bench  # command line",
                 f"connections = 7  # {tmp_path}/pailfs/config:1",
                 f"metadata_ttl = 3m  # {tmp_path}/pailfs/config:3",
                 "threads = 4  # default", "range_buffer = 1m  # command line"):
        assert line in text.splitlines(), text
    for secret in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        assert s3.environ.get(secret, "no secret") not in text


def test_config_says_what_the_environment_has_come_to(mount, nulls3):
    """An option that nobody gave is shown as that; which region, whose key it is all the same
    stands below."""
    endpoint = nulls3.s3().endpoint
    here = mount("s3://bench",
                 env={"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-north-1",
                      "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE123", "AWS_SECRET_ACCESS_KEY": "very-secret"})
    text = here.path(".pailfs", "config").read_text()
    for line in ("region =   # default", f"# endpoint = {endpoint}", "# region = eu-north-1",
                 "# key = AKIA…123 (from AWS_ACCESS_KEY_ID)"):
        assert line in text.splitlines(), text
    assert "very-secret" not in text and "AKIAEXAMPLE123" not in text


def test_config_says_that_nobody_signs(mount, nulls3, nginx):
    here = mount("s3://bench", "no_sign", *nulls3.s3().options)
    assert "# key = none" in pailctl("config", here.directory).stdout
    here = mount(f"{nginx.endpoint}/data/tools/one")
    text = pailctl("config", here.directory).stdout
    assert f"# endpoint = {nginx.endpoint}" in text and "# key" not in text and "# region" not in text


def test_why_and_policy(bench):
    file = bench.path("tools", "one")
    file.read_bytes()
    with open(file, "rb"):
        assert pailctl("why", file).stdout.strip()
        assert pailctl("policy", file).stdout == "auto\n"
        assert pailctl("policy", file, "ranged").stdout == "ranged\n"
        assert pailctl("policy", file).stdout == "ranged\n"
        fails("the policies are", arguments=["policy", file, "magic"])


@pytest.mark.parametrize("arguments", [["why"], ["policy"], ["policy", "ranged"]])
@pytest.mark.parametrize("place", ["", "tools", "tools/text/"])
def test_why_and_policy_are_about_files(bench, arguments, place):
    """A directory has neither, and takes no policy in silence."""
    command, *policy = arguments
    fails("is a directory", arguments=[command, bench.path(place), *policy])


def test_why_and_error_outlive_the_close(mount, faultproxy):
    """Who asks what happened asks afterwards."""
    here = mount("s3://bench/tools", f"endpoint={faultproxy.endpoint}", "region=us-east-1",
                 "addressing=path", "no_sign", "retry_timeout=1s")
    assert "nothing was read" in pailctl("why", here.path("one")).stdout
    here.path("one").read_bytes()
    assert "small object" in pailctl("why", here.path("one")).stdout
    assert "user.pailfs.error" not in os.listxattr(here.path("one"))
    faultproxy.set(status=503, path="text/lines.txt", method="GET")
    with pytest.raises(OSError):
        here.path("text", "lines.txt").read_bytes()
    error = os.getxattr(here.path("text", "lines.txt"), "user.pailfs.error").decode()
    assert "503" in error and "lines.txt" in error
    assert error in pailctl("why", here.path("text", "lines.txt")).stdout


def test_refresh_shows_what_others_changed(mount, ceph):
    s3 = ceph.s3()
    bucket = s3.bucket_of("refresh", {"dir/a": b"1"})
    here = mount(f"s3://{bucket}", *s3.options, "metadata_ttl=1h", "negative_ttl=1h",
                 env=s3.environ)
    assert os.listdir(here.path("dir")) == ["a"]
    s3.client().put_object(Bucket=bucket, Key="dir/b", Body=b"22")
    assert os.listdir(here.path("dir")) == ["a"]
    pailctl("refresh", here.path("dir"))
    assert sorted(os.listdir(here.path("dir"))) == ["a", "b"]
    assert here.path("dir", "b").read_bytes() == b"22"


@pytest.mark.parametrize("directory", ["", "dir", "dir/sub"])
def test_m4_refresh_shows_what_was_not_there(mount, directory):
    with Bucket({"dir/sub/a": b""}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=1h", "negative_ttl=1h")
        path = here.path(directory, "new")
        assert not path.exists()
        bucket.objects[os.path.join(directory, "new")] = b"1"
        assert not path.exists()
        pailctl("refresh", here.path(directory))
        assert path.read_bytes() == b"1"


@pytest.mark.parametrize("directory", ["", "dir", "dir/sub"])
def test_m4_refresh_of_a_name_that_was_not_there(mount, directory):
    """Of one that others were listed beside, too, and of a directory."""
    with Bucket({"dir/sub/a": b"", "b": b""}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=1h", "negative_ttl=1h")
        path = here.path(directory, "new")
        for added, what in (("new", os.path.isfile), ("other/file", os.path.isdir)):
            path = here.path(directory, added.partition("/")[0])
            os.listdir(here.path(directory))
            assert not path.exists()
            bucket.objects[os.path.join(directory, added)] = b"1"
            assert not path.exists()
            pailctl("refresh", path)
            assert what(path)
        fails("No such file or directory", arguments=["refresh", here.path("none", "below")])
        fails("No such file or directory", arguments=["why", here.path("none")])


def test_m4_refresh_of_what_was_replaced(mount):
    with Bucket({"dir/a": b"1", "dir/ab": b"1"}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=1h")
        assert [name.stat().st_size for name in here.path("dir").iterdir()] == [1, 1]
        bucket.objects |= {"dir/a": b"22", "dir/ab": b"22"}
        pailctl("refresh", here.path("dir", "a"))
        assert [here.path("dir", name).stat().st_size for name in ("a", "ab")] == [2, 1]


ASKING = """
    import os, sys, threading

    def ask(number):
        for i in range(10**6):
            try:
                os.stat(f"{sys.argv[1]}/{number}-{i}")
            except FileNotFoundError:
                pass
            except OSError:
                return

    for number in range(4):
        threading.Thread(target=ask, args=(number,)).start()
"""


@pytest.mark.parametrize("delay", [0.005, 0.02, 0.04])
def test_refresh_while_the_mount_ends(mount, nulls3, delay):
    """The kernel forgets a name when no question about its directory is open; those of this moment
    are answered even though the threads that answer have ended."""
    s3 = nulls3.s3()
    here = mount("s3://bench", *s3.options, "negative_ttl=0s", env=s3.environ)
    run(["ls", "-lR", here.path("small")])
    asking = subprocess.Popen([sys.executable, "-c", textwrap.dedent(ASKING),
                               here.path("small", "000")])
    time.sleep(0.5)
    refreshing = subprocess.Popen([PAILCTL, "refresh", here.directory],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(delay)
        here.process.send_signal(signal.SIGTERM)
        assert here.process.wait(10) == 0, here.log
    finally:
        here.kill()
        asking.kill()
        assert refreshing.wait(10) is not None and asking.wait(10) is not None
    assert not mounted(here.directory)


def test_places_that_are_no_mount(bench, tmp_path):
    fails("not in a pailfs mount", arguments=["stat", tmp_path])
    fails("No such file", arguments=["why", tmp_path / "nothing"])
    fails("No such file", arguments=["why", bench.path("nothing")])
    for arguments in ([], ["no-such"], ["why"], ["stat", "a", "b", "c"]):
        assert pailctl(*arguments, check=False).returncode == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user too")
def test_other_users_may_look_only(mount):
    """A path in a message would lead past the permissions on its way. set-range is a write like any
    other."""
    here = mount("mem://", "allow_other")
    here.path("value").write_bytes(b"12345")
    with tempfile.TemporaryDirectory(prefix="pailfs-test-", dir="/tmp") as base:
        os.chmod(base, 0o755)
        program = shutil.copy(PAILCTL, base)  # the build directory may be root's alone
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program]
        run([*nobody, "stat", here.directory])
        for said, arguments in (("not permitted", ["flush", here.directory]),
                                ("denied", ["set-range", here.path("value"), "0"])):
            done = run([*nobody, *arguments], check=False)
            assert done.returncode == 2 and said in done.stderr, done
    assert here.path("value").read_bytes() == b"12345"


# Unmounting.

def test_umount_waits_for_the_end(background):
    pailctl("umount", background)
    assert not mounted(background)
    assert not processes_with(str(background))


def test_umount_of_a_mount_in_use(background):
    with open(background / "one", "rb") as file:
        fails("in use", arguments=["umount", background])
        assert mounted(background) and file.read() == b"1"
        pailctl("umount", "-l", background)
        assert not mounted(background)
    wait_until(lambda: not processes_with(str(background)), 10, "end of the daemon")


def test_umount_of_a_directory_inside(background):
    fails("is not a mount point", arguments=["umount", background / "one"])


def test_umount_after_the_daemon_was_killed(mount, nulls3):
    here = mount("s3://bench", *nulls3.s3().options, env=nulls3.s3().environ)
    here.process.kill()
    here.process.wait()
    fails("daemon has gone", arguments=["stat", here.directory])
    pailctl("umount", here.directory)
    assert not mounted(here.directory)
    here.kill()

def attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass


def test_what_control_files_lack_the_others_keep(mount, tmp_path):
    """The kernel takes ENOSYS for an answer for the whole mount: it would send no fsync any more,
    and ask for no attributes, of which ACLs are some."""
    here = mount(f"file://{tmp_path}")
    directory, stats = here.path(".pailfs"), here.path(".pailfs", "stats")
    for path in (directory, stats):
        descriptor = os.open(path, os.O_RDONLY)
        attempt(os.fsync, descriptor)
        attempt(os.lseek, descriptor, 0, os.SEEK_DATA)
        os.close(descriptor)
        assert os.listxattr(path) == []
        for call in (os.readlink, os.rmdir, os.unlink):
            attempt(call, path)
        attempt(os.getxattr, path, "user.a")
        attempt(os.setxattr, path, "user.a", b"1")
        attempt(os.removexattr, path, "user.a")
        attempt(os.chmod, path, 0o600)
        attempt(os.link, path, here.path("link"))
        attempt(os.rename, path, here.path("name"))
    for call in (os.mkdir, os.mkfifo, lambda name: os.open(name, os.O_CREAT | os.O_WRONLY),
                 lambda name: os.symlink("x", name)):
        attempt(call, here.path(".pailfs", "new"))
    value, copy = here.path("value"), here.path("copy")
    source, target = os.open(stats, os.O_RDONLY), os.open(copy, os.O_CREAT | os.O_RDWR)
    attempt(os.copy_file_range, source, target, 10)

    before = here.stats()
    with open(value, "wb") as file:
        file.write(b"12345")
        file.flush()
        os.fsync(file.fileno())
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 5
    descriptor = os.open(here.directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    os.setxattr(value, "user.a", b"1")
    assert os.listxattr(value) == ["user.a"] and os.getxattr(value, "user.a") == b"1"
    os.removexattr(value, "user.a")
    with open(value, "rb") as file:
        assert os.copy_file_range(file.fileno(), target, 5) == 5
    for descriptor in (source, target):
        os.close(descriptor)
    asked = here.stats() - before
    for op, count in (("fsync", 2), ("lseek", 1), ("create", 1), ("copy_file_range", 1)):
        assert asked.sum("pailfs_fuse_requests_total", op=op) == count, op


def names_of_the_control_directory(here, others):
    assert sorted(os.listdir(here.directory)) == others
    # Whoever lists with attributes has the kernel know what the listing showed.
    assert sorted(name.name for name in os.scandir(here.directory) if name.stat()) == others
    run(["ls", "-l", here.directory])
    assert here.path(".pailfs", "version").read_text().startswith("pailfs ")
    assert pailctl("stat", here.directory).stdout.startswith("requests")


def test_what_a_bucket_calls_pailfs_hides_no_control_directory(mount):
    """Also where nothing else is in the reply, or in the batch of names that it is made of."""
    keys = {f"{i:04}": b"" for i in range(511)} | {".pailfs/stats": b"theirs"}
    for objects in (keys, {".pailfs": b""}, {".pailfs/x": b"", "z": b""}):
        with Bucket(objects) as bucket:
            names_of_the_control_directory(mount("s3://bench", *bucket.options, "no_sign"),
                                           sorted(k for k in objects if k[0] != "."))


def test_what_a_directory_calls_pailfs_hides_no_control_directory(mount, tmp_path):
    (tmp_path / ".pailfs").mkdir()
    (tmp_path / "below" / ".pailfs").mkdir(parents=True)
    here = mount(f"file://{tmp_path}")
    names_of_the_control_directory(here, ["below"])
    assert os.listdir(here.path("below")) == [".pailfs"]
    for change in (lambda: os.rmdir(here.path(".pailfs")),
                   lambda: os.rename(here.path("below"), here.path(".pailfs")),
                   lambda: os.rename(here.path(".pailfs"), here.path("other"))):
        with pytest.raises(PermissionError):
            change()
    assert sorted(os.listdir(tmp_path)) == [".pailfs", "below"]


# set_range, with the strict contract.

@pytest.fixture(params=["file", "direct", "mem", "file-writeback"])
def tree(request):
    local = Local(request.param)
    yield local
    local.close()


def set_range(file, offset, data, **options):
    return subprocess.run([PAILCTL, "set-range", file, str(offset)], input=data, timeout=30,
                          capture_output=True, **options)


def test_set_range_writes_inside(tree):
    file = tree.path("value")
    value = bytearray(os.urandom(200000))
    file.write_bytes(value)
    for offset, n in ((0, 1), (199999, 1), (4096, 100000), (0, 200000), (77, 12288), (78, 12289)):
        data = os.urandom(n)
        set_range(file, offset, data, check=True)
        value[offset:offset + n] = data
        assert file.read_bytes() == value


def test_set_range_is_strict(tree):
    file = tree.path("value")
    file.write_bytes(b"0123456789")
    for offset, data in ((10, b"x"), (9, b"xy"), (11, b""), (2**63, b"x"), (0, b"x" * 50000)):
        done = set_range(file, offset, data)
        assert done.returncode == 2, (offset, data, done)
        assert file.read_bytes() == b"0123456789"
    before = file.stat().st_mtime_ns
    assert set_range(file, 5, b"").returncode == 0
    assert file.stat().st_mtime_ns == before
    assert set_range(file, -1, b"x").returncode == 2
    os.mkfifo(tree.path("fifo"))
    tree.path("directory").mkdir()
    for name in ("fifo", "directory"):
        assert set_range(tree.path(name), 0, b"").returncode == 2
    done = set_range(tree.path("missing"), 0, b"x")
    assert done.returncode == 2 and b"No such file" in done.stderr
    assert not tree.path("missing").exists()


def test_set_range_beside_writers(tree):
    """Ranges that share pages and wait in the kernel's cache: each keeps its bytes, and the mount
    shows a new time."""
    file, n = tree.path("value"), 10
    file.write_bytes(bytes(100 * n))
    fd = os.open(file, os.O_RDWR)

    def write_then_set_range(data, at, offset, inside):
        # A program that starts closes what it inherits, upon which the kernel sends all it keeps:
        # so this one has started when the bytes are written that are to be kept.
        program = subprocess.Popen([PAILCTL, "set-range", file, str(offset)], stdin=subprocess.PIPE)
        os.pwrite(fd, data, at)
        program.communicate(inside, timeout=30)
        return program.returncode

    for i in range(n):
        before = os.fstat(fd).st_mtime_ns
        assert write_then_set_range(b"w" * 50, 100 * i, 100 * i + 50, b"s" * 50) == 0
        os.pwrite(fd, b"W" * 10, 100 * i)
        assert os.pread(fd, 100, 100 * i) == b"W" * 10 + b"w" * 40 + b"s" * 50
        assert os.fstat(fd).st_mtime_ns > before
    # A size that only the kernel knows.
    assert write_then_set_range(b"end", 1_000_000, 500_000, b"middle") == 0
    assert write_then_set_range(b"End", 2_000_000, 2_000_000, b"four") == 2
    os.close(fd)
    expected = bytearray(2_000_003)
    expected[:100 * n] = (b"W" * 10 + b"w" * 40 + b"s" * 50) * n
    for at, data in ((500_000, b"middle"), (1_000_000, b"end"), (2_000_000, b"End")):
        expected[at:at + len(data)] = data
    assert file.read_bytes() == expected
    if tree.has_backing:
        assert tree.backing("value").read_bytes() == expected


def test_set_range_beside_truncation(tree):
    """The ioctl that pailctl sends, and what it promises: between the look at the size and the write
    comes no truncation."""
    strict = 1 << 30 | 4 << 16 | ord("p") << 8 | 2  # _IOW('p', 2, uint32_t)
    file = tree.path("value")
    file.write_bytes(bytes(20_000))

    def truncate(_):
        for size in (10, 20_000) * 300:
            os.truncate(file, size)

    def write(_):
        fd = os.open(file, os.O_WRONLY | os.O_DIRECT)
        fcntl.ioctl(fd, strict, struct.pack("I", 1))
        outcomes = set()
        for _ in range(600):
            try:
                outcomes.add(os.pwrite(fd, b"x" * 5_000, 10_000))
            except OSError as e:
                outcomes.add(-e.errno)
            assert os.fstat(fd).st_size in (10, 20_000)
        os.close(fd)
        assert outcomes <= {5_000, -errno.EINVAL}

    in_children(2, lambda index: (truncate, write)[index](index))
    assert file.stat().st_size == 20_000


def test_set_range_elsewhere(bench, tmp_path):
    (tmp_path / "value").write_bytes(b"12345")
    for file in (bench.path("tools", "one"), tmp_path / "value"):
        done = set_range(file, 0, b"x")
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert (tmp_path / "value").read_bytes() == b"12345"


# mount(8).

def test_called_as_mount_helper(nulls3, tmp_path):
    helper, directory = tmp_path / "mount.pailfs", tmp_path / "mnt"
    helper.symlink_to(PAILFS)
    directory.mkdir()
    options = ",".join(["rw", "nosuid", "noatime", "noauto", "_netdev", "x-systemd.automount",
                        f"log={tmp_path}/log", *nulls3.s3().options])
    try:
        run([helper, "s3://bench/tools", directory, "-n", "-v", "-o", options],
            env=environment(nulls3.s3().environ))
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            line, = [line for line in table if f" {directory} " in line]
        assert " - fuse.pailfs s3://bench/tools " in line
        assert "nosuid" in line and "noatime" in line
    finally:
        pailctl("umount", directory)
    assert not processes_with(str(directory))


# The operation log.

def test_oplog_agrees_with_the_statistics(mount, nulls3, tmp_path):
    path = tmp_path / "log.csv.zst"
    s3 = nulls3.s3()
    here = mount("s3://bench/tools", *s3.options, f"oplog={path}", env=s3.environ)
    here.path("one").read_bytes()
    for name in here.directory.rglob("*"):
        name.stat()
    stats = here.stats()
    here.unmount()

    cut = run(["sh", "-c", f"zstd -qdc {path} | cut -f3 | sort | uniq -c"]).stdout
    by_cut = {op: int(count) for count, op in (line.split() for line in cut.splitlines())}
    text = run(["zstd", "-qdc", path]).stdout
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert list(rows[0]) == COLUMNS
    ops = [row["op"] for row in rows]
    assert by_cut.pop("op") == 1
    assert {op: ops.count(op) for op in ops} == by_cut
    assert ops.count("GET") + ops.count("GET_RANGE") == stats.requests("get")
    assert ops.count("LIST") == stats.requests("list")
    assert sum(int(row["bytes"]) for row in rows if row["op"].startswith("GET")) == \
        stats.sum("pailfs_read_bytes_total")
    for index, row in enumerate(rows):
        assert int(row["idx"]) == index and row["error"] == ""
        assert STAMP.fullmatch(row["start"]) and STAMP.fullmatch(row["end"])
        assert row["start"] <= row["first_byte"] <= row["end"]
    table = pailctl("oplog", "summary", path).stdout.splitlines()
    assert table[0].split()[:3] == ["operation", "requests", "errors"]
    assert {line.split()[0]: int(line.split()[1]) for line in table[1:]} == by_cut
