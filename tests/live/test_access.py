"""Ways to reach a bucket: by path and by the host's name, signed and as anybody; what the server
was asked stands in its own log."""
import re

import pytest
from lib_mount import Mount
from lib_proc import run, wait_until

BODY = b"0123456789" * 1000


@pytest.fixture(scope="module")
def public(ceph):
    """A bucket that anybody may list and read."""
    s3, key = ceph.s3(), "dir/a b+c"
    name = s3.bucket_of("access", {key: BODY})
    s3.client().put_bucket_acl(Bucket=name, ACL="public-read")
    s3.client().put_object_acl(Bucket=name, Key=key, ACL="public-read")
    return name


class Asked:
    """What radosgw says of the requests of pailfs since this was made: (user, method, target)."""
    LINE = re.compile(r'beast: \S+ \S+ - (\S+) \[.*?\] "(\w+) (\S+) HTTP/1.1" 20[06] .*"pailfs/')

    def __init__(self, ceph):
        self.path = ceph.work / "log" / "client.rgw.log"
        self.offset = self.path.stat().st_size

    def read(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            log.seek(self.offset)
            return [match.groups() for match in map(self.LINE.search, log) if match]


@pytest.mark.parametrize("user", ["tester", "anonymous"])
@pytest.mark.parametrize("addressing, tls", [("path", False), ("path", True), ("virtual", False)])
def test_addressing(ceph, public, addressing, tls, user):
    """*.localhost is loopback to curl, and radosgw takes the bucket from the host's name. Not so by
    https: a certificate's star may not stand for all of a domain such as localhost."""
    s3, sign = ceph.s3(tls=tls), user != "anonymous"
    port, asked = s3.endpoint.rpartition(":")[2], Asked(ceph)
    options = [f"endpoint=http{'s' * tls}://localhost:{port}", "region=us-east-1",
               f"addressing={addressing}", *([] if sign else ["no_sign"]),
               *([f"ca_file={s3.ca}"] if tls else [])]
    with Mount(f"s3://{public}", *options, env=s3.environ if sign else None) as here:
        assert run(["find", here.directory, "-type", "f", "-printf", "%P"]).stdout == "dir/a b+c"
        assert here.path("dir", "a b+c").read_bytes() == BODY
    target = f"/{public}" * (addressing == "path") + "/dir/a%20b%2Bc"
    wait_until(lambda: target in [each[2] for each in asked.read()], 10, "the server's log")
    assert {each[0] for each in asked.read()} == {user}
    assert not [method for _, method, _ in asked.read() if method != "GET"]
