"""Ordinary tools read buckets and web servers, unmodified, and what they read compares
equal with the originals."""
import errno
import hashlib
import os
import subprocess
import sys
import textwrap

import lib_data
import pytest
from lib_mount import Mount
from lib_proc import run
from lib_servers import Ceph


def sha256(path):
    """Of a local original."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def python(script, *arguments, timeout=60):
    """Runs a script in a Python of its own: a page fault that hangs must not stop us."""
    return run([sys.executable, "-c", textwrap.dedent(script), *arguments], timeout=timeout).stdout


def original(name):
    return lib_data.data("tools") / name


def tree(root):
    """{relative path: size} of all files below, as `find` sees them; names are bytes."""
    out = subprocess.run(["find", ".", "-type", "f", "-printf", "%s %P\\0"], cwd=root,
                         stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return {name: int(size) for size, name in
            (entry.split(b" ", 1) for entry in out.split(b"\0") if entry)}


# A place: each of radosgw over http and https, versitygw, nginx over http and https.

def test_cat(place):
    out = subprocess.run(["cat", place.path("odd.bin")], stdout=subprocess.PIPE,
                         check=True, timeout=60).stdout
    assert hashlib.sha256(out).hexdigest() == sha256(original("odd.bin"))


@pytest.mark.parametrize("name", ["odd.bin", "one", "empty", "text/lines.txt"])
def test_cp(place, tmp_path, name):
    run(["cp", place.path(name), tmp_path / "copy"])
    run(["cmp", original(name), tmp_path / "copy"])


def test_sha256sum(place):
    assert run(["sha256sum", place.path("stored.zip")]).stdout.split()[0].lstrip("\\") \
        == sha256(original("stored.zip"))


def test_ls_shows_size_and_type(place):
    listed = run(["ls", "-l", place.path("odd.bin")]).stdout.split()
    assert listed[0].startswith("-") and int(listed[4]) == original("odd.bin").stat().st_size


def test_head_and_tail(place):
    text = original("text/lines.txt").read_text().splitlines(True)
    path = place.path("text/lines.txt")
    assert run(["head", "-n", "3", path]).stdout == "".join(text[:3])
    assert run(["tail", "-n", "3", path]).stdout == "".join(text[-3:])
    assert run(["grep", "-c", "", path]).stdout == f"{len(text)}\n"


@pytest.mark.parametrize("name", ["stored.zip", "deflated.zip"])
def test_unzip(place, tmp_path, name):
    path = place.path(name)
    listed = run(["unzip", "-l", path]).stdout.splitlines()
    assert listed[1:] == run(["unzip", "-l", original(name)]).stdout.splitlines()[1:]
    run(["unzip", "-tq", path])
    member = lib_data.member_name(17)
    for source, target in ((path, "ours"), (original(name), "theirs")):
        run(["unzip", "-q", source, member, "-d", tmp_path / target])
    run(["cmp", tmp_path / "ours" / member, tmp_path / "theirs" / member])


def test_zipfile(place):
    script = """
        import hashlib, sys, zipfile
        with zipfile.ZipFile(sys.argv[1]) as archive:
            print(len(archive.namelist()))
            for name in archive.namelist()[::-7]:
                print(name, hashlib.sha256(archive.read(name)).hexdigest())
    """
    assert python(script, place.path("stored.zip")) == python(script, original("stored.zip"))


def test_np_load(place):
    script = """
        import hashlib, sys
        import numpy
        whole = numpy.load(sys.argv[1])
        mapped = numpy.load(sys.argv[1], mmap_mode="r")
        rows = numpy.random.Generator(numpy.random.SFC64(3)).integers(0, len(whole), 50)
        assert (mapped[rows] == whole[rows]).all()
        print(whole.shape, whole.dtype, hashlib.sha256(whole.tobytes()).hexdigest())
    """
    assert python(script, place.path("array.npy")) == python(script, original("array.npy"))


def test_h5py(place):
    script = """
        import hashlib, sys
        import h5py
        with h5py.File(sys.argv[1], "r") as file:
            print(file.attrs["title"], file["plain"].shape)
            print(hashlib.sha256(file["plain"][1000:1100, 17:99].tobytes()).hexdigest())
            print(hashlib.sha256(file["packed"][...].tobytes()).hexdigest())
            print(hashlib.sha256(file["plain"][...].tobytes()).hexdigest())
    """
    assert python(script, place.path("chunks.h5")) == python(script, original("chunks.h5"))


def test_tar(place):
    name = "shards/shard-002.tar"
    assert run(["tar", "tvf", place.path(name)]).stdout \
        == run(["tar", "tvf", original(name)]).stdout
    run(["tar", "xOf", place.path(name), "000150.bin"], text=False, errors=None)


def test_safetensors_by_mmap(place):
    """What safetensors' safe_open does: map the file, read the header, slice tensors."""
    script = """
        import hashlib, json, mmap, sys
        with open(sys.argv[1], "rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        size = int.from_bytes(view[:8], "little")
        header = json.loads(bytes(view[8:8 + size]))
        for name in sorted(header, reverse=True):
            begin, end = header[name]["data_offsets"]
            tensor = view[8 + size + begin:8 + size + end]
            print(name, len(tensor), hashlib.sha256(tensor).hexdigest())
    """
    name = "model.safetensors"
    assert python(script, place.path(name)) == python(script, original(name))


