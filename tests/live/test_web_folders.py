"""Folders of web servers: WebDAV, JSON and HTML indexes, compared with the directory that is
served, awkward names included."""
import errno
import functools
import http.server
import os

import pytest

from lib_canned import Canned, Served
from lib_proc import run

NAMES = ["plain.txt", "with blank", "100%", "a&b", "a?b", "a#b", "a+b", "a;b=c", "a:b", "'quoted'",
         "brackets[1]", "<tag>", "tilde~", "ünïcode", "日本語", "dot.", "-dash", "a\\b",
         "percent%20name", "x" * 200, "tab\there", "new\nline", "\x01"]


@pytest.fixture(scope="session")
def tree(nginx):
    """A directory of awkward names, two deep, that nginx serves in three ways."""
    top = nginx.root / "dav" / "folder"
    for directory in (top, top / "sub dir", top / "sub dir" / "deep&er"):
        directory.mkdir(parents=True)
        for index, name in enumerate(NAMES):
            (directory / name).write_bytes(os.urandom(100 + index))
    (top / "empty").write_bytes(b"")
    (top / "big.bin").write_bytes(os.urandom(3_000_017))
    (top / "empty dir").mkdir()
    return top


class Python(Served):
    """Python's own http.server, which lists in HTML and knows no ranges."""

    def __init__(self, directory):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


def all_names(directory):
    return sorted(os.path.relpath(os.path.join(where, name), directory)
                  for where, directories, files in os.walk(directory)
                  for name in directories + files)


WAYS = {"dav": "dav", "json": "autoindex/dav", "html": "htmlindex/dav"}


@pytest.fixture(params=WAYS)
def folder(request, nginx, tree, mount):
    return mount(f"{nginx.endpoint}/{WAYS[request.param]}/folder/")


def test_everything_is_there(folder, tree):
    assert all_names(folder.directory) == all_names(tree)
    run(["diff", "-r", folder.directory, tree], timeout=60)


def test_attributes(folder, tree):
    for name in ("plain.txt", "sub dir/100%", "empty", "big.bin"):
        shown, real = folder.path(name).stat(), (tree / name).stat()
        assert shown.st_size == real.st_size
        assert int(shown.st_mtime) == int(real.st_mtime)
    assert folder.path("sub dir").is_dir() and folder.path("empty dir").is_dir()


def test_what_is_not_there(folder):
    for name in ("absent", "sub dir/absent", "absent/absent", "plain.txt/below"):
        with pytest.raises((FileNotFoundError, NotADirectoryError)):
            folder.path(name).stat()


def test_nothing_is_written(folder):
    with pytest.raises(OSError) as error:
        folder.path("new").write_bytes(b"x")
    assert error.value.errno == errno.EROFS


@pytest.mark.parametrize("way", WAYS)
def test_m1_names_need_not_be_utf8(nginx, mount, way):
    """Every byte that a name may hold, in names that are no UTF-8, beside one that is."""
    top = nginx.root / "dav" / "bytes"
    if not top.exists():
        top.mkdir()
        for value in range(1, 256):
            if value != ord("/"):
                (top / os.fsdecode(b"%03d-\xff" % value + bytes([value]))).write_bytes(b"%d" % value)
        for name in (b"\xe9", b"\xc3\xa9", b"\xed\xa0\x80", b"\xc2\x80", b"\xc3"):
            (top / os.fsdecode(name)).write_bytes(name)
    here = mount(f"{nginx.endpoint}/{WAYS[way]}/bytes/")
    assert sorted(os.listdir(os.fsencode(here.directory))) == sorted(os.listdir(os.fsencode(top)))
    run(["diff", "-r", here.directory, top], timeout=60)


def test_costs(nginx, tree, mount):
    """One request a folder, whose sizes and times are then known; a file is one GET."""
    here = mount(f"{nginx.endpoint}/autoindex/dav/folder/")
    run(["ls", "-l", here.directory])
    stats = here.stats()
    assert stats.requests("list") == 1 and stats.requests("head") == 0
    assert here.path("plain.txt").read_bytes() == (tree / "plain.txt").read_bytes()
    delta = here.stats() - stats
    assert delta.requests("get") == 1 and delta.requests("list") + delta.requests("head") == 0


def test_server_without_ranges(tree, mount):
    """What is asked for whole comes; of more the log says why it does not."""
    with Python(tree) as server:
        here = mount(server.url, "retry_timeout=1s")
        assert all_names(here.directory) == all_names(tree)
        assert here.path("sub dir/100%").read_bytes() == (tree / "sub dir" / "100%").read_bytes()


def test_a_page_without_a_length_is_no_empty_file(mount):
    """What a server makes as it is asked for often comes without one, also from HEAD."""
    def answer(handler):
        if handler.path == "/":
            return 200, b'<a href="made">made</a> <a href="file">file</a>', {}
        if handler.path == "/file":
            return 200, b"hello", {}
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        return None

    with Canned(answer=answer) as server:
        here = mount(f"{server.url}/")
        assert here.path("file").read_bytes() == b"hello"
        assert sorted(os.listdir(here.directory)) == ["file", "made"]
        with pytest.raises(OSError) as failed:
            here.path("made").stat()
        assert failed.value.errno == errno.EOPNOTSUPP
        assert "does not tell the file's size" in here.log


def test_folder_that_changes(nginx, tree, mount):
    here = mount(f"{nginx.endpoint}/autoindex/dav/folder/", "metadata_ttl=1s", "negative_ttl=1s")
    path = tree / "changing"
    assert not here.path("changing").exists()
    path.write_bytes(b"one")
    run(["sleep", "1.2"])
    assert here.path("changing").read_bytes() == b"one"
    path.unlink()
