"""Local-backed stores for tests: a mount of each kind with its backing directory."""
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from lib_mount import Mount
from lib_proc import PAILFS

KINDS = ("file", "direct", "mem")
# The same with the kernel's write-back cache, as "file-writeback".
WRITEBACK = tuple(f"{kind}-writeback" for kind in KINDS)


class Local:
    """A mount of a fresh store: `path(...)` in the mount, `backing(...)` beside it."""

    def __init__(self, kind, *options, root=None):
        self.kind, _, self.writeback = kind.partition("-")
        # Beside the binary: /tmp may be a tmpfs, which cannot do O_DIRECT everywhere.
        self.own_root = root is None and self.kind != "mem"
        self.root = root
        if self.own_root:
            self.root = Path(tempfile.mkdtemp(prefix="backing-", dir=Path(PAILFS).parent))
            os.chmod(self.root, 0o755)
        self.options = (*options, self.writeback) if self.writeback else options
        self.mount = None
        self.start()

    def start(self):
        source = "mem://" if self.kind == "mem" else f"{self.kind}://{self.root}"
        everyone = ["allow_other"] if os.geteuid() == 0 else []
        self.mount = Mount(source, *everyone, *self.options)

    def path(self, *parts):
        return self.mount.path(*parts)

    def backing(self, *parts):
        return self.root.joinpath(*parts)

    @property
    def has_backing(self):
        return self.kind != "mem"

    def close(self):
        try:
            if self.mount in Mount.running:
                self.mount.unmount()
        finally:
            if self.own_root:
                shutil.rmtree(self.root, ignore_errors=True)


def in_children(count, work):
    """Runs work(index) in as many forked processes at once; an exception there fails here."""
    children = []
    for index in range(count):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                work(index)
                status = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    assert not any(statuses), statuses
