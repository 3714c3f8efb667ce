"""R2, R3: a reader sees one version of an object, whatever others do in the bucket."""
import concurrent.futures
import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import lib_data
import pytest
from lib_bucket import Bucket
from lib_proc import undisturbed

SIZE = 6 << 20


def body(seed, size=SIZE):
    return bytes(lib_data.noise(seed, size))


@pytest.fixture
def bucket(s3, request):
    name = s3.bucket_of("versions", {})
    yield s3, name
    for page in s3.client().get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            s3.client().delete_object(Bucket=name, Key=entry["Key"])


def put(bucket, key, data):
    s3, name = bucket
    s3.client().put_object(Bucket=name, Key=key, Body=data)


def mounted(mount, bucket, *options):
    s3, name = bucket
    return mount(f"s3://{name}", *s3.options, "read_policy=ranged", "range_buffer=0", *options,
                 env=s3.environ)


def test_r2_opened_but_unread_moves_on_to_the_new_version(mount, bucket):
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    fd = os.open(m.path("k"), os.O_RDONLY)
    put(bucket, "k", body(2, SIZE + 12345))
    assert os.pread(fd, 4096, 0) == body(2)[:4096]
    assert os.fstat(fd).st_size == SIZE + 12345
    data = b"".join(os.pread(fd, 1 << 20, i << 20) for i in range(7))
    assert data == body(2, SIZE + 12345)
    os.close(fd)
    assert m.stats().requests("head") == 0


def looked_up_again(mount, objects, read_before):
    """(mount, descriptor) of k, of which somebody else has found another version since."""
    with_ttl = ("no_sign", "metadata_ttl=100ms", "read_policy=ranged", "range_buffer=0")
    here = mount("s3://bench", *objects.options, *with_ttl)
    fd = os.open(here.path("k"), os.O_RDONLY)
    assert os.pread(fd, read_before, 0) == body(1)[:read_before]
    objects.objects["k"] = body(2, SIZE + 1)
    time.sleep(0.3)
    assert os.stat(here.path("k")).st_size == SIZE + 1
    return here, fd


def test_r2_opened_but_unread_moves_on_though_others_know_the_new_version(mount):
    with Bucket({"k": body(1)}) as objects:
        here, fd = looked_up_again(mount, objects, 0)
        assert os.pread(fd, 4096, 0) == body(2)[:4096]
        assert os.fstat(fd).st_size == SIZE + 1
        os.close(fd)
        assert "replaced" not in here.log


