"""F2: keys that expire or are rotated while a bucket is mounted. The keys stand in a file, as
tools that renew sessions leave them; the server is radosgw, which knows two pairs of keys, with
faultproxy.sh before it, which lets one pair expire."""
import errno
import os
import signal
import subprocess
import time

import lib_data
import pytest
from lib_mount import Mount
from lib_proc import wait_until
from lib_servers import FaultProxy

BODY = lib_data.noise(77, 4 * lib_data.MIB)
OLD, NEW = "AKIAOLDKEY0000000001", "AKIANEWKEY0000000002"
SECRETS = {OLD: "old-secret-00000000000000000000000000001",
           NEW: "new-secret-00000000000000000000000000002"}
EXPIRED = {"status": 400, "code": "ExpiredToken"}
LOOK = 5  # seconds that pailfs leaves between two looks at the file


@pytest.fixture(scope="module")
def bucket(ceph):
    ceph.s3().bucket_of("rotated", {"data": BODY, "dir/a": b"a", "other": b"other"})
    for key, secret in SECRETS.items():
        ceph.admin("key", "create", "--uid=tester", "--key-type=s3", f"--access-key={key}",
                   f"--secret-key={secret}")
    return ceph


@pytest.fixture(scope="module")
def proxy(bucket):
    server = FaultProxy(bucket.s3().endpoint)
    yield server
    server.wipe()


class Keys:
    """The AWS credentials file, written as tools do: a new file, moved over the old one."""

    def __init__(self, directory):
        self.path = directory / "credentials"

    def put(self, key):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"[default]\naws_access_key_id = {key}\n"
                         f"aws_secret_access_key = {SECRETS[key]}\n")
        fresh.rename(self.path)


@pytest.fixture
def keys(tmp_path):
    keys = Keys(tmp_path)
    keys.put(OLD)
    return keys


@pytest.fixture
def here(proxy, keys, mount):
    proxy.clear()
    yield mount("s3://rotated", f"endpoint={proxy.endpoint}", "region=us-east-1",
                "addressing=path", "metadata_ttl=0s", "negative_ttl=0s", "retry_timeout=5s",
                "log_level=info", env={"AWS_SHARED_CREDENTIALS_FILE": str(keys.path),
                                       "AWS_CONFIG_FILE": "/nonexistent"})
    proxy.clear()


def shows_no_secret(mount):
    return not any(secret in mount.log for secret in SECRETS.values())


def denied(action):
    with pytest.raises(OSError) as failure:
        action()
    return failure.value.errno == errno.EACCES


