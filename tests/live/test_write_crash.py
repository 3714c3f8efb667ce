"""W8 and W9: kill -9 at random points of a write storm, and a checker that knows what was
acknowledged. PAILFS_LONG=1 kills a thousand times instead of a hundred."""
import errno
import os
import random
import threading
import time

import pytest

from lib_local import Local

KILLS = (1000 if os.environ.get("PAILFS_LONG") else 100) // 2  # each of two kinds
SIZE, CELL = 1 << 20, 1000


class Storm:
    """Writers that go on until the daemon dies, and what may stand in the files then."""

    def __init__(self, local, seed):
        self.local, self.random = local, random.Random(seed)
        self.value = bytearray(local.backing("value").read_bytes())
        self.in_flight = None       # (offset, bytes) of the range write under way
        self.puts = {}              # name -> the contents that may stand there
        self.acknowledged = 0

    def write_ranges(self):
        fd = os.open(self.local.path("value"), os.O_WRONLY)
        try:
            while True:
                n = self.random.choice([1, 10, CELL, 4096, 70_000])
                offset = self.random.randrange(SIZE - n)
                data = self.random.randbytes(n)
                while data:  # a write that is cut by the death may have been taken in part
                    self.in_flight = offset, data
                    n = os.pwrite(fd, data, offset)
                    if self.local.writeback:
                        os.fsync(fd)
                    self.value[offset:offset + n] = data[:n]
                    offset, data = offset + n, data[n:]
                self.in_flight = None
                self.acknowledged += 1
        finally:
            os.close(fd)

    def put_values(self):
        """Whole values: a temporary file, fsync, rename."""
        count = 0
        while True:
            count += 1
            name = f"put{count % 3}"
            data = bytes([count % 250 + 1]) * random.randrange(1, 200_000)
            before = self.puts.get(name, [None])[-1]
            self.puts[name] = [before, data]
            with open(self.local.path(name + ".new"), "wb", buffering=0) as f:
                f.write(data)
                os.fsync(f.fileno())
            os.rename(self.local.path(name + ".new"), self.local.path(name))
            self.puts[name] = [data]
            self.acknowledged += 1

    def run(self, kill_after):
        def until_death(work):
            try:
                work()
            except OSError as e:
                # The mount is gone; a rename may say so by the name that it did not find.
                if e.errno not in (errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT, errno.EIO):
                    failures.append(e)
        failures = []
        threads = [threading.Thread(target=until_death, args=[w])
                   for w in (self.write_ranges, self.put_values)]
        for each in threads:
            each.start()
        time.sleep(kill_after)
        self.local.mount.process.kill()
        for each in threads:
            each.join(30)
            assert not each.is_alive(), "a writer hangs after the daemon's death"
        self.local.mount.kill()
        assert not failures

    def check(self):
        found = self.local.backing("value").read_bytes()
        assert len(found) == SIZE
        expected = self.value
        if self.in_flight:
            # Torn inside its range at most: each byte is the old or the new one.
            offset, data = self.in_flight
            for i, new in enumerate(data):
                at = offset + i
                assert found[at] in (expected[at], new), at
                expected[at] = found[at]
        assert found == expected
        for name, may in self.puts.items():
            path = self.local.backing(name)
            assert (path.read_bytes() if path.exists() else None) in may, name


@pytest.mark.limit(1800)
@pytest.mark.parametrize("kind, kills", [("file", KILLS), ("direct", KILLS), ("file-writeback", KILLS // 5)])
def test_w8_w9_kill_storm(kind, kills):
    """With writeback, what fsync returned for, and not each write."""
    local = Local(kind)
    acknowledged = 0
    try:
        local.backing("value").write_bytes(bytes(SIZE))
        for n in range(kills):
            if n:
                local.start()
            storm = Storm(local, n)
            for name in ("put0", "put1", "put2"):
                if local.backing(name).exists():
                    storm.puts[name] = [local.backing(name).read_bytes()]
            storm.run(random.Random(n).uniform(0.01, 0.15))
            storm.check()
            acknowledged += storm.acknowledged
        assert acknowledged > kills * 10
    finally:
        local.close()
