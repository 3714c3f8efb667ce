"""Random operations through a mount beside an array in memory; a failing list of them is
shrunk before it is shown. PAILFS_LONG=1 runs many more."""
import mmap
import os
import random

import pytest

from lib_local import KINDS, WRITEBACK, Local

LIMIT, STEPS = 200_000, 150
SEEDS = 150 if os.environ.get("PAILFS_LONG") else 10
WHAT = ("write", "append", "truncate", "map", "copy", "reopen", "direct", "replace", "fsync")


def place(rng):
    unit = rng.choice([1, 512, 4096, 65536])
    return min(rng.randrange(LIMIT // unit + 1) * unit + rng.choice([0, 0, 1, 511]), LIMIT)


def generate(seed):
    rng = random.Random(seed)
    ops = []
    for n in range(STEPS):
        a, b = sorted((place(rng), place(rng)))
        length = (b - a) % rng.choice([10, 5000, LIMIT])
        ops.append((rng.choice(WHAT), a, length, place(rng), 1 + n % 250))
    return ops


class Value:
    """One file with two handles, and what it should be."""

    def __init__(self, path):
        self.path, self.model = path, bytearray()
        if path.exists():
            path.unlink()
        self.fds = [os.open(path, os.O_RDWR | os.O_CREAT), os.open(path, os.O_RDWR | os.O_APPEND)]

    def close(self):
        for fd in self.fds:
            os.close(fd)

    def put(self, offset, data):
        if data:
            self.model.extend(bytes(max(0, offset - len(self.model))))
            self.model[offset:offset + len(data)] = data

    def apply(self, op):
        what, offset, length, to, byte = op
        data, size = bytes([byte]) * length, len(self.model)
        if what == "write":
            os.pwrite(self.fds[0], data, offset)
            self.put(offset, data)
        elif what == "append" and size + length <= LIMIT:
            os.write(self.fds[1], data)
            self.put(size, data)
        elif what == "truncate":
            os.ftruncate(self.fds[byte % 2], offset)
            del self.model[offset:]
            self.model.extend(bytes(offset - len(self.model)))
        elif what == "map" and size:
            with mmap.mmap(self.fds[0], size) as m:
                end = min(offset + length, size)
                if offset < end:
                    m[offset:end] = data[:end - offset]
                    self.model[offset:end] = data[:end - offset]
                if byte % 2:
                    m.flush()
        elif what == "copy" and offset < size:
            length = min(length, size - offset)
            if abs(to - offset) >= length:
                done = 0
                while done < length:
                    done += os.copy_file_range(self.fds[0], self.fds[0], length - done, offset + done, to + done)
                self.put(to, self.model[offset:offset + length])
        elif what == "reopen":
            self.close()
            self.fds = [os.open(self.path, os.O_RDWR), os.open(self.path, os.O_RDWR | os.O_APPEND)]
        elif what == "direct":
            fd = os.open(self.path, os.O_RDWR | os.O_DIRECT)
            with mmap.mmap(-1, 8192) as page:
                page[:] = bytes([byte]) * 8192
                at = offset // 4096 * 4096
                os.pwritev(fd, [page], at)
                self.put(at, bytes([byte]) * 8192)
            os.close(fd)
        elif what == "replace":
            new = self.path.with_name("new")
            new.write_bytes(data)
            os.rename(new, self.path)
            self.close()
            self.fds = [os.open(self.path, os.O_RDWR), os.open(self.path, os.O_RDWR | os.O_APPEND)]
            self.model = bytearray(data)
        elif what == "fsync":
            os.fsync(self.fds[0])
            # What is read next comes from the store.
            os.posix_fadvise(self.fds[0], offset, length, os.POSIX_FADV_DONTNEED)

    def holds(self):
        size = len(self.model)
        return os.fstat(self.fds[0]).st_size == size and \
            os.pread(self.fds[size % 2], size + 100, 0) == self.model




def fails_at(path, ops):
    """The number of the first operation after which file and model differ, or None."""
    value = Value(path)
    try:
        for n, op in enumerate(ops):
            value.apply(op)
            if not value.holds():
                return n
    finally:
        value.close()
    return None


def shrink(path, ops):
    piece = len(ops) // 2
    while piece:
        at = 0
        while at + piece <= len(ops):
            rest = ops[:at] + ops[at + piece:]
            bad = fails_at(path, rest)
            if bad is None:
                at += piece
            else:
                ops = rest[:bad + 1]
        piece //= 2
    return ops


@pytest.mark.limit(1800)
@pytest.mark.parametrize("kind", KINDS + WRITEBACK)
def test_like_an_array(kind):
    local = Local(kind)
    try:
        for seed in range(SEEDS):
            ops = generate(seed)
            bad = fails_at(local.path("value"), ops)
            assert bad is None, f"seed {seed}: {shrink(local.path('value'), ops[:bad + 1])}"
            if local.has_backing:
                assert local.backing("value").read_bytes() == local.path("value").read_bytes()
    finally:
        local.close()
