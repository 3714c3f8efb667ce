"""The example of a zarr store, held to zarr-python's own tests, on each local-backed store.
zarr wants newer libraries than the system's, so it lives in an environment of its own."""
import os
from pathlib import Path

import pytest

from lib_local import KINDS, Local
from lib_proc import run

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PYTHON = Path(os.environ.get("PAILFS_ZARR_PYTHON") or CACHE / "pailfs-servers/zarr/bin/python3")


@pytest.mark.limit(300)  # direct:// waits for the disk, which may be busy
@pytest.mark.parametrize("kind", KINDS)
def test_zarr_store(kind):
    assert PYTHON.exists(), "no zarr: run tests/run packages"
    local = Local(kind)
    try:
        done = run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto",
                    Path(__file__).with_name("zarr_suite.py")],
                   env={**os.environ, "ROOT": str(local.path())}, timeout=280, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
        assert " passed" in done.stdout and "failed" not in done.stdout
    finally:
        local.close()
