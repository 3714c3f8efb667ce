"""What reading costs: requests and bytes, by .pailfs/stats and by the server's own log."""
import sys
import textwrap
import time

import lib_data
import pytest
from lib_proc import run, undisturbed, wait_until

KIB = lib_data.KIB
NAMELIST = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))"


class Watch:
    """The cost of what happens inside `with`, seen from both sides."""

    def __init__(self, mount, server):
        self.mount, self.server = mount, server

    def __enter__(self):
        self.before = self.mount.stats()
        self.log = self.server.requests()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            # What the kernel read ahead may still be under way when the reader has ended.
            wait_until(lambda: self.mount.stats().sum("pailfs_gets_in_flight") == 0, 10,
                       "end of all GETs")
            self.stats = self.mount.stats() - self.before
            self.seen = []
            # The two accounts are of one mount and must agree, once the server has written its own.
            end = time.monotonic() + 10
            while len(self.gets) < self.stats.requests("get") and time.monotonic() < end:
                self.seen = self.log.read()
            self.seen = self.log.read()
            assert self.stats.requests("get") == len(self.gets), self.seen
            assert self.stats.requests("head") == self.heads, self.seen
            assert self.stats.requests("list") == self.lists, self.seen
            for op in ("get", "head", "list"):
                assert self.stats.requests(op, "retry") == self.stats.requests(op, "error") == 0

    @property
    def gets(self):
        return [request for request in self.seen if request.method == "GET"]

    @property
    def heads(self):
        return sum(request.method in ("HEAD", "HeadBucket") for request in self.seen)

    @property
    def lists(self):
        return sum(request.method.startswith("List") for request in self.seen)

    @property
    def sent(self):
        """Body bytes of objects that the server sent."""
        return sum(request.sent for request in self.gets)


@pytest.fixture(params=["s3", "http"])
def archive(request, mount):
    """A cold mount of the 1 GiB archive: (mount, server, path). Mounting asks once whether it is
    there, and nothing from then to the test's end by HEAD."""
    lib_data.data("archive")
    server = request.getfixturevalue("nulls3" if request.param == "s3" else "nginx")
    log = server.requests()
    if request.param == "s3":
        here = mount("s3://bench/archive", *server.s3().options, env=server.s3().environ)
    else:
        here = mount(f"{server.endpoint}/data/archive/archive.zip")
    (first,) = log.read()
    assert (first.method, first.sent <= 1) in {("ListV2", False), ("GET", True)}, first
    yield here, server, here.path("archive.zip")
    assert not [request for request in log.read() if request.method.startswith("H")]


def frugal(watch):
    """Received at most 1.25 times what FUSE asked for, plus 512 KiB, by both accounts."""
    limit = 1.25 * watch.stats.read_bytes + 512 * KIB
    assert watch.stats.received <= limit and watch.sent <= limit, (
        watch.stats.read_bytes, watch.stats.received, watch.seen)
    assert watch.heads == 0, watch.seen


LISTERS = {
    "unzip": lambda path: run(["unzip", "-l", path]).stdout.splitlines()[-1].split()[1],
    "zipfile": lambda path: run([sys.executable, "-c", NAMELIST, path]).stdout.strip(),
}


@pytest.mark.parametrize("tool", LISTERS)
def test_listing_an_archive_is_one_get(archive, tool):
    mount, server, path = archive
    with Watch(mount, server) as watch:
        assert LISTERS[tool](path) == "2000"
    assert len(watch.gets) == 1, watch.seen
    frugal(watch)


@pytest.mark.parametrize("tool", ["unzip", "zipfile"])
def test_one_more_member_is_at_most_two_gets(archive, tool):
    mount, server, path = archive

    def attempt(i):
        member = lib_data.member_name(1234 + i)
        LISTERS[tool](path)
        with Watch(mount, server) as watch:
            if tool == "unzip":
                body = run(["unzip", "-p", path, member], text=False, errors=None).stdout
            else:
                script = "import sys, zipfile\n" \
                         "sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))"
                body = run([sys.executable, "-c", script, path, member],
                           text=False, errors=None).stdout
        assert body == lib_data.noise(1234 + i, 512 * KIB)
        return watch

    def check(watch):
        assert len(watch.gets) <= 2, watch.seen
        frugal(watch)

    undisturbed(attempt, check)


def test_a_cold_member_is_frugal(archive):
    """unzip -p in a mount that has seen nothing: the directory and the member."""
    mount, server, path = archive
    with Watch(mount, server) as watch:
        body = run(["unzip", "-p", path, lib_data.member_name(77)], text=False, errors=None).stdout
    assert body == lib_data.noise(77, 512 * KIB)
    assert len(watch.gets) <= 3, watch.seen
    frugal(watch)


