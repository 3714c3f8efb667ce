"""What pailfs refuses to mount: one clear line, the right status, nothing left behind."""
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib_canned import Canned
from lib_mount import environment, start_fails
from lib_proc import PAILFS, free_ports, mounted, processes_with, run, wait_until

QUICK = ("connect_timeout=1s", "retry_timeout=2s", "stall_timeout=1s")


def write(path, text):
    path.write_text(text)
    return path


def says(line, *words):
    missing = [word for word in words if word.lower() not in line.lower()]
    assert not missing, f"{missing} not in: {line}"


# Credentials and buckets, against real servers.

def test_missing_bucket(s3):
    line = start_fails("s3://no-such-bucket", *s3.options, env=s3.environ)
    says(line, "s3://no-such-bucket", "404", "NoSuchBucket")


def test_unknown_key(s3):
    environ = {**s3.environ, "AWS_ACCESS_KEY_ID": "AKIAUNKNOWN000000001"}
    line = start_fails("s3://small", *s3.options, env=environ)
    says(line, "403", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID")


def test_wrong_secret(s3):
    secret = "not-the-right-secret-0123456789"
    line = start_fails("s3://small", *s3.options,
                       env={**s3.environ, "AWS_SECRET_ACCESS_KEY": secret})
    says(line, "403", "SignatureDoesNotMatch")
    assert secret not in line


def test_no_credentials(s3):
    line = start_fails("s3://small", *s3.options)
    says(line, "credentials", "no_sign")


def test_expired_token():
    """What AWS answers to a session that is over; no server here hands out sessions."""
    with Canned(400, "<Error><Code>ExpiredToken</Code><Message>m</Message></Error>") as server:
        line = start_fails("s3://b", f"endpoint={server.url}", "region=us-east-1", *QUICK,
                           env={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                                "AWS_SESSION_TOKEN": "very-secret-token"})
        says(line, "400 ExpiredToken", "renew the session", "AWS_ACCESS_KEY_ID")
        assert "very-secret-token" not in line


SHIFTED_CLOCK = """
    #include <time.h>
    #include <unistd.h>
    #include <sys/syscall.h>

    int clock_gettime(clockid_t id, struct timespec *t)
    {
        int r = syscall(SYS_clock_gettime, id, t);
        t->tv_sec += id == CLOCK_REALTIME ? MINUTES * 60 : 0;
        return r;
    }
"""


@pytest.mark.parametrize("minutes, where", [(-90, "behind"), (45, "ahead of")])
def test_skewed_clock(ceph, tmp_path, minutes, where):
    """Of this machine, as pailfs sees it, against a server whose clock is right."""
    library = tmp_path / "clock.so"
    run(["cc", "-shared", "-fPIC", f"-DMINUTES=({minutes})", "-x", "c", "-o", library,
         write(tmp_path / "clock.c", SHIFTED_CLOCK)])
    s3 = ceph.s3()
    line = start_fails("s3://b", *s3.options,
                       env={**s3.environ, "LD_PRELOAD": str(library)})
    says(line, "403 RequestTimeTooSkewed", "set it")
    told = re.search(r"this machine's clock is (\d+) minutes (\D+) the server's", line)
    assert told and told[2] == where and abs(int(told[1]) - abs(minutes)) <= 1, line


@pytest.mark.parametrize("source, options", [
    ("s3://b", ["endpoint=http://s3.invalid"]), ("s3://b", ["endpoint=https://s3.invalid"]),
    ("http://files.invalid/f", []), ("https://files.invalid/f", []),
])
def test_a_proxy_that_refuses(source, options):
    """It is no verdict about the keys or the server, nor worth another try."""
    with Canned(407, "", {"Proxy-Authenticate": "Basic"}) as server:
        line = start_fails(source, *options, *QUICK, env={
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE000000001", "AWS_SECRET_ACCESS_KEY": "b",
            "http_proxy": server.url, "https_proxy": server.url})
        says(line, "407", "proxy")
        assert "AKIA" not in line
        assert len(server.requests) == 1


@pytest.mark.parametrize("status, body", [
    (200, "<html><body>Welcome to the router</body></html>"),
    (200, ""), (404, "<html>gone</html>"), (301, ""), (500, "x" * 100000), (200, "<List"),
])
def test_something_that_is_no_s3(status, body):
    with Canned(status, body) as server:
        start_fails("s3://b", f"endpoint={server.url}", "region=us-east-1", *QUICK,
                    env={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})


# The way to the server.

@pytest.mark.parametrize("source", ["s3://b", "http"])
def test_nobody_listens(source):
    url = f"http://127.0.0.1:{free_ports()[0]}"
    if source == "http":
        line = start_fails(f"{url}/file", *QUICK)
    else:
        line = start_fails(source, f"endpoint={url}", "region=us-east-1", "no_sign", *QUICK)
    says(line, url.split("//")[1], "connect")


def test_no_such_host():
    line = start_fails("http://no-such-host.invalid/file", *QUICK)
    says(line, "no-such-host.invalid", "resolve")


def test_unknown_certificate(nginx):
    line = start_fails(f"{nginx.tls_endpoint}/data/tools/one", *QUICK)
    says(line, "certificate", "ca_file")


def test_unknown_certificate_of_a_bucket(ceph):
    s3 = ceph.s3(tls=True)
    line = start_fails("s3://b", f"endpoint={s3.endpoint}", "region=us-east-1", *QUICK,
                       env=s3.environ)
    says(line, "certificate", "ca_file")


def test_ca_file_that_is_missing(nginx):
    line = start_fails(f"{nginx.tls_endpoint}/data/tools/one", "ca_file=/nonexistent/ca.pem",
                       *QUICK)
    says(line, "/nonexistent/ca.pem")


def test_missing_file_on_a_web_server(nginx):
    says(start_fails(f"{nginx.endpoint}/data/nothing", *QUICK), "404", "/data/nothing")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_refusing_web_server(nginx, status):
    says(start_fails(f"{nginx.endpoint}/status/{status}", *QUICK), str(status))


def test_server_that_never_answers(faultproxy):
    faultproxy.set(hang=1)
    start_fails("s3://bench", f"endpoint={faultproxy.endpoint}", "region=us-east-1", "no_sign",
                *QUICK, timeout=15)


# Usage.

@pytest.mark.parametrize("option, nearest", [
    ("endpont=http://127.0.0.1:1", "endpoint"), ("read_polcy=auto", "read_policy"),
    ("memroy=1g", "memory"), ("nosign", "no_sign"), ("ca-file=/x", "ca_file"),
])
def test_misspelt_option(option, nearest):
    line = start_fails("s3://b", option, status=1)
    says(line, option.split("=")[0], nearest)


@pytest.mark.parametrize("option", [
    "memory=lots", "memory=-1", "memory=", "memory=99999999999t", "connections=0",
    "connections=many", "threads=-2", "read_policy=magic", "metadata_ttl=5x", "endpoint=",
    "endpoint=ftp://host", "addressing=sideways", "http_version=4", "log_level=loud",
    "range_buffer=8q", "stall_timeout=abc", "region=a b", "endpoint=http://h?x",
])
def test_impossible_value(option):
    line = start_fails("s3://b", option, "no_sign", *QUICK, status=1)
    says(line, option.split("=")[0])


@pytest.mark.parametrize("source", [
    "", "bucket", "s3://", "s3:///", "s3:bucket", "ftp://host/x", "http://", "S4://b",
    "s3://bad_bucket_Name!", "http:///x", "s3://..", "http://[::1/x", "http://h:99999/x",
    "http://h:port/x", "http://user:hunter2@h/x", "mem://x", "file://relative",
])
@pytest.mark.parametrize("arguments", [(), ("-f",)])
def test_impossible_source(source, arguments):
    """Wrong usage, whoever finds it: the command line or the store, before or after the fork."""
    line = start_fails(source, *QUICK, "no_sign", arguments=arguments, status=1)
    assert "hunter2" not in line


@pytest.mark.parametrize("arguments", [[], ["s3://b"], ["s3://b", "/tmp", "/tmp"], ["-o"],
                                       ["--no-such"], ["-Z", "s3://b", "/tmp"]])
def test_wrong_usage(arguments):
    done = run([PAILFS, *arguments], env=environment(), check=False, timeout=20)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("pailfs: ")


def test_help_and_version_are_no_failure():
    for option in ("--help", "-h", "--version", "-V"):
        done = run([PAILFS, option], env=environment(), timeout=20)
        assert done.stderr == "" and "pailfs" in done.stdout


# The mount point.

def mem_fails(directory, *words):
    says(start_fails("mem://", directory=directory), str(directory), *words)


def test_mount_point_missing(tmp_path):
    mem_fails(tmp_path / "nowhere", "mkdir")


def test_mount_point_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    mem_fails(tmp_path / "file", "not a directory")


def test_mount_point_not_empty(tmp_path):
    (tmp_path / "something").write_text("x")
    mem_fails(tmp_path, "empty")
    assert (tmp_path / "something").read_text() == "x"


def test_mount_point_mounted_already(mount, nulls3):
    here = mount("s3://bench/tools", *nulls3.s3().options, env=nulls3.s3().environ)
    mem_fails(here.directory, "mounted")
    assert here.path("one").read_bytes() == b"1"


def test_mount_point_of_a_dead_mount(mount, tmp_path):
    """What is left when a daemon is killed; also when it is in the way further up."""
    here = mount(f"file://{tmp_path}")
    here.process.kill()
    here.process.wait()
    mem_fails(here.directory, "dead mount", "daemon has gone", f"fusermount3 -u {here.directory}")
    mem_fails(here.path("below"), "daemon has gone", "fusermount3 -u")
    here.kill()


def in_namespace(script):
    """A command that runs its arguments as root of a mount namespace prepared by script."""
    return ["unshare", "-m", *([] if os.getuid() == 0 else ["-Ur"]), "sh", "-c",
            f'set -e; {script}\nexec "$@"', "sh"]


HIDE_DEV = "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3;"


@pytest.mark.skipif(os.getuid() != 0, reason="/dev can only be hidden by root")
def test_no_dev_fuse():
    line = start_fails("mem://", prefix=in_namespace(HIDE_DEV))
    says(line, "/dev/fuse", "modprobe fuse")


@pytest.mark.skipif(os.getuid() != 0, reason="/dev can only be hidden by root")
def test_no_fusermount3():
    """An ordinary user, for whom fusermount3 does the mounting, on a machine without it."""
    with tempfile.TemporaryDirectory(prefix="pailfs-test-", dir="/tmp") as base:
        os.chmod(base, 0o755)
        program = shutil.copy(PAILFS, base)  # the build directory may be root's alone
        directory = Path(base, "mnt")
        directory.mkdir()
        os.chown(directory, 65534, 65534)
        line = start_fails(
            "mem://", directory=directory, program=program,
            prefix=[*in_namespace(HIDE_DEV + "mknod -m 666 /dev/fuse c 10 229;"
                                  "mount --bind /dev/null /usr/bin/fusermount3"),
                    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    says(line, "fusermount3", "fuse3")


@pytest.mark.skipif(os.getuid() != 0, reason="only root has the right that is taken here")
@pytest.mark.parametrize("arguments", [(), ("-f",), ("-d",)])
def test_no_right_to_mount(arguments):
    """As in a container that was given /dev/fuse and no more. libfuse and fusermount3 complain in
    lines of their own, of which ours tells."""
    drop = ["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    line = start_fails("mem://", prefix=["setpriv", *drop], arguments=arguments)
    says(line, "Operation not permitted", "--cap-add SYS_ADMIN")


# The background start.

@contextmanager
def in_background(source, *options, env=None):
    """Mounts as a user does, with a log of its own; gives (mount point, standard error, log)."""
    base = Path(tempfile.mkdtemp(prefix="pailfs-test-", dir="/tmp"))
    directory, log = base / "mnt", base / "log"
    directory.mkdir()
    command = [PAILFS, source, directory]
    for option in (*options, f"log={log}"):
        command += ["-o", option]
    try:
        done = run(command, env=environment(env), timeout=30)
        assert done.stdout == ""
        yield directory, done.stderr, log
    finally:
        run(["fusermount3", "-u", directory], check=False)
        wait_until(lambda: not processes_with(directory), 10, "end of the daemon")
        assert not mounted(directory)
        shutil.rmtree(base)


def test_background_start_answers_at_once(nulls3):
    """Status 0 means that the mount answers; its end means that nothing is left."""
    with in_background("s3://bench/tools", *nulls3.s3().options,
                       env=nulls3.s3().environ) as (directory, said, _):
        assert said == ""
        assert (directory / "one").read_bytes() == b"1"


# What is mounted and is perhaps not what was meant: status 0, and one line for who mounts.

def warns(said, log, *words):
    line, = said.splitlines()
    assert line.startswith("pailfs: warning: ")
    says(line, *words)
    assert line.removeprefix("pailfs: warning: ") in log.read_text()


def test_m2_listing_that_is_denied(ceph):
    """No failure: who may not list may still read what it knows the name of."""
    s3 = ceph.s3()
    s3.bucket_of("private", {"x": b""})
    with in_background("s3://private", "no_sign", *s3.options) as (directory, said, log):
        warns(said, log, "s3://private", "403", "AccessDenied", "by name")
        with pytest.raises(PermissionError):
            os.listdir(directory)
        with pytest.raises(OSError):
            (directory / "x").read_bytes()


def test_prefix_of_nothing(nulls3):
    """A misspelt prefix is an empty mount, since a bucket has no directories to be missing."""
    with in_background("s3://bench/tols/", *nulls3.s3().options,
                       env=nulls3.s3().environ) as (directory, said, log):
        warns(said, log, "s3://bench/tols", "nothing", "empty")
        assert os.listdir(directory) == []


def test_warning_is_said_once_in_the_foreground(nulls3, mount):
    """There the log is what the user sees."""
    here = mount("s3://bench/tols/", *nulls3.s3().options, env=nulls3.s3().environ)
    assert here.log.count("the mount is empty") == 1
