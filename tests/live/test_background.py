"""The way to the background: whoever is killed on it leaves nothing behind."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from lib_mount import environment
from lib_proc import PAILFS, mounted, processes_with, run, wait_until


@pytest.fixture
def silent():
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "mnt").mkdir()
    return tmp_path / "mnt"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("arguments", [[], ["-f"]])
@pytest.mark.parametrize("store", ["silent", "no credentials yet"])
def test_killed_while_it_waits_for_the_store(silent, directory, store, number, arguments):
    """A server that says nothing, or a file system that does not give the AWS files, for which a
    pipe stands that nobody writes to."""
    pipe = directory.parent / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen([PAILFS, silent if store == "silent" else "s3://bucket", directory,
                                *arguments], env=environment({"AWS_CONFIG_FILE": str(pipe)}),
                               stdin=subprocess.DEVNULL)
    expected = 1 if arguments else 2
    wait_until(lambda: len(processes_with(str(directory))) == expected, 10, "the daemon")
    time.sleep(0.5)  # so that it has come to waiting
    process.send_signal(number)
    assert process.wait(5) == -number
    wait_until(lambda: not processes_with(str(directory)), 5, "end of the daemon")
    assert not mounted(directory)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_unmounts(directory, number):
    """In the foreground, with what is mounted."""
    process = subprocess.Popen([PAILFS, "mem://", directory, "-f"], env=environment(),
                               stdin=subprocess.DEVNULL)
    wait_until(lambda: mounted(directory), 10, "mount")
    process.send_signal(number)
    assert process.wait(10) == 0
    assert not mounted(directory)


def test_signal_that_is_ignored(directory):
    """By nohup(1), say: the mount goes on. SIGURG ends no mount either."""
    command = ["sh", "-c", 'trap "" HUP; exec "$0" mem:// "$1" -f', PAILFS, directory]
    process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)
    wait_until(lambda: mounted(directory), 10, "mount")
    for number in (signal.SIGHUP, signal.SIGURG):
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    (directory / "file").write_bytes(b"still here")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not mounted(directory)


@pytest.mark.parametrize("source", ["mem://", "file://{}"])
def test_signal_while_files_are_open(directory, tmp_path, source):
    """The kernel waits for no RELEASE then: handles are let go without, which the address
    sanitizer's build is held to by its status."""
    backing = tmp_path / "backing"
    backing.mkdir()
    process = subprocess.Popen([PAILFS, source.format(backing), directory, "-f"],
                               env=environment(), stdin=subprocess.DEVNULL)
    wait_until(lambda: mounted(directory), 10, "mount")
    file = os.open(directory / "open", os.O_RDWR | os.O_CREAT)
    listing = os.open(directory, os.O_RDONLY)
    control = os.open(directory / ".pailfs" / "stats", os.O_RDONLY)
    try:
        os.write(file, b"x" * (1 << 20))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not mounted(directory)
        with pytest.raises(OSError):
            os.pread(file, 1, 0)
    finally:
        os.close(listing)
        os.close(control)
        with contextlib.suppress(OSError):  # nobody flushes it any more
            os.close(file)


def test_signals_while_it_ends_leave_no_mount(directory):
    """An impatient user's Ctrl-C after the first one."""
    for _ in range(10):
        process = subprocess.Popen([PAILFS, "mem://", directory, "-f"], env=environment(),
                                   stdin=subprocess.DEVNULL)
        wait_until(lambda: mounted(directory), 10, "mount")
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGINT)
        assert process.wait(1) == 0
        assert not mounted(directory)


def test_standard_files_are_let_go(directory):
    """A shell that waits for the end of a pipe gets it, though the daemon lives on."""
    done = subprocess.run([PAILFS, "mem://", directory], env=environment(), capture_output=True,
                          timeout=10)
    try:
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        pid, = processes_with(str(directory))
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            session = int(stat.read().rpartition(")")[2].split()[3])
        assert session == pid
    finally:
        subprocess.run(["fusermount3", "-u", directory], check=True)
    wait_until(lambda: not processes_with(str(directory)), 10, "end of the daemon")


@pytest.fixture
def in_background(directory, tmp_path):
    """Mounts in the background, from the directory tmp_path, with these variables."""
    def start(source, *options, env):
        command = [PAILFS, source, directory, *(f"-o{option}" for option in options)]
        done = run(command, env=environment(env), cwd=tmp_path, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return directory

    yield start
    wait_until(lambda: not mounted(directory) or
               run(["fusermount3", "-u", directory], check=False).returncode == 0, 10, "unmount")
    wait_until(lambda: not processes_with(str(directory)), 10, "end of the daemon")


@pytest.mark.parametrize("name", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_credentials_by_a_relative_path(nulls3, in_background, tmp_path, name):
    """The daemon reads them when it has left the directory that the path begins in."""
    s3 = nulls3.s3()
    (tmp_path / "keys").write_text(f"[default]\naws_access_key_id = {s3.access_key}\n"
                                   f"aws_secret_access_key = {s3.secret_key}\n")
    directory = in_background("s3://bench", *s3.options, env={name: "keys"})
    assert "tools" in os.listdir(directory)


def test_certificates_by_a_relative_path(nginx, in_background, tmp_path):
    shutil.copy(nginx.ca, tmp_path / "ca.pem")
    directory = in_background(f"{nginx.tls_endpoint}/data/tools/one",
                              env={"AWS_CA_BUNDLE": "ca.pem"})
    assert (directory / "one").stat().st_size