def test_f2_fresh_keys_in_the_file_are_taken_in_the_middle(proxy, keys, here):
    """A reader and a listing do not notice that the keys they began with have expired."""
    with open(here.path("data"), "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 65536, 0) == BODY[:65536]
        keys.put(NEW)
        proxy.set(signed=OLD, **EXPIRED)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert b"".join(os.pread(file.fileno(), 65536, at)
                        for at in range(0, len(BODY), 65536)) == BODY
    assert int(proxy.get()["faults"]) > 0
    assert sorted(os.listdir(here.directory)) == ["data", "dir", "other"]
    assert here.path("dir", "a").read_bytes() == b"a"
    assert not [line for line in here.log.splitlines() if " warn " in line], here.log
    assert shows_no_secret(here)


def test_f2_without_fresh_keys_the_error_says_what_to_do(proxy, keys, here):
    """EACCES, and a line with the key, the file and the way out; then the way out works."""
    proxy.set(signed=OLD, **EXPIRED)
    assert denied(lambda: here.path("other").read_bytes())
    assert denied(lambda: os.listdir(here.directory))
    line = next(line for line in here.log.splitlines() if " warn " in line)
    for word in ("s3://rotated", "400 ExpiredToken", OLD[:4], OLD[-3:], str(keys.path),
                 "renew the session"):
        assert word in line, line
    assert OLD not in here.log and shows_no_secret(here)
    keys.put(NEW)
    assert here.path("other").read_bytes() == b"other"
    assert sorted(os.listdir(here.directory)) == ["data", "dir", "other"]


def test_f2_a_changed_file_is_noticed_before_its_keys_end(proxy, keys, here):
    """Nobody refuses the old keys as expired: the file has changed, and that is seen."""
    keys.put(NEW)
    wait_until(lambda: os.listdir(here.directory) and "read again" in here.log, LOOK + 10,
               "a look at the file")
    # A refusal that does not speak of the keys' end is no reason to read them again.
    proxy.set(signed=OLD, status=403, code="AccessDenied")
    assert here.path("other").read_bytes() == b"other"
    assert sorted(os.listdir(here.directory)) == ["data", "dir", "other"]
    assert int(proxy.get().get("faults", 0)) == 0


def test_f2_a_broken_file_changes_nothing(proxy, keys, here):
    """Half a pair, as of somebody who is just writing it: the keys that we have go on."""
    keys.path.write_text(f"[default]\naws_access_key_id = {NEW}\n")
    wait_until(lambda: os.listdir(here.directory) and "could not be read again" in here.log,
               LOOK + 10, "a look at the file")
    time.sleep(LOOK + 0.5)
    assert here.path("other").read_bytes() == b"other"
    assert here.log.count("could not be read again") == 1
    keys.put(NEW)
    proxy.set(signed=OLD, **EXPIRED)
    assert here.path("dir", "a").read_bytes() == b"a"


def test_f1_a_file_that_cannot_be_read_holds_nobody(proxy, keys, here):
    """As on a file system whose server is gone; here a pipe that nobody writes to. A read ends
    with its own time, Ctrl-C ends a listing at once, and what comes later is heard."""
    pipe = keys.path.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.rename(keys.path)
    proxy.set(signed=OLD, **EXPIRED)
    start = time.monotonic()
    with pytest.raises(OSError) as failure:
        here.path("other").read_bytes()
    assert failure.value.errno == errno.ETIMEDOUT
    assert 4 < time.monotonic() - start < 15
    assert "credentials could not be read again in time" in here.log
    process = subprocess.Popen(["ls", here.directory], stderr=subprocess.PIPE)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=2)
    writer = os.open(keys.path, os.O_WRONLY)
    keys.put(NEW)
    os.close(writer)
    assert here.path("other").read_bytes() == b"other"


def test_f1_a_file_that_cannot_be_read_holds_no_unmount(proxy, keys, here):
    pipe = keys.path.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.rename(keys.path)
    proxy.set(signed=OLD, **EXPIRED)
    with pytest.raises(OSError):
        here.path("other").read_bytes()
    start = time.monotonic()
    here.unmount()
    assert time.monotonic() - start < 10


def test_f2_keys_that_the_server_no_longer_knows(bucket, keys):
    """Rotation for real: the server deletes the old pair."""
    key = "AKIAGONEKEY000000003"
    SECRETS[key] = "gone-secret-0000000000000000000000000003"
    bucket.admin("key", "create", "--uid=tester", "--key-type=s3", f"--access-key={key}",
                 f"--secret-key={SECRETS[key]}")
    keys.put(key)
    with Mount("s3://rotated", *bucket.s3().options, "metadata_ttl=0s",
               env={"AWS_SHARED_CREDENTIALS_FILE": str(keys.path)}) as here:
        assert here.path("other").read_bytes() == b"other"
        bucket.admin("key", "rm", "--uid=tester", "--key-type=s3", f"--access-key={key}")
        assert denied(lambda: here.path("dir", "a").read_bytes())
        assert "InvalidAccessKeyId" in here.log and shows_no_secret(here)
        keys.put(NEW)
        assert here.path("dir", "a").read_bytes() == b"a"


def test_f2_a_secret_that_was_renewed_under_its_key(bucket, keys):
    """Servers that let their users choose both keep the key and change the secret."""
    key = "AKIASAMEKEY000000004"

    def renew(secret):
        SECRETS[key] = secret
        bucket.admin("key", "create", "--uid=tester", "--key-type=s3", f"--access-key={key}",
                     f"--secret-key={secret}")
        keys.put(key)

    renew("first-secret-000000000000000000000000001")
    with Mount("s3://rotated", *bucket.s3().options, "metadata_ttl=0s",
               env={"AWS_SHARED_CREDENTIALS_FILE": str(keys.path)}) as here:
        assert here.path("other").read_bytes() == b"other"
        renew("other-secret-000000000000000000000000002")
        assert here.path("dir", "a").read_bytes() == b"a"
        assert shows_no_secret(here)