def test_random_reads(place):
    """pread at random, also across and past the end; lseek; sendfile; copy_file_range."""
    script = """
        import os, random, sys
        mine, theirs = (os.open(path, os.O_RDONLY) for path in sys.argv[1:3])
        size = os.fstat(theirs).st_size
        assert os.fstat(mine).st_size == size
        rand = random.Random(5)
        for _ in range(300):
            offset = rand.randrange(0, size + 5000)
            count = rand.choice((0, 1, 100, 4096, 65536, 300000, 2000000))
            assert os.pread(mine, count, offset) == os.pread(theirs, count, offset), (offset, count)
        for end in (size, size + 1, size + 4096, 1 << 40):
            assert os.pread(mine, 4096, end) == b""
        assert os.pread(mine, 100, size - 10) == os.pread(theirs, 100, size - 10)
        assert os.lseek(mine, -7, os.SEEK_END) == size - 7
        assert os.read(mine, 100) == os.pread(theirs, 100, size - 7)
        assert os.lseek(mine, 0, os.SEEK_HOLE) == size
        assert os.lseek(mine, 5, os.SEEK_DATA) == 5
        out = os.memfd_create("out")
        os.lseek(mine, 12345, os.SEEK_SET)
        assert os.sendfile(out, mine, 1000000, 50001) == 50001
        assert os.pread(out, 60000, 0) == os.pread(theirs, 50001, 1000000)
        print("equal")
    """
    assert python(script, place.path("odd.bin"), original("odd.bin")) == "equal\n"


def test_nothing_can_be_written(place):
    """Neither a file nor, in a bucket, what is not there yet."""
    one = place.path("one")
    for action in (lambda: open(one, "r+b"), lambda: os.truncate(one, 0), lambda: os.unlink(one),
                   lambda: open(one.with_name("new"), "xb"), lambda: os.mkdir(one.with_name("new")),
                   lambda: os.rename(one, one.with_name("new")), lambda: os.utime(one)):
        with pytest.raises(OSError) as failure:
            action()
        assert failure.value.errno == errno.EROFS
    assert one.read_bytes() == original("one").read_bytes()


# Trees: what only a listing shows.

def test_find_sees_the_whole_tree(place):
    if not place.has_tree:
        assert os.listdir(place.path("one").parent) == ["one"]
        return
    root = place.path("")
    assert tree(root) == tree(original(""))
    assert sorted(os.listdir(root)) == sorted(os.listdir(original("")))
    assert run(["diff", "-r", original("samples"), root / "samples"]).stdout == ""