def test_listing_again_costs_nothing(archive):
    mount, server, path = archive

    def attempt(_):
        LISTERS["unzip"](path)
        with Watch(mount, server) as watch:
            LISTERS["zipfile"](path)
        return watch

    def check(watch):
        assert not watch.seen

    undisturbed(attempt, check)


def test_ls_of_5000_names_is_five_lists(nulls3, mount):
    """The first page of the root is what shows at the start that the bucket is there."""
    lib_data.data("flat")
    log = nulls3.requests()
    here = mount("s3://bench/flat/", *nulls3.s3().options, env=nulls3.s3().environ)
    listed = run(["ls", "-l", here.directory]).stdout.splitlines()
    assert len(listed) == 5001
    assert [request.method for request in log.read()] == ["ListV2"] * 5
    assert here.stats().requests("list") == 5
    with Watch(here, nulls3) as watch:  # believed for metadata_ttl
        run(["ls", "-l", here.directory])
    assert not watch.seen


def test_find_lists_the_tree_and_not_each_directory(nulls3, mount):
    """10,000 objects in 100 prefixes: 10 pages of a flat LIST, where each prefix is one."""
    here = mount("s3://bench/small/", *nulls3.s3().options, env=nulls3.s3().environ)
    with Watch(here, nulls3) as watch:
        found = run(["find", here.directory, "-type", "f", "-size", "-9"]).stdout.splitlines()
    assert len(found) == lib_data.SMALL_FILES
    assert watch.lists <= 20 and watch.heads == 0 and not watch.gets, watch.seen


def test_a_cold_cat_is_one_list_and_one_get(nulls3, mount):
    """A directory of 100 names; nothing asks by HEAD for what the LIST has told."""
    here = mount("s3://bench/small", *nulls3.s3().options, env=nulls3.s3().environ)
    name = "042/file-04217.bin"
    with Watch(here, nulls3) as watch:
        run(["cmp", here.path(name), lib_data.data("small") / name])
    # One LIST for each of the two directories on the way.
    assert watch.lists <= 2 and watch.heads == 0 and len(watch.gets) == 1, watch.seen


RANDOM = """
    import os, random, sys
    size, count = int(sys.argv[2]), int(sys.argv[3])
    rand, file = random.Random(11), os.open(sys.argv[1], os.O_RDONLY)
    end = os.fstat(file).st_size // size
    for _ in range(count):
        assert len(os.pread(file, size, rand.randrange(end) * size)) == size
"""


@pytest.mark.parametrize("size, count", [(4 * KIB, 400), (256 * KIB, 100)])
def test_a_random_reader_receives_what_it_asked_for(archive, size, count):
    mount, server, path = archive
    with Watch(mount, server) as watch:
        run([sys.executable, "-c", textwrap.dedent(RANDOM), path, str(size), str(count)])
    assert watch.stats.received <= 1.05 * watch.stats.read_bytes, (
        watch.stats.read_bytes, watch.stats.received)
    assert watch.sent <= 1.05 * watch.stats.read_bytes
    # The kernel itself adds to scattered 256 KiB reads, by 1.37; to 4 KiB ones nothing.
    assert watch.stats.read_bytes <= (1.0 if size == 4 * KIB else 1.6) * size * count
    assert watch.heads == 0


def test_a_sequential_reader_receives_each_byte_once(archive):
    mount, server, path = archive
    with Watch(mount, server) as watch:
        run(["cmp", path, lib_data.data("archive") / "archive.zip"])
    size = path.stat().st_size
    assert size <= watch.sent <= 1.02 * size and watch.stats.received == watch.sent


def test_memory_stays_within_its_limit(nulls3, mount):
    """Four sequential readers and memory=64m: the process stays near it."""
    here = mount("s3://bench/tools", "memory=64m", *nulls3.s3().options, env=nulls3.s3().environ)
    names = ["odd.bin", "stored.zip", "array.npy", "chunks.h5"]
    run(["sh", "-c", 'for f; do cat "$f" >/dev/null & done; wait', "sh",
         *(here.path(name) for name in names)])
    stats = here.stats()
    used = sum(stats.sum("pailfs_memory_bytes", lane=lane)
               for lane in ("demand", "speculation", "cache"))
    assert used <= 64 * lib_data.MIB
    # Code, stacks and libraries come on top; a sanitizer's shadow would drown them.
    assert here.peak_memory() <= (64 + 48) * lib_data.MIB
