"""Mounts of pailfs: started as a user would start them, watched, and ended for sure."""
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from lib_proc import PAILFS, Failed, mounted, processes_with, run, wait_until

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def environment(extra=None):
    """The environment of a pailfs that knows no credentials, proxies or settings but these."""
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(("AWS_", "PAILFS_", "XDG_")) and "proxy" not in key.lower()}
    clean["HOME"] = "/nonexistent"
    clean.setdefault("TSAN_OPTIONS", "halt_on_error=0")
    return {**clean, **(extra or {})}


class Stats:
    """The counters of .pailfs/stats; `later - earlier` gives what happened between."""

    def __init__(self, samples):
        self.samples = samples  # {(name, frozenset of (label, value)): number}

    @classmethod
    def parse(cls, text):
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"not the Prometheus text format: {line!r}"
                name, labels, value = match.groups()
                samples[name, frozenset(LABEL.findall(labels or ""))] = float(value)
        return cls(samples)

    def __sub__(self, earlier):
        return Stats({key: value - earlier.samples.get(key, 0)
                      for key, value in self.samples.items()})

    def sum(self, name, **labels):
        """The sum of a metric's samples that carry these labels."""
        want = set(labels.items())
        found = [value for (n, have), value in self.samples.items() if n == name and want <= have]
        assert found or any(n == name for n, _ in self.samples), f"no metric {name}"
        return sum(found)

    def requests(self, op, result="ok"):
        return self.sum("pailfs_store_requests_total", op=op, result=result)

    @property
    def received(self):
        return self.sum("pailfs_store_received_bytes_total")

    @property
    def read_bytes(self):
        """Bytes of file data that the kernel was given."""
        return self.sum("pailfs_read_bytes_total")


class Mount:
    """A running pailfs. Use as a context manager, or through the fixture `mount`."""

    START = 30  # seconds; sanitizers are slow
    END = 30
    running = []
    ended_logs = []  # (source, log) of the last few
    lock = threading.Lock()

    def __init__(self, source, *options, env=None, arguments=()):
        self.source = source
        self.directory = Path(tempfile.mkdtemp(prefix="pailfs-test-", dir="/tmp"))
        self.log_path = Path(f"{self.directory}.log")
        self.log_kept = ""
        command = [PAILFS, source, str(self.directory), "-f", *arguments]
        for option in options:
            command += ["-o", option]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, env=environment(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        with Mount.lock:
            Mount.running.append(self)
        try:
            wait_until(lambda: mounted(self.directory) or self.process.poll() is not None,
                       self.START, f"mount of {source}")
            if self.process.poll() is not None:
                raise Failed(f"exit status {self.process.returncode}: {command}\n{self.log}")
            self.path(".pailfs", "version").read_bytes()
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.unmount()
        else:
            self.end()

    def path(self, *parts):
        return self.directory.joinpath(*parts)

    @property
    def log(self):
        """What it has said on standard error; still known after its end."""
        if self.log_path.exists():
            self.log_kept = self.log_path.read_text(errors="replace")
        return self.log_kept

    @property
    def pid(self):
        return self.process.pid

    def stats(self):
        return Stats.parse(self.path(".pailfs", "stats").read_text())

    def peak_memory(self):
        """The largest resident size so far, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def unmount(self):
        """Unmounts, and holds pailfs to what it owes: status 0, no mount, no process."""
        try:
            status = self.process.poll()
            assert status is None, f"pailfs ended by itself, status {status}:\n{self.log}"
            end = time.monotonic() + 10
            while True:  # a descriptor that a killed reader had may take a moment to go
                done = run(["fusermount3", "-u", self.directory], check=False, timeout=30)
                if done.returncode == 0 or time.monotonic() > end:
                    break
                time.sleep(0.1)
            assert done.returncode == 0, done.stderr
            try:
                status = self.process.wait(self.END)
            except subprocess.TimeoutExpired:
                raise Failed(f"still running {self.END} s after its unmount:\n{self.log}") from None
            assert status == 0, f"exit status {status}:\n{self.log}"
            assert not mounted(self.directory)
        finally:
            self.kill()

    def end(self):
        """Unmounts without complaint, after something else has failed."""
        try:
            self.unmount()
        except (AssertionError, OSError):
            pass

    def kill(self):
        """Leaves nothing behind, whatever state it is in. May be called from any thread."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        if mounted(self.directory):
            run(["fusermount3", "-u", "-z", self.directory], check=False, timeout=10)
        with Mount.lock:
            if self in Mount.running:
                Mount.running.remove(self)
        if self.log:
            Mount.ended_logs = [*Mount.ended_logs[-7:], (self.source, self.log)]
        self.log_path.unlink(missing_ok=True)
        try:
            self.directory.rmdir()
        except OSError:
            pass


def start_fails(source, *options, env=None, directory=None, status=32, timeout=30,
                prefix=(), program=PAILFS, arguments=()):
    """Starts pailfs, which must refuse: its one line on standard error is returned. The status
    is mount(8)'s: 1 for wrong usage, 32 for what the server or this machine does not allow.

    Nothing may be mounted afterwards and no process be left. The mount point is a new
    empty directory unless one is given; prefix is a command that runs pailfs.
    """
    own = directory is None
    if own:
        directory = tempfile.mkdtemp(prefix="pailfs-test-", dir="/tmp")
    was_mounted = mounted(directory)
    command = [*prefix, program, source, str(directory), *arguments]
    for option in options:
        command += ["-o", option]
    before = set(processes_with(str(directory)))
    try:
        done = run(command, env=environment(env), check=False, timeout=timeout)
        said = f"{command}\nstatus {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == status, said
        assert mounted(directory) == was_mounted, said
        wait_until(lambda: not set(processes_with(str(directory))) - before, 2,
                   f"end of all processes of {said}")
        assert done.stdout == "", said
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("pailfs: "), said
        return lines[0]
    finally:
        for pid in set(processes_with(str(directory))) - before:
            os.kill(pid, signal.SIGKILL)
        if mounted(directory) and not was_mounted:
            run(["fusermount3", "-u", "-z", directory], check=False)
        if own:
            os.rmdir(directory)
