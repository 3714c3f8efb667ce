"""A ZIP64 archive of 600 GiB with 100,000 members: listed, and one member read, at the cost of
its directory and of the member."""
import binascii
import contextlib
import os
import struct
import sys

import lib_data
import pytest
from lib_proc import run
from test_counts import Watch, frugal

MEMBERS, SIZE = 100000, 512 << 10
STRIDE = 6442451  # from a member to the next: 600 GiB in all, most of it a hole
MIB = lib_data.MIB
WRITTEN = (5, 11111, 33333, 50000, 77777, MEMBERS - 1)  # members that are not zeros


def name_of(i):
    return b"shard-%03d/sample-%06d.bin" % (i // 1000, i)


def local_header(i, crc):
    return struct.pack("<4s5HIIIHH", b"PK\3\4", 20, 0, 0, 0, 0x21, crc, SIZE, SIZE,
                       len(name_of(i)), 0) + name_of(i)


def entry(i, crc, offset):
    """Of the directory: from 4 GiB on the offset stands in a ZIP64 extra field."""
    large = offset >= 0xffffffff
    extra = struct.pack("<HHQ", 1, 8, offset) if large else b""
    return struct.pack("<4s6HIIIHHHHHII", b"PK\1\2", 45, 45, 0, 0, 0, 0x21, crc, SIZE, SIZE,
                       len(name_of(i)), len(extra), 0, 0, 0, 0,
                       0xffffffff if large else offset) + name_of(i) + extra


def write_archive(path):
    """Returns the size of the directory."""
    zeros = binascii.crc32(bytes(SIZE))
    directory = []
    with open(path, "wb") as file:
        for i in range(MEMBERS):
            crc = zeros
            if i in WRITTEN:
                body = lib_data.noise(i, SIZE)
                crc = binascii.crc32(body)
                file.seek(i * STRIDE)
                file.write(local_header(i, crc) + body)
            directory.append(entry(i, crc, i * STRIDE))
        directory = b"".join(directory)
        start = MEMBERS * STRIDE
        file.seek(start)
        file.write(directory)
        file.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, MEMBERS, MEMBERS,
                               len(directory), start))
        file.write(struct.pack("<4sIQI", b"PK\6\7", 0, start + len(directory), 1))
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xffff, 0xffff, 0xffffffff,
                               0xffffffff, 0))
    return len(directory)


@pytest.fixture(scope="module")
def huge(nginx):
    """The archive on the web server: (URL, size of its directory)."""
    path = nginx.root / "huge.zip"
    size = write_archive(path)
    assert path.stat().st_size > 600 << 30 and path.stat().st_blocks * 512 < 64 * MIB
    yield f"{nginx.endpoint}/huge.zip", size
    path.unlink()


def first_byte(request):
    return int(request.range.split("=")[1].split("-")[0])


LIST = {
    "zipfile": [sys.executable, "-c",
                "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))"],
    "unzip": ["sh", "-c", "unzip -Z1 \"$0\" | wc -l"],
}
MEMBER = {
    "zipfile": [sys.executable, "-c",
                "import sys, zipfile\n"
                "sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))"],
    "unzip": ["unzip", "-p"],
}


@pytest.mark.limit(300)
@pytest.mark.parametrize("held", [True, False], ids=["held-open", "opened-anew"])
@pytest.mark.parametrize("tool", LIST)
def test_600_gib_archive(nginx, mount, huge, tool, held):
    """Its tail and its directory are a GET each, and a member at most two, whatever was read of
    the archive before: held open, it is one reader with one history; opened anew, many."""
    url, directory = huge
    here = mount(url, "metadata_ttl=300s")
    path = here.path("huge.zip")

    def listed():
        assert run([*LIST[tool], path], timeout=100).stdout.strip() == str(MEMBERS)

    def member(i):
        with Watch(here, nginx) as watch:
            body = run([*MEMBER[tool], path, name_of(i)], timeout=100, text=False,
                       errors=None).stdout
        assert body == lib_data.noise(i, SIZE)
        return watch

    def member_opened_anew(i):
        """With the directory in the kernel's memory: it may give up pages, and then we try again."""
        for _ in range(20):
            with open(path, "rb") as file:
                file.seek(MEMBERS * STRIDE - MIB)
                file.read()
                # An attempt before this one may have left it there.
                os.posix_fadvise(file.fileno(), i * STRIDE, STRIDE - MIB, os.POSIX_FADV_DONTNEED)
            watch = member(i)
            if all(first_byte(each) < MEMBERS * STRIDE - MIB for each in watch.gets):
                return watch
        raise AssertionError("the kernel loses the directory all the time")

    with open(path, "rb") if held else contextlib.nullcontext():
        with Watch(here, nginx) as watch:
            listed()
        assert len(watch.gets) == 2, watch.seen
        assert watch.sent <= directory + MIB
        frugal(watch)
        for i in WRITTEN:
            watch = member(i) if held else member_opened_anew(i)
            assert 1 <= len(watch.gets) <= 2, watch.seen
            frugal(watch)
