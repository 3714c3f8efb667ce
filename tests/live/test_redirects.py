"""F3: redirects are followed a few steps, never from https to http, and no other host learns
who we are: asserted on what that host received."""
import errno
import os
import subprocess

import lib_data
import pytest
from lib_bucket import Bucket
from lib_canned import Canned
from lib_mount import start_fails
from lib_proc import Failed, run
from test_faults import SHORT, ranged, read_error

BODY = lib_data.noise(77, 300 * lib_data.KIB + 5)
SECRET = "the-secret-key-of-this-test"
TOKEN = "the-session-token-of-this-test"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAREDIRECTED", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN}
SECRETS = {"authorization", "x-amz-security-token", "x-amz-date", "cookie", "cookie2",
           "proxy-authorization"}


def to(place):
    """bend(): every GET of an object is answered with a redirect, and with a cookie."""
    def bend(handler, answer):
        if "list-type" in handler.path:
            return answer()
        return 307, b"", {"Location": place + handler.path, "Set-Cookie": "id=secret-cookie"}
    return bend


def names_of(request):
    return {name.lower() for name in request[2]}


def holds_secret(request):
    text = repr(request)
    return names_of(request) & SECRETS or SECRET in text or TOKEN in text or \
        KEYS["AWS_ACCESS_KEY_ID"] in text or "secret-cookie" in text


def signature(request):
    return next(value for name, value in request[2].items() if name.lower() == "authorization")


@pytest.fixture
def bucket():
    with Bucket({"file.bin": BODY, "dir/other.bin": BODY[::-1]}) as server:
        yield server


@pytest.fixture
def elsewhere():
    """The same objects at another place."""
    with Bucket({"file.bin": BODY, "dir/other.bin": BODY[::-1]}) as server:
        yield server


def test_f3_another_host_learns_nothing_of_us(bucket, elsewhere, mount):
    bucket.bend = to(elsewhere.endpoint)
    here = mount("s3://bench", *bucket.options, *SHORT, env=KEYS)
    assert here.path("file.bin").read_bytes() == BODY
    assert here.path("dir", "other.bin").read_bytes() == BODY[::-1]
    # Our own server did learn it, so that the names looked for are the right ones.
    assert all({"authorization", "x-amz-security-token"} <= names_of(each)
               for each in bucket.requests)
    assert len(elsewhere.requests) >= 2
    for each in elsewhere.requests:
        assert not holds_secret(each), each
        assert "if-match" in names_of(each) and "range" in names_of(each)
    assert SECRET not in here.log and TOKEN not in here.log


def test_f3_a_host_name_that_begins_like_ours_is_another(bucket, elsewhere, mount):
    """127.0.0.1 and localhost are one machine, and two hosts."""
    bucket.bend = to(elsewhere.endpoint.replace("127.0.0.1", "localhost"))
    here = mount("s3://bench", *bucket.options, *SHORT, env=KEYS)
    assert here.path("file.bin").read_bytes() == BODY
    assert elsewhere.requests and not any(map(holds_secret, elsewhere.requests))


def test_f3_a_redirect_within_the_endpoint_is_signed_anew(bucket, mount):
    def bend(handler, answer):
        if "list-type" in handler.path or "moved" in handler.path:
            handler.path = handler.path.replace("?moved=1", "")
            return answer()
        return 307, b"", {"Location": f"{bucket.endpoint}{handler.path}?moved=1"}

    bucket.bend = bend
    here = mount("s3://bench", *bucket.options, *SHORT, env=KEYS)
    assert here.path("file.bin").read_bytes() == BODY
    first, second = [each for each in bucket.requests if "file.bin" in each[1]][:2]
    assert "moved" in second[1]
    # Each has a signature, and they differ: the query is part of what is signed.
    assert signature(first) != signature(second)
    assert "x-amz-security-token" in names_of(second)


def test_f3_a_listing_elsewhere_learns_nothing_of_us(bucket, elsewhere, mount):
    here = mount("s3://bench", *bucket.options, *SHORT, "metadata_ttl=0s", env=KEYS)
    bucket.bend = lambda handler, answer: (307, b"", {"Location": elsewhere.endpoint + handler.path})
    assert "other.bin" in os.listdir(here.path("dir"))
    assert elsewhere.requests and not any(map(holds_secret, elsewhere.requests))


def test_f3_a_presigned_query_stays_with_its_host(mount):
    """The query of an http source may be a secret: a redirect gets the new URL's own."""
    with Canned(answer=lambda handler: ranged(handler, body=BODY)) as away:
        with Canned(answer=lambda _: (302, b"", {"Location": f"{away.url}/new.bin?mine=2",
                                                 "Set-Cookie": "id=secret-cookie"})) as first:
            here = mount(f"{first.url}/file.bin?X-Amz-Signature=secret-cookie", *SHORT)
            assert here.path("file.bin").read_bytes() == BODY
            assert first.requests and away.requests
            for each in away.requests:
                assert each[1] == "/new.bin?mine=2" and not holds_secret(each)
                assert "referer" not in names_of(each)