LOADER = """
    import hashlib, os, sys
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Files(Dataset):
        def __init__(self, root):
            self.paths = sorted(os.path.join(where, name)
                                for where, _, names in os.walk(root) for name in names)
        def __len__(self):
            return len(self.paths)
        def __getitem__(self, i):
            with open(self.paths[i], "rb") as file:
                return torch.tensor(list(hashlib.sha256(file.read()).digest()), dtype=torch.uint8)

    torch.manual_seed(1)
    loader = DataLoader(Files(sys.argv[1]), batch_size=16, shuffle=True, num_workers=2)
    print(len(loader.dataset))
    for epoch in range(2):
        for batch in loader:
            print(hashlib.sha256(batch.numpy().tobytes()).hexdigest())
"""


def test_torch_data_loader(place):
    """Two workers, shuffled, two epochs over 500 files."""
    if not place.has_tree:
        array_loader(place)
        return
    mine = python(LOADER, place.path("samples"), timeout=100)
    assert mine == python(LOADER, original("samples")) and mine.startswith("500\n")


def array_loader(place):
    """A web server's file: the workers share one mapped array."""
    script = """
        import hashlib, sys
        import numpy, torch
        from torch.utils.data import DataLoader, Dataset

        class Rows(Dataset):
            def __init__(self, path):
                self.rows = numpy.load(path, mmap_mode="r")
            def __len__(self):
                return len(self.rows)
            def __getitem__(self, i):
                return torch.from_numpy(numpy.array(self.rows[i]))

        torch.manual_seed(1)
        digest = hashlib.sha256()
        for batch in DataLoader(Rows(sys.argv[1]), batch_size=64, shuffle=True, num_workers=2):
            digest.update(batch.numpy().tobytes())
        print(digest.hexdigest())
    """
    assert python(script, place.path("array.npy")) == python(script, original("array.npy"))


# Names

@pytest.fixture(scope="module")
def awkward(s3):
    """A bucket of awkward names: (endpoint, {key: body})."""
    objects = lib_data.awkward(s3.lists_controls)
    s3.bucket_of("awkward", objects)
    return s3, objects


def test_awkward_names(awkward):
    """Each name is listed once and opens to its own bytes."""
    endpoint, objects = awkward
    with Mount("s3://awkward", *endpoint.options, env=endpoint.environ) as mount:
        want = {key.encode(): len(body) for key, body in objects.items()}
        assert tree(mount.directory) == want
        for key, body in objects.items():
            assert mount.path(key).read_bytes() == body, key


def test_awkward_names_without_a_listing_first(awkward):
    """The same names, looked up one by one in a mount that has listed nothing."""
    endpoint, objects = awkward
    with Mount("s3://awkward", *endpoint.options, env=endpoint.environ) as mount:
        for key, body in objects.items():
            assert mount.path(key).stat().st_size == len(body), key
        for missing in ("plai", "plain2", "deep/er/x", "nowhere/at/all", "plain/below"):
            assert not os.path.exists(mount.path(missing)), missing


def test_names_that_no_file_can_have(ceph, mount):
    """Keys with empty, `.` and `..` components hide nobody; the log counts them."""
    client, objects = ceph.s3().client(), {"good": b"1", "dir/good": b"2", "clash/in": b"3"}
    client.create_bucket(Bucket="impossible")
    for key in ("/lead", "a//b", "./x", "dir/../y", "dir/.", "clash", "n" * 256, "marker/"):
        client.put_object(Bucket="impossible", Key=key, Body=b"never")
    for key, body in objects.items():
        client.put_object(Bucket="impossible", Key=key, Body=body)
    here = mount("s3://impossible", *ceph.s3().options, env=ceph.s3().environ)
    assert tree(here.directory) == {key.encode(): 1 for key in objects}
    assert here.path("marker").is_dir() and here.path("clash").is_dir()
    assert "n" * 40 not in "".join(os.listdir(here.directory))
    with pytest.raises(OSError, match="too long"):
        os.stat(here.path("n" * 256))
    assert "cannot be shown as file names" in here.log, here.log


