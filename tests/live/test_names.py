"""Directories of more than a page: what is shown does not depend on where the pages end, nor on
where a reader goes on."""
import ctypes
import json
import os
import struct
import sys
import textwrap
import time

import pytest
from lib_bucket import Bucket
from lib_proc import run
from test_meta import listed_by_mount


GETDENTS64 = {"x86_64": 217, "aarch64": 61}[os.uname().machine]
LIBC = ctypes.CDLL(None, use_errno=True)


def some_entries(listing):
    """[(name, inode number)] of the next entries of an open directory."""
    buffer = ctypes.create_string_buffer(8192)
    n, entries, at = LIBC.syscall(GETDENTS64, listing, buffer, len(buffer)), [], 0
    if n < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    while at < n:
        inode, _, length = struct.unpack_from("=QqH", buffer, at)
        entries.append((buffer.raw[at + 19:at + length].partition(b"\0")[0].decode(), inode))
        at += length
    return entries


def some_names(listing):
    return [name for name, _ in some_entries(listing)]


def between_pages():
    """Names around the '/' in the order of keys, with more than a page of names below and
    between."""
    keys = {f"d/{i:04}": b"below" for i in range(1010)}
    keys |= {f"d-{i:04}": b"before" for i in range(1010)}
    keys |= {f"e/{i:02}/{k:03}": b"" for i in range(12) for k in range(100)}
    keys |= {key: b"around" for key in ("c", "d!", "d.x", "d0", "e", "e-/x", "e.x/y", "e0", "f/g")}
    return keys


def shown(keys):
    """What a mount shows of keys: an object whose name is also a directory's is hidden."""
    return {key for key in keys if not any(other.startswith(key + "/") for other in keys)}


@pytest.fixture(scope="module")
def pages(s3):
    """(endpoint, bucket, keys)"""
    keys = between_pages()
    if not s3.lists_controls:
        keys.pop("e")  # versitygw keeps objects as files
    return s3, s3.bucket_of("between-pages", keys), keys


@pytest.mark.limit(240)
def test_m1_more_than_a_page_between_a_name_and_its_slash(pages, mount):
    s3, bucket, keys = pages
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    assert listed_by_mount(here.directory) == {key.encode() for key in shown(keys)}


def test_m1_names_around_a_slash_found_without_a_listing(pages, mount):
    s3, bucket, keys = pages
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    for key in ("d/1009", "d0", "d.x", "d!", "e0", "e/11/099", "e-/x", "e.x/y", "d-1009", "c"):
        assert here.path(key).read_bytes() == keys[key], key
    assert here.path("d").is_dir() and here.path("e").is_dir()
    for missing in ("d/1010", "d.", "d-", "e/12", "e1", "b"):
        assert not os.path.lexists(here.path(missing)), missing


SEEKING = """
    import ctypes, json, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    for call in (libc.readdir, libc.rewinddir, libc.telldir):
        call.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    libc.telldir.restype = ctypes.c_long

    def name(listing):
        entry = libc.readdir(listing)
        return ctypes.string_at(entry + 19).decode() if entry else None

    listing = libc.opendir(os.fsencode(sys.argv[1]))
    order, places = [], []
    while True:
        places.append(libc.telldir(listing))
        found = name(listing)
        order.append(found)
        if not found:
            break
    wrong = []
    for number in json.loads(sys.argv[2]):
        libc.rewinddir(listing)
        first = name(listing)
        for stream in listing, libc.opendir(os.fsencode(sys.argv[1])):
            libc.seekdir(stream, places[number])
            found = name(stream)
            if (first, found) != (order[0], order[number]):
                wrong.append((number, first, found, order[number]))
    print(json.dumps([len(order), wrong]))
"""


def test_m1_seekdir_finds_its_way_from_anywhere(mount):
    """Forward and back, over more than one reply and more than one cursor that is kept."""
    with Bucket({f"d/{i:05}": b"" for i in range(9000)}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign")
        numbers = [3, 600, 5000, 8999, 1500, 9002, 4097, 4098, 4099, 0, 513, 514, 515, 8500]
        done = run([sys.executable, "-c", textwrap.dedent(SEEKING), here.path("d"),
                    json.dumps(numbers)], timeout=30)
    assert json.loads(done.stdout) == [9003, []]


@pytest.mark.parametrize("source", ["s3://bench", "s3://bench/a"])
def test_m5_entries_have_the_inode_numbers_of_what_they_name(mount, source):
    with Bucket({"a/b/c/d": b"", "a/e": b""}) as bucket:
        here = mount(source, *bucket.options, "no_sign")
        for top, _, _ in [*os.walk(here.directory), (here.path(".pailfs"), [], [])]:
            listing = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
            entries = some_entries(listing)
            os.close(listing)
            assert len(entries) > 2
            for name, inode in entries:
                if (os.path.samefile(top, here.directory), name) != (True, ".."):
                    assert inode == os.lstat(os.path.join(top, name)).st_ino, (top, name)


def test_m1_a_listing_that_failed_goes_on_where_it_stood(mount):
    """Also when names before that place are gone: an entry's number is not the same then."""
    with Bucket({f"d/{i:04}": b"" for i in range(3000)}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=500ms",
                     "negative_ttl=500ms", "retry_timeout=1s")
        listing = os.open(here.path("d"), os.O_RDONLY | os.O_DIRECTORY)
        names = some_names(listing) + some_names(listing)
        bucket.bend = lambda handler, answer: (500, b"", {})
        time.sleep(0.7)
        with pytest.raises(OSError, match="getdents64"):
            while True:
                names += some_names(listing)
        bucket.bend = None
        assert len(names) < 2000
        for i in range(20):
            del bucket.objects[f"d/{i:04}"]
        while more := some_names(listing):
            names += more
        os.close(listing)
    assert names == [".", "..", *(f"{i:04}" for i in range(3000))]


def test_m2_a_directory_that_is_rewound_shows_what_there_is_now(mount):
    with Bucket({"d/a": b""}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=1s")
        listing = os.open(here.path("d"), os.O_RDONLY | os.O_DIRECTORY)
        assert os.listdir(listing) == ["a"]
        bucket.objects["d/b"] = b""
        time.sleep(1.2)
        assert os.listdir(listing) == ["a", "b"]
        os.close(listing)


def test_m2_a_slow_reader_of_a_directory_is_not_told_old_sizes(mount):
    """What a listing showed is believed for metadata_ttl, however late the reader comes to it."""
    with Bucket({f"d/{i:04}": b"" for i in range(500)}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign", "metadata_ttl=2s")
        with os.scandir(here.path("d")) as listing:
            for _ in range(3):
                os.stat(next(listing))  # who looks at one is told of the others as well
            bucket.objects["d/0400"] = b"longer now"
            time.sleep(2.2)
            for entry in listing:
                if entry.name == "0400":
                    break
        assert os.stat(here.path("d/0400")).st_size == len(b"longer now")


def test_m2_attributes_come_with_the_names(mount):
    """Whoever looks at each file of a directory asks for none by itself."""
    with Bucket({f"d/{i:03}": b"" for i in range(150)}) as bucket:
        here = mount("s3://bench", *bucket.options, "no_sign")
        with os.scandir(here.path("d")) as listing:
            before = here.stats()
            assert sum(os.stat(entry).st_size == 0 for entry in listing) == 150
        delta = here.stats() - before
        assert delta.sum("pailfs_fuse_requests_total", op="lookup") <= 3  # of .pailfs/stats