@pytest.mark.parametrize("location, path", [
    ("/other/name.bin", "/other/name.bin"),
    ("beside.bin", "/deep/er/beside.bin"),
    ("../up.bin?a=b", "/deep/up.bin?a=b"),
    ("?only=query", "/deep/er/file.bin?only=query"),
    ("./././x/../file2.bin#fragment", "/deep/er/file2.bin"),
    ("../../../../root.bin", "/root.bin"),
])
def test_f3_a_relative_location_is_resolved(mount, location, path):
    def answer(handler):
        if handler.path == "/deep/er/file.bin":
            return 302, b"", {"Location": location}
        return ranged(handler, body=BODY) if handler.path == path else (404, b"", {})

    with Canned(answer=answer) as server:
        here = mount(f"{server.url}/deep/er/file.bin", *SHORT)
        assert here.path("file.bin").read_bytes() == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_f3_every_kind_of_redirect(mount, status):
    def answer(handler):
        if handler.path == "/file.bin":
            return status, b"moved", {"Location": "/new.bin"}
        return ranged(handler, body=BODY)

    with Canned(answer=answer) as server:
        here = mount(f"{server.url}/file.bin", *SHORT)
        assert here.path("file.bin").read_bytes() == BODY


@pytest.mark.parametrize("steps, followed", [(5, True), (6, False)])
def test_f3_five_redirects_and_no_more(mount, steps, followed):
    def answer(handler):
        step = int(handler.path.split("/")[1])
        if step == steps:
            return ranged(handler, body=BODY)
        return 302, b"", {"Location": f"/{step + 1}/file.bin"}

    with Canned(answer=answer) as server:
        source = f"{server.url}/0/file.bin"
        if followed:
            assert mount(source, *SHORT).path("file.bin").read_bytes() == BODY
        else:
            assert "redirect" in start_fails(source, *SHORT)
            assert len(server.requests) <= 6


def test_f3_endless_redirects_end(bucket, mount):
    """Of an open mount: each read ends with EIO after a few requests, not after the timeout."""
    here = mount("s3://bench", *bucket.options, *SHORT, env=KEYS)
    os.listdir(here.directory)
    bucket.bend = to(bucket.endpoint)
    before = len(bucket.requests)
    error, seconds = read_error(here.path("file.bin"))
    assert error == errno.EIO and seconds < 3
    assert len(bucket.requests) - before <= 14  # the read, and the kernel's second one
    assert here.log.count("redirects") == 1
    bucket.bend = None
    run(["sleep", "1.1"])
    assert here.path("file.bin").read_bytes() == BODY


@pytest.mark.parametrize("location, words", [
    ("ftp://127.0.0.1/file.bin", "no http URL"),
    ("file:///etc/passwd", "no http URL"),
    ("http://[::1/file.bin", "no http URL"),
    ("http://user:password@127.0.0.1/file.bin", "password"),
    ("http://127.0.0.1:99999/file.bin", ""),
    ("x" * 100000, ""),
    ("", "Location"),
    (None, "Location"),
])
def test_f3_a_redirect_to_nowhere(bucket, mount, location, words):
    here = mount("s3://bench", *bucket.options, *SHORT, env=KEYS)
    os.listdir(here.directory)
    headers = {} if location is None else {"Location": location}
    bucket.bend = lambda handler, answer: (302, b"", headers)
    error, seconds = read_error(here.path("file.bin"))
    assert error in (errno.EIO, errno.ENOENT) if location == "x" * 100000 else error == errno.EIO
    assert seconds < 8
    assert words in here.log and here.log.count("file.bin") == 1


# From https.

@pytest.fixture
def certificate(nginx):
    return nginx.work / "tls" / "server.pem", nginx.work / "tls" / "server.key"


def test_f3_https_to_http_is_refused(nginx, certificate, elsewhere, mount):
    with Bucket({"file.bin": BODY}, tls=certificate) as bucket:
        here = mount("s3://bench", *bucket.options, f"ca_file={nginx.ca}", *SHORT, env=KEYS)
        assert here.path("file.bin").stat().st_size == len(BODY)
        bucket.bend = to(elsewhere.endpoint)
        error, seconds = read_error(here.path("file.bin"))
        assert error == errno.EIO and seconds < 3
        assert "https to http" in here.log
        assert not elsewhere.requests
        # From https to https it goes, and the certificate there is checked as well.
        with Bucket({"file.bin": BODY}, tls=certificate) as secure:
            bucket.bend = to(secure.endpoint)
            run(["sleep", "1.1"])
            assert here.path("file.bin").read_bytes() == BODY
            assert secure.requests and not any(map(holds_secret, secure.requests))


def test_f3_https_to_http_is_refused_at_the_start(nginx, certificate, elsewhere):
    with Bucket({}, tls=certificate) as bucket:
        bucket.bend = lambda handler, _: (301, b"", {"Location": elsewhere.endpoint + handler.path})
        line = start_fails(f"{bucket.endpoint}/file.bin", f"ca_file={nginx.ca}", *SHORT)
        assert "https to http" in line
        assert not elsewhere.requests