def test_f1_what_became_of_a_deleted_object_is_asked_once(mount):
    """Though the kernel reads the same page again at once."""
    with Bucket({"k": body(1)}) as objects:
        here = mount("s3://bench", *objects.options, "no_sign")
        fd = os.open(here.path("k"), os.O_RDONLY)
        del objects.objects["k"]
        before = here.stats()
        with pytest.raises(OSError) as failure:
            os.pread(fd, 4096, SIZE // 2)
        assert failure.value.errno == errno.ESTALE
        asked = here.stats() - before
        os.close(fd)
        assert asked.sum("pailfs_fuse_requests_total", op="read") > 1
        assert asked.requests("list") == 1


def test_r2_a_stale_reader_is_told_of_in_the_log_though_others_know_the_new_version(mount):
    with Bucket({"k": body(1)}) as objects:
        here, fd = looked_up_again(mount, objects, 4096)
        for offset in (SIZE // 2, SIZE // 4):
            with pytest.raises(OSError) as failure:
                os.pread(fd, 4096, offset)
            assert failure.value.errno == errno.ESTALE
        os.close(fd)
        assert here.log.count("k: the object was replaced or deleted") == 1


@pytest.mark.parametrize("old, new, step", [
    (100, 50, 4096), (100, 0, 4096), (SIZE, 50, 131072), (SIZE, 0, 131072),
    (SIZE, 100_000, 131072), (1 << 20, (600 << 10) + 5, 1 << 20),
    (SIZE, (1 << 20) + 17, 1 << 20), (SIZE, (2 << 20) + 5, 1 << 20)])
def test_r3_a_version_that_is_shorter_ends_where_it_does(mount, bucket, old, new, step):
    """Whatever the kernel takes the size for: no zeros stand for what is not there any more."""
    put(bucket, "k", body(1, old))
    m = mounted(mount, bucket)
    with open(m.path("k"), "rb", buffering=0) as file:
        put(bucket, "k", body(2, new))
        parts = iter(lambda: file.read(step), b"")
        assert b"".join(parts) == body(2, new)
        assert os.fstat(file.fileno()).st_size == new
    assert os.stat(m.path("k")).st_size == new


def test_r3_a_shorter_version_met_while_attributes_are_asked_for(mount):
    """What the kernel is told of a file while a READ is under way makes it leave aside the size
    that a short reply says."""
    asked, go_on = threading.Event(), threading.Event()

    def late(handler, answer):
        if "/d/k" in handler.path:
            asked.set()
            go_on.wait(30)
        return answer()

    with Bucket({"d/k": body(1, 100_000)}) as bucket:
        m = mount("s3://bench", *bucket.options, "no_sign")
        with open(m.path("d/k"), "rb", buffering=0) as file:
            bucket.objects["d/k"] = body(2, 50)
            bucket.bend = late
            with concurrent.futures.ThreadPoolExecutor() as threads:
                data = threads.submit(os.pread, file.fileno(), 131072, 0)
                assert asked.wait(30)
                forced = ctypes.create_string_buffer(256)  # AT_EMPTY_PATH and AT_STATX_FORCE_SYNC
                assert ctypes.CDLL(None).statx(file.fileno(), b"", 0x1000 | 0x2000, 0x7ff, forced) == 0
                go_on.set()
                assert data.result() == body(2, 50)


def test_r3_behind_the_end_of_a_shorter_version_is_no_byte(mount, bucket):
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    with open(m.path("k"), "rb", buffering=0) as file:
        put(bucket, "k", body(2, 1 << 20))
        with pytest.raises(OSError) as failed:
            os.pread(file.fileno(), 4096, SIZE - 4096)
        assert failed.value.errno in (errno.ESTALE, errno.EIO)
        assert b"".join(iter(lambda: file.read(1 << 20), b"")) == body(2, 1 << 20)
    # Whoever looks at it now sees what it is, in attributes and bytes.
    assert os.stat(m.path("k")).st_size == 1 << 20
    with open(m.path("k"), "rb") as again:
        assert again.read() == body(2, 1 << 20)


def test_r2_a_replaced_object_is_never_mixed(mount, bucket):
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    fd = os.open(m.path("k"), os.O_RDONLY)
    assert os.pread(fd, 4096, 0) == body(1)[:4096]
    put(bucket, "k", body(2))
    with pytest.raises(OSError) as failed:
        os.pread(fd, 4096, SIZE - 8192)
    assert failed.value.errno in (errno.ESTALE, errno.EIO)
    # What was read before stays readable: it is in the page cache.
    assert os.pread(fd, 4096, 0) == body(1)[:4096]
    # A new open gets the new version, and the old descriptor never does.
    with open(m.path("k"), "rb") as again:
        assert again.read() == body(2)
    with pytest.raises(OSError):
        os.pread(fd, 4096, SIZE - 8192)
    os.close(fd)
    assert m.stats().requests("head") == 0
    assert m.log.count("replaced or deleted") == 1


def test_r2_pages_of_an_earlier_open_are_never_mixed(mount, bucket):
    """What the kernel kept of a closed file is of its version; a new open adds no other bytes."""
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    with open(m.path("k"), "rb", buffering=0) as file:
        assert file.read(4096) == body(1)[:4096]
    put(bucket, "k", body(2))
    fd = os.open(m.path("k"), os.O_RDONLY)
    try:
        seen = [os.pread(fd, 4096, at) for at in (0, SIZE - 8192)]
        assert seen in [[whole[:4096], whole[SIZE - 8192:SIZE - 4096]]
                        for whole in (body(1), body(2))]
    except OSError as error:
        assert error.errno in (errno.ESTALE, errno.EIO)
    os.close(fd)
    assert open(m.path("k"), "rb").read() == body(2)


def test_r2_a_deleted_object_is_stale_not_short(mount, bucket):
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    fd = os.open(m.path("k"), os.O_RDONLY)
    assert os.pread(fd, 4096, 0) == body(1)[:4096]
    s3, name = bucket
    s3.client().delete_object(Bucket=name, Key="k")
    with pytest.raises(OSError) as failed:
        os.pread(fd, 4096, SIZE - 8192)
    assert failed.value.errno in (errno.ESTALE, errno.EIO)
    os.close(fd)


@pytest.fixture
def versioned(s3):
    """A bucket that keeps versions."""
    name = s3.bucket_of("versioned", {})
    s3.client().put_bucket_versioning(Bucket=name,
                                      VersioningConfiguration={"Status": "Enabled"})
    yield s3, name
    for page in s3.client().get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.client().delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_r2_readers_go_on_where_the_bucket_keeps_versions(mount, versioned, change):
    """An open file stays what it was, whatever stands under its name; a new open sees that."""
    s3, name = versioned
    put(versioned, "k", body(1))
    m = mounted(mount, versioned)
    fd = os.open(m.path("k"), os.O_RDONLY)
    assert os.pread(fd, 4096, 0) == body(1)[:4096]
    if change == "replaced":
        put(versioned, "k", body(2, SIZE + 12345))
    else:
        s3.client().delete_object(Bucket=name, Key="k")
    assert os.pread(fd, 4096, SIZE - 8192) == body(1)[SIZE - 8192:SIZE - 4096]
    if change == "replaced":
        with open(m.path("k"), "rb") as again:
            assert again.read() == body(2, SIZE + 12345)
    else:
        with pytest.raises(FileNotFoundError):
            open(m.path("k"), "rb")
    assert b"".join(os.pread(fd, 1 << 20, i << 20) for i in range(6)) == body(1)
    assert os.fstat(fd).st_size == SIZE
    os.close(fd)
    assert m.stats().requests("head") == 0
    assert m.log.count("go on with the version") == 1 and "ESTALE" not in m.log


def test_the_versions_id_shows_once_it_is_known(mount, versioned):
    """No listing tells it, the first GET does; nothing is asked just for that."""
    s3, name = versioned
    put(versioned, "k", body(1))
    m = mounted(mount, versioned)
    assert m.path("k").read_bytes() == body(1)
    version = s3.client().head_object(Bucket=name, Key="k")["VersionId"]
    assert os.getxattr(m.path("k"), "user.pailfs.version") == version.encode()
    assert m.stats().requests("head") == 0


def test_r2_a_version_that_was_removed_is_stale(mount, versioned):
    """Also where versions are kept, nobody need keep all of them."""
    s3, name = versioned
    put(versioned, "k", body(1))
    first = s3.client().head_object(Bucket=name, Key="k")["VersionId"]
    m = mounted(mount, versioned)
    fd = os.open(m.path("k"), os.O_RDONLY)
    assert os.pread(fd, 4096, 0) == body(1)[:4096]
    put(versioned, "k", body(2))
    s3.client().delete_object(Bucket=name, Key="k", VersionId=first)
    with pytest.raises(OSError) as failed:
        os.pread(fd, 4096, SIZE - 8192)
    assert failed.value.errno in (errno.ESTALE, errno.EIO)
    os.close(fd)
    assert open(m.path("k"), "rb").read() == body(2)


def test_m3_a_fresh_open_sees_a_fresh_object_without_a_request_of_its_own(mount, bucket):
    put(bucket, "k", b"old old old")
    m = mounted(mount, bucket)
    assert open(m.path("k"), "rb").read() == b"old old old"
    put(bucket, "k", b"new")
    before = m.stats()
    # Within metadata_ttl the old version is believed; pages of it may be in the kernel.
    assert open(m.path("k"), "rb").read() in (b"old old old", b"new")
    time.sleep(10.5)
    assert open(m.path("k"), "rb").read() == b"new"
    delta = m.stats() - before
    assert delta.requests("head") == 0
    assert delta.requests("get") <= 2 and delta.requests("list") == 1


def test_r2_reopening_the_same_version_reads_nothing_again(mount, bucket):
    put(bucket, "k", body(3))
    m = mounted(mount, bucket, "metadata_ttl=1s")

    def attempt(_):
        with open(m.path("k"), "rb") as f:
            assert f.read() == body(3)
        time.sleep(1.2)
        before = m.stats()
        with open(m.path("k"), "rb") as f:
            assert f.read() == body(3)
        return m.stats() - before

    def check(delta):
        assert delta.requests("get") == 0 and delta.requests("list") == 1

    undisturbed(attempt, check)


def test_m6_the_same_bytes_written_again_have_their_new_time(mount, bucket):
    """It is the same version, of which the kernel keeps all pages, with another time."""
    s3, name = bucket
    put(bucket, "k", body(3))
    m = mounted(mount, bucket, "metadata_ttl=1s")

    def attempt(_):
        with open(m.path("k"), "rb") as file:
            assert file.read() == body(3)
            old = os.fstat(file.fileno()).st_mtime
            time.sleep(1.2)
            put(bucket, "k", body(3))
            new = s3.client().head_object(Bucket=name, Key="k")["LastModified"].timestamp()
            before = m.stats()
            assert old < new
            assert int(os.stat(m.path("k")).st_mtime) == new
            with open(m.path("k"), "rb") as again:
                assert again.read() == body(3)
            assert file.seek(0) == 0 and file.read() == body(3)
        return m.stats() - before

    def check(delta):
        assert delta.requests("get") == 0

    undisturbed(attempt, check)


def test_m5_inode_numbers_are_the_same_on_every_mount(mount, bucket):
    put(bucket, "dir/k", b"x")
    seen = []
    for _ in range(2):
        m = mounted(mount, bucket)
        seen.append((os.stat(m.path("dir/k")).st_ino, os.stat(m.path("dir")).st_ino))
        m.unmount()
    assert seen[0] == seen[1]


def test_r2_a_mapping_of_a_replaced_object_gets_sigbus(mount, bucket):
    put(bucket, "k", body(1))
    m = mounted(mount, bucket)
    script = "import mmap, sys\n" \
             "f = open(sys.argv[1], 'rb')\n" \
             "data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n" \
             "data[0]; print('mapped', flush=True); sys.stdin.read(); print(data[5 << 20])\n"
    with subprocess.Popen([sys.executable, "-c", script, m.path("k")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == b"mapped\n"
        put(bucket, "k", body(2))
        reader.stdin.close()
        assert reader.stdout.read() == b""
        assert reader.wait(10) == -signal.SIGBUS
