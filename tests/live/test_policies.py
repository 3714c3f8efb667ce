"""The read policies: the same bytes under each, the requests that each makes, the switch."""
import mmap
import os
import random
import re
import threading
import time

import lib_data
import pytest
from lib_canned import Canned
from lib_proc import PAILCTL, run, undisturbed, wait_until

KIB, MIB = lib_data.KIB, lib_data.MIB
POLICIES = ("sequential", "ranged", "auto")


@pytest.fixture
def tools(nulls3, mount):
    """tools(OPTION...) -> a mount of the data set `tools` on nulls3."""
    s3 = nulls3.s3()
    yield lambda *options: mount("s3://bench/tools", *options, *s3.options, env=s3.environ)
    nulls3.link()


class Ranges:
    """The ranges that the server is asked for inside `with`, as (first, end)."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.log = self.server.requests()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            asked = [re.fullmatch(r"bytes=(\d+)-(\d+)", each.range)
                     for each in self.log.read() if each.method == "GET"]
            self.got = [(int(match[1]), int(match[2]) + 1) for match in asked]


def direct(path):
    """A descriptor whose reads reach FUSE as they are: the kernel adds nothing."""
    return os.open(path, os.O_RDONLY | os.O_DIRECT)


def pread(fd, offset, length):
    buffer = mmap.mmap(-1, length)  # O_DIRECT wants its memory aligned
    assert os.preadv(fd, [buffer], offset) == length
    return buffer[:]


@pytest.mark.thread
@pytest.mark.parametrize("memory", ["16m", "256m"])
@pytest.mark.parametrize("policy", POLICIES)
def test_random_model(tools, policy, memory):
    """Reads of many kinds by six threads through one inode, against the original."""
    here = tools(f"read_policy={policy}", f"memory={memory}", "connections=6")
    original = (lib_data.data("tools") / "odd.bin").read_bytes()
    size, wrong = len(original), []
    fd = os.open(here.path("odd.bin"), os.O_RDONLY)

    def read(seed):
        chance = random.Random(seed)
        for _ in range(30):
            at, length = chance.randrange(size), chance.choice((1, 700, 4096, 70000, 300000))
            step = chance.choice((length, length, 2 * length + 5, -length))
            for _ in range(chance.randrange(1, 30)):
                if not 0 <= at < size:
                    break
                if os.pread(fd, length, at) != original[at:at + length]:
                    wrong.append((policy, seed, at, length))
                at += step

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    assert not wrong
    # close() returns before the kernel has told us of it.
    wait_until(lambda: here.stats().sum("pailfs_gets_in_flight") == 0, 5, "the last GET's end")
    wait_until(lambda: here.stats().sum("pailfs_memory_bytes") == 0, 5, "all memory given back")


def test_ranged_asks_by_its_buffer(tools, nulls3):
    """Small requests load the buffer, large ones themselves, overlaps only the rest."""
    here = tools("read_policy=ranged", "range_buffer=64k")
    fd = direct(here.path("odd.bin"))
    with Ranges(nulls3) as ranges:
        for offset, length in ((MIB, 4), (MIB + 60 * KIB, 8), (2 * MIB, 64), (3 * MIB, 256),
                               (MIB - 4 * KIB, 8)):
            pread(fd, offset, length * KIB if length >= 64 else length * 1024)
    assert ranges.got == [
        (MIB, MIB + 64 * KIB),                     # the buffer
        (MIB + 64 * KIB, MIB + 128 * KIB),         # the rest of a read across its end
        (2 * MIB, 2 * MIB + 64 * KIB),             # as long as the buffer: itself
        (3 * MIB, 3 * MIB + 256 * KIB),
        (MIB - 4 * KIB, MIB),                      # backward: what is not there of the load
    ]
    os.close(fd)


def test_ranged_without_a_buffer_is_exact(tools, nulls3):
    here = tools("read_policy=ranged", "range_buffer=0")
    fd = direct(here.path("odd.bin"))
    wanted = [(at, at + 8 * KIB) for at in (5 * MIB, 5 * MIB + 8 * KIB, MIB, 90 * MIB)]
    with Ranges(nulls3) as ranges:
        for start, end in wanted:
            pread(fd, start, end - start)
    assert ranges.got == wanted
    os.close(fd)


@pytest.mark.parametrize("max_gap, most", [("64k", 8), ("0", 17)])
def test_near_ranges_become_one_get(tools, nulls3, max_gap, most):
    """Seventeen readers at once and one connection: what stands close is fetched as one."""
    here = tools("read_policy=ranged", "range_buffer=0", "connections=1", f"max_gap={max_gap}")
    fd = direct(here.path("odd.bin"))
    nulls3.link(delay="100ms")
    threads = [threading.Thread(target=pread, args=(fd, 50 * MIB + i * 20 * KIB, 4096))
               for i in range(17)]
    with Ranges(nulls3) as ranges:
        for thread in threads:
            thread.start()
            time.sleep(0.002)
        for thread in threads:
            thread.join()
    assert len(ranges.got) <= most
    if max_gap == "0":
        assert len(ranges.got) == 17
    os.close(fd)


def test_a_strided_reader_needs_few_gets(tools, nulls3):
    """The headers of an archive: what lies between them is fetched too."""
    here = tools()
    with Ranges(nulls3) as ranges, open(here.path("odd.bin"), "rb", buffering=0) as file:
        for at in range(0, 64 * MIB, 128 * KIB + 512):
            file.seek(at)
            file.read(512)
    assert len(ranges.got) <= 100  # of 509 reads


def test_streams_of_one_descriptor_keep_their_windows(nulls3, mount):
    """R5: eight readers take turns through one descriptor; nothing is fetched twice."""
    s3 = nulls3.s3()

    def attempt(_):
        here = mount("s3://bench/archive", *s3.options, env=s3.environ)
        fd = os.open(here.path("archive.zip"), os.O_RDONLY)
        share = os.fstat(fd).st_size // 8 & ~4095
        with Ranges(nulls3) as ranges:
            for at in range(0, 16 * MIB, 256 * KIB):
                for stream in range(8):
                    os.pread(fd, 256 * KIB, stream * share + at)
        os.close(fd)
        return sorted(ranges.got)

    def check(got):
        assert all(one[1] <= next_[0] for one, next_ in zip(got, got[1:])), got
        assert len(got) <= 8 * 24  # of 512 reads

    undisturbed(attempt, check)


def test_members_after_the_first_are_one_get(nulls3, mount):
    """An archive's members are of one kind: the object's own history is the plan."""
    import zipfile
    s3 = nulls3.s3()
    here = mount("s3://bench/archive", *s3.options, env=s3.environ)
    with zipfile.ZipFile(here.path("archive.zip")) as archive:
        names = random.Random(5).sample(archive.namelist(), 20)
        for name in names[:5]:
            archive.read(name)
        before = here.stats()
        for name in names[5:]:
            archive.read(name)
        cost = here.stats() - before
    assert cost.requests("get") <= 30
    assert cost.received <= 1.25 * cost.read_bytes


def test_the_switch(tools):
    """By the mount, by the path's first rule, by the file; the last wins."""
    here = tools("read_policy=sequential", "policy_rule=*.zip:ranged", "policy_rule=stored*:auto")
    policy = lambda name: os.getxattr(here.path(name), "user.pailfs.policy")  # noqa: E731
    assert policy("odd.bin") == b"sequential"
    assert policy("stored.zip") == b"ranged"
    # The kernel lets nobody set an attribute on a mount that is read-only.
    run([PAILCTL, "policy", here.path("odd.bin"), "auto"])
    assert policy("odd.bin") == b"auto"
    for name, said in (("odd.bin", b"auto: "), ("stored.zip", b"ranged: "),
                       ("array.npy", b"sequential: ")):
        run(["head", "-c", "5000000", here.path(name)], text=False, errors=None)
        assert os.getxattr(here.path(name), "user.pailfs.why").startswith(said)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_user_agent_names_the_policy(mount, policy):
    body = b"x" * 5000

    def answer(handler):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", "bytes=0-4999"))
        first, last = int(wanted[1]), min(int(wanted[2]), 4999)
        return 206, body[first:last + 1], {"Content-Range": f"bytes {first}-{last}/5000",
                                           "ETag": '"1"'}

    with Canned(answer=answer) as server:
        here = mount(f"{server.url}/file.bin", f"read_policy={policy}")
        assert here.path("file.bin").read_bytes() == body
        agents = {headers["User-Agent"] for _, _, headers in server.requests}
    assert len(agents) == 1
    assert re.fullmatch(rf"pailfs/[\d.]+ md/reader_type#{policy}", agents.pop())
