"""A zarr store on a pailfs mount that can write a byte range inside a stored value.

zarr's LocalStore works on a mount as on any directory, but it can only replace values whole:
changing one inner chunk rewrites its shard. PailfsStore adds what zarr calls
SupportsSetRange. It works on mounts of stores that write in place: file://, direct://, mem://.

    pailfs file:///data /mnt/data
    store = PailfsStore("/mnt/data/array.zarr")

What set_range promises on such a mount:

- Exactly the bytes [start, start + len(value)) of the value change. Its length stays, no
  other byte is read or written, and the value never disappears while it is written.
- A value that is missing is a KeyError, a range that does not fit a ValueError, and nothing
  has changed then. Writing nothing does nothing.
- Disjoint ranges may be written at once by any number of threads and processes, also where
  they share a page or a disk block. Overlapping ones end in one order or the other, whole.
- A crash can tear the range that was being written, and nothing else. flush() makes what
  was written durable.

It does not promise: several ranges changed as one, or an order between ranges before
flush(). The size is looked at here, before the write: if somebody else may shorten the value
at that moment, let the mount hold to it with `pailctl set-range FILE OFFSET < BYTES`.
"""
import asyncio
import os

from zarr.storage import LocalStore


class PailfsStore(LocalStore):
    """A LocalStore with set_range."""

    async def set_range(self, key, value, start):
        """Overwrites len(value) bytes of the value under key, from byte `start` on."""
        if not self._is_open:
            await self._open()
        self._check_writable()
        await asyncio.to_thread(self._set_range, key, value, start)

    def set_range_sync(self, key, value, start):
        self._ensure_open_sync()
        self._check_writable()
        self._set_range(key, value, start)

    def flush(self, key):
        """Returns when what was written to the value would survive a power failure."""
        fd = self._open_value(key)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _open_value(self, key):
        try:
            return os.open(self.root / key, os.O_WRONLY)  # never creates
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None

    def _set_range(self, key, value, start):
        data = memoryview(value.to_bytes())
        fd = self._open_value(key)
        try:
            size = os.fstat(fd).st_size
            if start < 0 or start + len(data) > size:
                raise ValueError(f"{key}: bytes {start} to {start + len(data)} do not lie "
                                 f"inside a value of {size}")
            while data:
                n = os.pwrite(fd, data, start)
                data, start = data[n:], start + n
        finally:
            os.close(fd)
