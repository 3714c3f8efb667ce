"""zarr-python's own store tests on PailfsStore, and tests of set_range. test_write_zarr.py runs
this file in an environment that has zarr; ROOT is a directory of the mount."""
import asyncio
import multiprocessing
import os
import struct
import sys
import tempfile
from pathlib import Path

import numpy
import pytest
import zarr
from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from zarr_store import PailfsStore

ROOT = os.environ["ROOT"]


class TestPailfsStore(StoreTests[PailfsStore, cpu.Buffer]):
    store_cls = PailfsStore
    buffer_cls = cpu.Buffer

    async def get(self, store, key):
        return self.buffer_cls.from_bytes((store.root / key).read_bytes())

    async def set(self, store, key, value):
        path = store.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value.to_bytes())

    @pytest.fixture
    def store_kwargs(self):
        return {"root": tempfile.mkdtemp(dir=ROOT)}

    def test_store_repr(self, store):
        assert str(store) == f"file://{store.root.as_posix()}"

    def test_store_supports_writes(self, store):
        assert store.supports_writes

    def test_store_supports_listing(self, store):
        assert store.supports_listing


def buffer(data) -> Buffer:
    return cpu.Buffer.from_bytes(data)


@pytest.fixture
def store():
    made = PailfsStore(tempfile.mkdtemp(dir=ROOT))
    made.set_sync("a/value", buffer(b"0123456789"))
    return made


def value(store):
    return (store.root / "a/value").read_bytes()


def test_set_range_changes_its_bytes(store):
    inode = (store.root / "a/value").stat().st_ino
    asyncio.run(store.set_range("a/value", buffer(b"xyz"), 3))
    assert value(store) == b"012xyz6789"
    store.set_range_sync("a/value", buffer(b"AB"), 8)
    store.flush("a/value")
    assert value(store) == b"012xyz67AB"
    assert (store.root / "a/value").stat().st_ino == inode


@pytest.mark.parametrize("start, length", [(8, 3), (10, 1), (-1, 2), (1 << 40, 1), (0, 11)])
def test_set_range_that_does_not_fit(store, start, length):
    with pytest.raises(ValueError):
        store.set_range_sync("a/value", buffer(b"x" * length), start)
    assert value(store) == b"0123456789"


@pytest.mark.parametrize("key", ["missing", "a", "a/value/below"])
def test_set_range_of_a_missing_value(store, key):
    with pytest.raises(KeyError):
        store.set_range_sync(key, buffer(b"x"), 0)
    assert os.listdir(store.root) == ["a"] and os.listdir(store.root / "a") == ["value"]


def test_set_range_of_nothing(store):
    before = (store.root / "a/value").stat()
    store.set_range_sync("a/value", buffer(b""), 5)
    after = (store.root / "a/value").stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)


def test_set_range_of_a_read_only_store(store):
    with pytest.raises(ValueError):
        store.with_read_only(True).set_range_sync("a/value", buffer(b"x"), 0)
    assert value(store) == b"0123456789"


CHUNK, CHUNKS, WORKERS = 1000, 64, 4  # items of 4 bytes; neighbours share pages


def rewrite(arguments):
    root, worker = arguments
    store = PailfsStore(root)
    shard = (store.root / "array/c/0").read_bytes()
    index = list(struct.iter_unpack("<QQ", shard[-4 - 16 * CHUNKS:-4]))
    for _ in range(5):
        for number, (offset, length) in enumerate(index):
            if number % (WORKERS + 1) == worker:
                assert length == CHUNK * 4
                data = numpy.full(CHUNK, 1000 + number, "<i4").tobytes()
                store.set_range_sync("array/c/0", buffer(data), offset)


def test_four_processes_rewrite_inner_chunks_of_one_shard(store):
    array = zarr.create_array(store, name="array", shape=(CHUNK * CHUNKS,), shards=(CHUNK * CHUNKS,),
                              chunks=(CHUNK,), dtype="<i4", compressors=None, filters=None)
    array[:] = numpy.arange(CHUNK * CHUNKS)
    before = (store.root / "array/c/0").read_bytes()
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.map(rewrite, [(str(store.root), worker) for worker in range(WORKERS)])
    after = (store.root / "array/c/0").read_bytes()
    assert len(after) == len(before) and after[-4 - 16 * CHUNKS:] == before[-4 - 16 * CHUNKS:]
    expected = numpy.arange(CHUNK * CHUNKS, dtype="<i4").reshape(CHUNKS, CHUNK)
    for number in range(CHUNKS):
        if number % (WORKERS + 1) != WORKERS:  # every fifth is left alone
            expected[number] = 1000 + number
    assert (zarr.open_array(store, path="array")[:] == expected.reshape(-1)).all()
