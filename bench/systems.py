"""The systems that bench/run compares, and what a process costs."""
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from lib_mount import environment
from lib_proc import Failed, mounted, run, wait_until

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User and system time of processes so far, ended threads included."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / TICK


def peak_memory(pids):
    peak = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak += int(line.split()[1]) * 1024
        except OSError:
            pass
    return peak


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parallel(commands, timeout=900):
    """Runs commands at once; the time is that of the last."""
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE) for command in commands]
    try:
        for process in running:
            _, said = process.communicate(timeout=timeout)
            if process.returncode:
                raise Failed(f"{process.args}: {said.decode(errors='replace')}")
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


# The systems. One instance serves one run: start() gives the directory that the workload
# runs in, stop() ends it. `pids` are the processes whose cost counts.

class System:
    kind = "bucket"     # or "directory": what it shows, and so which workloads it has
    needs = ()          # programs
    pids = ()

    def __init__(self, context):
        self.context = context

    @classmethod
    def missing(cls):
        return [program for program in cls.needs if not shutil.which(program)]

    def start(self):
        pass

    def stop(self):
        pass

    def settle(self):
        """After a workload that writes: what must be done before its time counts."""


class Mounted(System):
    """A daemon in the foreground on a mount point."""

    def command(self, directory):
        raise NotImplementedError

    def environ(self):
        return environment()

    def start(self):
        self.directory = Path(tempfile.mkdtemp(prefix="pailfs-bench-", dir="/tmp"))
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command(str(self.directory)), env=self.environ(), stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True)
        self.pids = [self.process.pid]
        wait_until(lambda: mounted(self.directory) or self.process.poll() is not None, 30, "mount")
        if self.process.poll() is not None:
            self.log.seek(0)
            raise Failed(self.log.read().decode(errors="replace"))
        self.ready()

    def ready(self):
        os.statvfs(self.directory)

    def stop(self):
        if mounted(self.directory):
            for _ in range(50):
                if run(["fusermount3", "-u", self.directory], check=False).returncode == 0:
                    break
                time.sleep(0.1)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            run(["fusermount3", "-u", "-z", self.directory], check=False)
        self.directory.rmdir()
        self.log.close()


def readahead(directory, kib=None):
    """The mount's kernel readahead in KiB; sets it when given, as root."""
    number = os.stat(directory).st_dev
    path = Path(f"/sys/class/bdi/{os.major(number)}:{os.minor(number)}/read_ahead_kb")
    if kib is not None and os.geteuid() == 0:
        path.write_text(str(kib))
    return int(path.read_text())


class Pailfs(Mounted):
    """pailfs over the bucket, all options at their defaults but those of --pailfs-options."""

    def command(self, directory):
        context = self.context
        words = [context.pailfs, f"s3://{context.server.bucket}", directory, "-f"]
        for option in (f"endpoint={context.server.s3().endpoint}", "region=us-east-1",
                       "addressing=path", "no_sign", *context.pailfs_options):
            words += ["-o", option]
        return words

    def ready(self):
        super().ready()
        self.context.readahead = readahead(self.directory)


class NullFS(Mounted):
    """A libfuse daemon that answers with zeros: the limit of what FUSE gives."""

    def command(self, directory):
        return [self.context.tool("nullfs"), directory, "-f", "-o", f"size={self.context.size}"]

    def ready(self):
        # The readahead that pailfs sets where it may; what pailfs had in this run, if it ran.
        readahead(self.directory, getattr(self.context, "readahead", 1024))


class S3FS(Mounted):
    """s3fs-fuse at its defaults."""
    needs = ("s3fs",)

    def command(self, directory):
        return ["s3fs", self.context.server.bucket, directory, "-f", "-o", "use_path_request_style",
                "-o", f"url={self.context.server.s3().endpoint}"]

    def environ(self):
        return {**environment(), "AWSACCESSKEYID": "any", "AWSSECRETACCESSKEY": "any"}


class Rclone(Mounted):
    """rclone mount at its defaults (no VFS cache)."""
    needs = ("rclone",)

    def command(self, directory):
        return ["rclone", "mount", f"bench:{self.context.server.bucket}", directory,
                "--config", "/dev/null", "--read-only"]

    def environ(self):
        return {**environment(), "RCLONE_CONFIG_BENCH_TYPE": "s3",
                "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
                "RCLONE_CONFIG_BENCH_ENDPOINT": self.context.server.s3().endpoint,
                "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": "any",
                "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": "any"}


