"""The data that tests and benchmarks read: made once from fixed seeds, kept in a cache.

    python3 lib_data.py        makes all of it and prints where it is

The cache is ~/.cache/pailfs-tests/data-HASH, HASH being that of this file, so that a
change here makes new data and removes the old.
"""
import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
EPOCH = (2020, 1, 1, 0, 0, 0)

ARCHIVE_MEMBERS = 2000   # of 512 KiB: archive.zip has 1 GiB
SMALL_FILES = 10000
FLAT_FILES = 5000


def noise(seed, size):
    """Bytes that do not compress and that are the same each time."""
    return np.random.Generator(np.random.SFC64(seed)).bytes(size)


def member_name(i):
    return f"images/{i // 100:02}/image-{i:04}.bin"


def make_zip(path, members, size, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for i in range(members):
            info = zipfile.ZipInfo(member_name(i), EPOCH)
            info.compress_type = method
            body = noise(i, size)
            if method != zipfile.ZIP_STORED:
                body = body[:size // 4].hex().encode()[:size]
            archive.writestr(info, body)


def make_npy(path, mib):
    """float32, 1,024 columns."""
    rows = mib * MIB // 4096
    values = np.random.Generator(np.random.SFC64(7)).random((rows, 1024), dtype=np.float32)
    np.save(path, values)


def make_h5(path):
    """`plain`: 128 chunks of 256 KiB; `packed`: the same compressed; `attributes`."""
    import h5py
    values = np.frombuffer(noise(8, 32 * MIB), np.uint8).reshape(8192, 4096) // 16
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_dataset("plain", data=values, chunks=(64, 4096), track_times=False)
        file.create_dataset("packed", data=values[:1024], chunks=(64, 4096), compression=1,
                            track_times=False)
        file.attrs["title"] = "pailfs test"


def make_tar(path, first, members, size):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for i in range(first, first + members):
            info = tarfile.TarInfo(f"{i:06}.bin")
            info.size, info.mtime = size, 1577836800
            archive.addfile(info, io.BytesIO(noise(i, size)))


def make_safetensors(path, tensors, size):
    """The format of huggingface's safetensors: u64 length, JSON header, tensors."""
    header = {f"layer.{i}.weight": {"dtype": "U8", "shape": [size],
                                    "data_offsets": [i * size, (i + 1) * size]}
              for i in range(tensors)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for i in range(tensors):
            file.write(noise(1000 + i, size))


def make_files(directory, count, seed, largest):
    """`count` files of 0 to `largest` bytes in directories of 100."""
    sizes = np.random.Generator(np.random.SFC64(seed)).integers(0, largest + 1, count)
    body = noise(seed, largest + count)
    for i, size in enumerate(sizes):
        path = directory / f"{i // 100:03}" / f"file-{i:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body[i:i + int(size)])


def make_tools(root):
    """`tools`: about 350 MiB, what the tools read from every server."""
    make_zip(root / "stored.zip", 128, 512 * KIB)
    make_zip(root / "deflated.zip", 64, 256 * KIB, zipfile.ZIP_DEFLATED)
    make_npy(root / "array.npy", 64)
    make_h5(root / "chunks.h5")
    (root / "shards").mkdir()
    for shard in range(4):
        make_tar(root / "shards" / f"shard-{shard:03}.tar", shard * 64, 64, 128 * KIB)
    make_safetensors(root / "model.safetensors", 16, MIB)
    make_files(root / "samples", 500, 21, 40 * KIB)
    (root / "odd.bin").write_bytes(noise(22, 100 * MIB + 13))
    (root / "empty").write_bytes(b"")
    (root / "one").write_bytes(b"1")
    (root / "text").mkdir()
    (root / "text" / "lines.txt").write_text("".join(f"line {i}\n" for i in range(200000)))


def make_archive(root):
    """`archive/archive.zip`: 2,000 stored members of 512 KiB."""
    make_zip(root / "archive.zip", ARCHIVE_MEMBERS, 512 * KIB)


def make_small(root):
    make_files(root, SMALL_FILES, 31, 300)


def make_flat(root):
    for i in range(FLAT_FILES):
        (root / f"name-{i:05}").write_bytes(b"%d" % i)


def make_sparse(root):
    """`sparse/sparse.bin`: 5 GiB, zeros but for a marker at each GiB and at the end."""
    with open(root / "sparse.bin", "wb") as file:
        file.truncate(5 * GIB)
        for gib in range(5):
            file.seek(gib * GIB)
            file.write(noise(40 + gib, 4096))
        file.seek(5 * GIB - 4096)
        file.write(noise(49, 4096))


MAKERS = {"tools": make_tools, "archive": make_archive, "small": make_small,
          "flat": make_flat, "sparse": make_sparse}


def cache():
    base = Path(os.environ.get("PAILFS_TEST_DATA", Path.home() / ".cache" / "pailfs-tests"))
    stamp = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return base / f"data-{stamp}"


def data(name):
    """The directory of one data set, made now if it was not yet."""
    directory = cache() / name
    if not directory.exists():
        for old in cache().parent.glob("data-*"):
            if old != cache():
                shutil.rmtree(old, ignore_errors=True)
        new = cache() / f"{name}.{os.getpid()}"
        new.mkdir(parents=True)
        MAKERS[name](new)
        new.rename(directory)
    return directory


def awkward(controls=True):
    """{key: bytes}: names that are hard on quoting, XML, URLs, shells and C strings.

    Without controls: none that XML 1.0 cannot hold.
    """
    names = [
        "plain", "with space", " leading space", "trailing space ", "two  spaces",
        "quote'single", 'quote"double', "back\\slash", "back`tick", "dollar$HOME",
        "percent%20", "percent%", "plus+plus", "amp&amp;", "less<more>", "semi;colon",
        "question?mark", "hash#tag", "at@sign", "equals=sign", "colon:", "comma,", "star*",
        "pipe|", "tilde~", "caret^", "brackets[]", "braces{}", "parens()", "bang!",
        "-dash", "--help", ".hidden", "..twodots", "...", "new\nline", "tab\there",
        "carriage\rreturn", "control\x01one", "control\x1funit", "delete\x7f",
        "caf\u00e9 NFC", "cafe\u0301 NFD", "\u65e5\u672c\u8a9e", "\U0001f4e6 parcel", "\u202eright",
        "nbsp\u00a0", "zero\u200bwidth", "n" * 255, "\u00e9" * 127, "CON", "aux.txt",
        "deep/er/and/deeper/file", "deep/er/other", "dir with space/in side",
        "dir%2Fescaped/x", "dir+plus/y", "\u65e5\u672c/\u8a9e", "deep/er/%41",
    ]
    if not controls:
        names = [name for name in names if not {"\x01", "\x1f"} & set(name)]
    objects = {name: noise(60 + i, i * 37) for i, name in enumerate(names)}
    objects["empty"] = b""
    objects["dir with space/empty"] = b""
    return objects


if __name__ == "__main__":
    for each in MAKERS:
        print(data(each))