@pytest.mark.limit(300)
def test_ten_thousand_small_files(s3):
    """All of them listed, then read and compared by diff."""
    s3.bucket_of("small")
    with Mount("s3://small", *s3.options, env=s3.environ) as mount:
        assert tree(mount.directory) == tree(lib_data.data("small"))
        run(["diff", "-r", lib_data.data("small"), mount.directory], timeout=200)


# A large sparse object

@pytest.fixture(scope="module")
def roomy_ceph(tmp_path_factory):
    """A Ceph that keeps its data on disk, compressed: 5 GiB of zeros are a few hundred MiB."""
    conf = tmp_path_factory.mktemp("ceph") / "conf"
    conf.write_text("[osd]\nbluestore compression mode = force\n"
                    "bluestore compression algorithm = zlib\n")
    server = Ceph({"STORE": "bluestore", "STORE_BYTES": str(8 * lib_data.GIB),
                   "EXTRA_CONF": str(conf)})
    yield server
    server.wipe()


@pytest.fixture(params=["ceph", "ceph-tls", "versitygw", "nginx", "nginx-tls"])
def sparse(request, mount):
    """sparse.bin in a mount of each of the servers in turn."""
    lib_data.data("sparse")
    name, tls = request.param.split("-")[0], request.param.endswith("-tls")
    server = request.getfixturevalue("roomy_ceph" if name == "ceph" else name)
    if name == "nginx":
        endpoint, options = server.endpoint, []
        if tls:
            endpoint, options = server.tls_endpoint, [f"ca_file={server.ca}"]
        return mount(f"{endpoint}/data/sparse/sparse.bin", *options).path("sparse.bin")
    s3 = server.s3(tls=True) if tls else server.s3()
    return mount(f"s3://{s3.bucket_of('sparse')}", *s3.options, env=s3.environ).path("sparse.bin")


@pytest.mark.limit(600)
def test_sparse_object_of_5_gib(request, sparse):
    """Around each GiB, where 32 bits end, and the whole; by TLS, which brings the same more slowly, the
    last of it."""
    assert sparse.stat().st_size == 5 * lib_data.GIB
    script = """
        import os, sys
        mine, theirs = (os.open(path, os.O_RDONLY) for path in sys.argv[1:3])
        gib = 1 << 30
        for offset in (0, gib - 5000, gib, 2 * gib + 1, 3 * gib + 100, 4 * gib - 1, 4 * gib,
                       5 * gib - 4096, 5 * gib - 1, 5 * gib):
            assert os.pread(mine, 70000, offset) == os.pread(theirs, 70000, offset), offset
        print("equal")
    """
    theirs = lib_data.data("sparse") / "sparse.bin"
    assert python(script, sparse, theirs) == "equal\n"
    tls = "tls" in request.node.callspec.id
    run(["cmp", "-i", 9 * lib_data.GIB // 2 if tls else 0, sparse, theirs], timeout=400)


# Many at once

READER = """
    import os, random, sys
    mine, theirs = (os.open(path, os.O_RDONLY) for path in sys.argv[1:3])
    size, seed = os.fstat(theirs).st_size, int(sys.argv[3])
    rand = random.Random(seed)
    if seed % 2:                     # one stream from a place of its own, wrapping round
        start, step = rand.randrange(size), 1 << 18
        for i in range(120):
            at = (start + i * step) % size
            assert os.pread(mine, step, at) == os.pread(theirs, step, at), at
    else:
        for i in range(120):
            at, count = rand.randrange(size), rand.choice((4096, 70000, 1 << 18))
            assert os.pread(mine, count, at) == os.pread(theirs, count, at), at
    print("equal")
"""


@pytest.mark.thread
@pytest.mark.limit(300)
def test_16_readers_at_once(place):
    """Half of them read streams, half at random, half of each the same file, of a cold mount."""
    place.close()
    names = ["odd.bin", "stored.zip"]
    paths = [place.path(name) for name in names]
    readers = [subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(READER), paths[i // 8],
         original(names[i // 8]), str(i)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for i in range(16)]
    said = [reader.communicate(timeout=250)[0] for reader in readers]
    assert said == [b"equal\n"] * 16