class Curl(System):
    """curl over one connection, no file system: the limit of what HTTP gives."""
    needs = ("curl",)
    connections = 1

    def url(self, name):
        return f"{self.context.server.s3().endpoint}/{self.context.server.bucket}/{name}"

    def ranges(self, wanted):
        """Fetches [(name, first, last)], divided among the connections."""
        configs = []
        for i in range(self.connections):
            part = wanted[i::self.connections]
            if part:
                file = tempfile.NamedTemporaryFile("w", suffix=".curl")
                file.write("next\n".join(
                    f'url = "{self.url(name)}"\nrange = "{first}-{last}"\n'
                    'output = "/dev/null"\nsilent\nfail\n' for name, first, last in part))
                file.flush()
                configs.append(file)
        before = children_cpu()
        parallel([["curl", "-K", file.name] for file in configs])
        self.cpu = children_cpu() - before
        for file in configs:
            file.close()


class Curl8(Curl):
    """curl over eight connections at once."""
    connections = 8


class Directory(System):
    """The bare directory: the limit of what a mount over it can give."""
    kind = "directory"

    def start(self):
        self.directory = self.backing = Path(tempfile.mkdtemp(prefix="pailfs-bench-",
                                                              dir=self.context.directory))

    def stop(self):
        shutil.rmtree(self.backing)


class Over(Mounted, Directory):
    """A daemon over a directory that is emptied afterwards."""
    kind = "directory"

    def start(self):
        self.backing = Path(tempfile.mkdtemp(prefix="pailfs-bench-", dir=self.context.directory))
        Mounted.start(self)

    def stop(self):
        Mounted.stop(self)
        shutil.rmtree(self.backing)


class PailfsFile(Over):
    """pailfs file://"""
    scheme = "file"

    def command(self, directory):
        words = [self.context.pailfs, f"{self.scheme}://{self.backing}", directory, "-f"]
        for option in self.context.pailfs_options:
            words += ["-o", option]
        return words


class PailfsFileWriteback(PailfsFile):
    """The same with the kernel's write-back cache (-o writeback), which gathers small writes."""

    def command(self, directory):
        return [*super().command(directory), "-o", "writeback"]


class PailfsDirect(PailfsFile):
    """pailfs direct://"""
    scheme = "direct"


class Bindfs(Over):
    """bindfs, which is built on libfuse's high-level API."""
    needs = ("bindfs",)

    def command(self, directory):
        return ["bindfs", "-f", "--multithreaded", str(self.backing), directory]


class Passthrough(Over):
    """libfuse's own example passthrough_ll, with its cache on, as libfuse3-dev ships it."""
    options = ()
    SOURCE = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")

    @classmethod
    def missing(cls):
        return [] if cls.SOURCE.exists() else [str(cls.SOURCE)]

    def command(self, directory):
        return [self.context.example(self.SOURCE), directory, "-f", "-o", f"source={self.backing}",
                "-o", "cache=always", *self.options]


class PassthroughWriteback(Passthrough):
    """The same with the kernel's write-back cache, which gathers small writes."""
    options = ("-o", "writeback")


class PassthroughHP(Over):
    """libfuse's passthrough_hp ($PASSTHROUGH_HP): trusts its caches for a day, and writes back."""
    options = ()
    # No package has it: whoever has built libfuse's examples says where it is.
    PROGRAM = os.environ.get("PASSTHROUGH_HP", "passthrough_hp")

    @classmethod
    def missing(cls):
        return [] if shutil.which(cls.PROGRAM) else [f"{cls.PROGRAM} (PASSTHROUGH_HP names it)"]

    def command(self, directory):
        return [self.PROGRAM, "--foreground", *self.options, str(self.backing), directory]


class PassthroughHPNoCache(PassthroughHP):
    """The same without caches: it asks the backing each time, and writes through."""
    options = ("--nocache",)


SYSTEMS = {"pailfs": Pailfs, "curl": Curl, "curl8": Curl8, "nullfs": NullFS, "s3fs": S3FS,
           "rclone": Rclone, "bare": Directory, "pailfs-file": PailfsFile,
           "pailfs-file-writeback": PailfsFileWriteback, "pailfs-direct": PailfsDirect,
           "passthrough": Passthrough, "passthrough-wb": PassthroughWriteback,
           "passthrough-hp": PassthroughHP, "passthrough-hp-nocache": PassthroughHPNoCache,
           "bindfs": Bindfs}
