"""What a local-backed mount takes while it works (memory, descriptors), it gives back."""
import os
import re
import shutil
from pathlib import Path

import pytest

from lib_local import KINDS, Local, in_children
from lib_proc import wait_until

MIB = 1 << 20


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", KINDS)
def test_a_removed_tree_leaves_nothing_held(kind):
    """100 MB in 1000 files, beside small ones that come and go and a few that stay."""
    def make(worker):
        for n in range(250):
            where = local.path(f"{worker}-{n % 10}")
            where.mkdir(exist_ok=True)
            (where / f"large{n}").write_bytes(os.urandom(100_000))
            (where / f"small{n}").write_bytes(b"s" * (n * 37 % 5000))
            if n % 100 == 0:
                local.path(f"stays-{worker}-{n}").write_bytes(b"stays" * 1000)
            if n % 3 == 0:
                (where / f"small{n}").unlink()

    local = Local(kind)
    try:
        pid = local.mount.pid
        local.path("stays").write_bytes(b"")
        before = resident(pid), descriptors(pid)
        in_children(4, make)
        if kind == "mem":
            assert resident(pid) > before[0] + 90 * MIB
        for each in list(local.path().iterdir()):
            if each.is_dir():
                shutil.rmtree(each)
        wait_until(lambda: descriptors(pid) <= before[1] + 40, 60, "descriptors given back")
        wait_until(lambda: resident(pid) < before[0] + 24 * MIB, 60, "memory given back")
        assert local.path("stays-3-200").read_bytes() == b"stays" * 1000
        assert local.mount.stats().sum("pailfs_open_files") == 0
    finally:
        local.close()
