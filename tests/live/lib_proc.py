"""Commands with a time limit, and what the kernel says of mounts and processes."""
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

PAILFS = os.path.abspath(os.environ.get(
    "PAILFS", Path(__file__).parents[2] / "build" / "pailfs"))
PAILCTL = os.path.join(os.path.dirname(PAILFS), "pailctl")


class Failed(AssertionError):
    """A command that did not end as it should, with what it said."""


def tail(text, most=2000):
    """The end of what a command said, for a message."""
    return text if not text or len(text) <= most else text[-most:]


def run(command, timeout=60, check=True, **options):
    """Runs a command in a process group of its own, which is killed when time is up.

    Returns subprocess.CompletedProcess with text output, stdin closed.
    """
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, "text": True, "errors": "surrogateescape", **options}
    command = [str(word) if isinstance(word, int) else os.fspath(word) for word in command]
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate(timeout=10)
            raise Failed(f"no end after {timeout} s: {command}\n{tail(out)}\n{tail(err)}") from None
    if check and process.returncode:
        raise Failed(f"exit status {process.returncode}: {command}\n{tail(out)}\n{tail(err)}")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def wait_until(condition, timeout, what):
    """Polls a condition; its first true value is returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {timeout} s: {what}")
        time.sleep(0.01)


def mounted(directory):
    """Is something mounted here? Asks the kernel's table, never the mount itself."""
    want = os.path.realpath(directory)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.split()[4].encode().decode("unicode_escape") == want for line in table)


def expect_error(number, call, *arguments):
    """Holds call(*arguments) to failing with this errno."""
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(f"{call} did not fail")


def processes_with(word):
    """The processes that have this word somewhere in their command line."""
    word, found = os.fsencode(word), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if word in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # it has ended
    return found


def free_ports(count=1):
    """Adjacent ports of loopback that nobody listens on, outside the ephemeral range."""
    while True:
        first = random.SystemRandom().randrange(15000, 32000)
        ports = list(range(first, first + count))
        try:
            for port in ports:
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
            return ports
        except OSError:
            continue


def pages_lost():
    """A number that changes when the kernel gives up pages of files: because it was told to, as
    benchmarks do, because it needs the memory, or because nobody used them for a while (DAMON,
    whose pageout counts as no steal, only as a page that was read a second time)."""
    with open("/proc/vmstat", encoding="ascii") as file:
        counters = dict(line.split() for line in file)
    names = ("drop_pagecache", "pgsteal_file", "workingset_refault_file")
    return [int(counters.get(name, 0)) for name in names]


def undisturbed(attempt, check):
    """Calls check(attempt(i)), i = 0, 1, ..., again where what it asserts of the counts fails and
    the kernel gave up pages of files meanwhile: what it keeps is part of what is counted. What
    attempt asserts itself, of the bytes, holds always."""
    for i in range(20):
        before = pages_lost()
        result = attempt(i)
        try:
            return check(result)
        except AssertionError:
            if pages_lost() == before or i == 19:
                raise
