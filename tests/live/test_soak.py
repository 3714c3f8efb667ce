"""R2 as a soak: eight processes read at random while others replace the objects in the bucket.
Nobody ever sees bytes of two versions under one descriptor, a version that was replaced long
ago, or an error other than ESTALE.

PAILFS_SOAK says for how many seconds; the long suite takes an hour.

Each 16 bytes of an object say which object, which version and which place they are of, so that
whoever reads them knows what all the others must be.
"""
import errno
import multiprocessing
import os
import random
import time
import traceback

import lib_data
import numpy as np
import pytest
from lib_proc import PAILFS, wait_until

SECONDS = int(os.environ.get("PAILFS_SOAK", 20))
READERS, OBJECTS, STAMP = 8, 12, 16
TTL, SLACK = 1, 4  # seconds; a put is seen by those who open later than both together


def size_of(key, version):
    return 300000 + (key * 7919 + version * 104729) % (3 * lib_data.MIB)


def body(key, version, first=0, last=None):
    """The bytes [first, last) of a version; fewer at its end."""
    last = min(size_of(key, version) if last is None else last, size_of(key, version))
    if first >= last:
        return b""
    start, end = first // STAMP, -(-last // STAMP)
    stamps = np.empty((end - start, 2), np.uint64)
    stamps[:, 0] = (key << 32) + version
    stamps[:, 1] = np.arange(start, end, dtype=np.uint64)
    return stamps.tobytes()[first - start * STAMP:last - start * STAMP]


def version_in(data, first):
    """The version that the first whole stamp tells, or None."""
    ahead = -first % STAMP
    if len(data) < ahead + STAMP:
        return None
    return int.from_bytes(data[ahead:ahead + 8], "little") & 0xffffffff


class Shared:
    """What writer and readers tell each other."""

    def __init__(self):
        self.stop = multiprocessing.Event()
        self.begun = multiprocessing.Array("q", OBJECTS)      # the newest version on its way
        self.finished = multiprocessing.Array("q", OBJECTS)   # the newest that has arrived
        self.finished_at = multiprocessing.Array("d", OBJECTS)
        self.failures = multiprocessing.Queue()
        self.reads = multiprocessing.Value("q")
        self.stale = multiprocessing.Value("q")


def pread(file, length, place):
    """All of it, or up to the end. Where the kernel has the first pages and cannot get the
    others, it gives those, and the error to who asks on."""
    parts = []
    while length:
        parts.append(os.pread(file, length, place))
        if not parts[-1]:
            break
        length, place = length - len(parts[-1]), place + len(parts[-1])
    return b"".join(parts)


def read_some(rand, path, key, shared):
    """One descriptor, a dozen reads in order or not: all of them of one version."""
    opened = time.monotonic()
    with shared.finished.get_lock():
        arrived, arrived_at = shared.finished[key], shared.finished_at[key]
    oldest = arrived if opened - arrived_at > TTL + SLACK else 0
    file = os.open(path, os.O_RDONLY)
    seen, count = None, 0
    try:
        place, in_order = 0, rand.random() < 0.4
        for _ in range(rand.randrange(1, 16)):
            length = rand.choice((1, 100, 4096, 20000, 131072, lib_data.MIB))
            if not in_order:
                place = rand.randrange(4 * lib_data.MIB)
            data = pread(file, length, place)
            count += 1
            told = version_in(data, place)
            if seen is None:
                seen = told
            if told is not None:
                assert told <= shared.begun[key], f"{key}: version {told} of the future"
                assert told >= oldest, f"{key}: version {told}, {oldest} arrived long ago"
            if seen is not None:
                want = body(key, seen, place, place + length)
                assert data == want, (
                    f"{key}: {length} bytes at {place} are not all of version {seen}: "
                    f"{len(data)} bytes that speak of {told}, {len(want)} expected")
            place += length
    finally:
        os.close(file)
        with shared.reads.get_lock():
            shared.reads.value += count


def reader(directory, seed, shared):
    rand = random.Random(seed)
    while not shared.stop.is_set():
        key = rand.randrange(OBJECTS)
        try:
            read_some(rand, os.path.join(directory, f"object-{key}"), key, shared)
        except OSError as error:
            if error.errno != errno.ESTALE:
                shared.failures.put(f"object-{key}: {error}")
                return
            with shared.stale.get_lock():
                shared.stale.value += 1
        except BaseException:  # an assertion; reported by the parent
            shared.failures.put(traceback.format_exc())
            return


def put(client, bucket, key, version, shared):
    shared.begun[key] = version
    client.put_object(Bucket=bucket, Key=f"object-{key}", Body=body(key, version))
    with shared.finished.get_lock():
        shared.finished[key], shared.finished_at[key] = version, time.monotonic()


@pytest.mark.limit(SECONDS + 100)
def test_r2_soak_of_replaced_objects(ceph, mount):
    s3, shared, rand = ceph.s3(), Shared(), random.Random(5)
    bucket, client = s3.bucket_of("soak", {}), s3.client()
    for key in range(OBJECTS):
        put(client, bucket, key, 1, shared)
    here = mount(f"s3://{bucket}", *s3.options, f"metadata_ttl={TTL}s", "memory=64m",
                 env=s3.environ)
    fork = multiprocessing.get_context("fork")
    readers = [fork.Process(target=reader, args=(str(here.directory), seed, shared), daemon=True)
               for seed in range(READERS)]
    end = time.monotonic() + SECONDS
    for each in readers:
        each.start()
    try:
        while time.monotonic() < end and shared.failures.empty():
            key = rand.randrange(OBJECTS)
            put(client, bucket, key, shared.begun[key] + 1, shared)
            time.sleep(rand.random() * 0.2)
    finally:
        shared.stop.set()
        for each in readers:
            each.join(30)
    failures = [] if shared.failures.empty() else [shared.failures.get()]
    assert not failures, failures[0]
    assert all(each.exitcode == 0 for each in readers)
    print(f"{shared.reads.value} reads, {shared.stale.value} times ESTALE, "
          f"{sum(shared.begun[:]) - OBJECTS} replacements")
    assert shared.reads.value > 10 * SECONDS and sum(shared.begun[:]) > OBJECTS + SECONDS // 4

    wait_until(lambda: here.stats().sum("pailfs_gets_in_flight") == 0, 10, "end of all GETs")
    stats = here.stats()
    assert stats.sum("pailfs_memory_bytes", lane="demand") == 0
    assert stats.sum("pailfs_memory_bytes", lane="speculation") == 0
    assert stats.requests("get", "error") <= shared.stale.value * 3  # 412s, and nothing else
    if "build-" not in PAILFS:  # no sanitizer's shadow
        assert here.peak_memory() < (64 + 48) * lib_data.MIB
