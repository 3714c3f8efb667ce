"""Fixtures of the live tests: servers that start when a test first asks for them, data
in their buckets, mounts, and a watchdog that no hanging mount outlives."""
import os
import signal
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import lib_data
from lib_local import KINDS, WRITEBACK, Local
from lib_mount import Mount
from lib_proc import PAILFS
from lib_servers import Ceph, FaultProxy, Nginx, NullS3, Server, VersityGW

LIMIT = 120  # seconds a test may take unless its mark `limit` says otherwise


def pytest_configure(config):
    # nohup and a shell's background jobs have these ignored, and what is ignored stays so in
    # the programs that the tests send them to.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")
    config.addinivalue_line("markers", "thread: part of the thread sanitizer's run")
    if not os.access(PAILFS, os.X_OK):
        raise pytest.UsageError(f"no binary at {PAILFS}: build first, or set PAILFS")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the mounts of a failed test have logged."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        logs = [(mount.source, mount.log) for mount in list(Mount.running)]
        for source, log in logs or Mount.ended_logs[-1:]:
            report.sections.append((f"log of {source}", log[-8000:]))


@pytest.fixture(autouse=True)
def watchdog(request):
    """Kills every pailfs when a test takes too long: its reads then end with an error."""
    marker = request.node.get_closest_marker("limit")
    limit = marker.args[0] if marker else LIMIT
    late = []

    def bark():
        late.append(True)
        for mount in list(Mount.running):
            mount.kill()

    timer = threading.Timer(limit, bark)
    timer.start()
    yield
    timer.cancel()
    assert not late, f"no end after {limit} s"


@pytest.fixture(scope="session", autouse=True)
def clean_end():
    """Whatever happened, no server and no pailfs is left when the session ends."""
    yield
    for mount in list(Mount.running):
        mount.kill()
    for server in list(Server.running):
        server.wipe()


@pytest.fixture
def local():
    """local(KIND, OPTION..., root=...) -> Local, closed after the test."""
    made = []

    def make(kind="file", *options, root=None):
        made.append(Local(kind, *options, root=root))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def mount():
    """mount(SOURCE, OPTION..., env=...) -> Mount, unmounted and checked after the test."""
    mounts = []

    def start(*arguments, **keywords):
        mounts.append(Mount(*arguments, **keywords))
        return mounts[-1]

    yield start
    for each in mounts:
        if each in Mount.running:
            each.unmount()


@pytest.fixture(scope="session")
def ceph():
    return Ceph()


@pytest.fixture(scope="session")
def versitygw():
    return VersityGW()


@pytest.fixture(scope="session")
def nginx():
    """A web server whose /data/NAME/ is the data set NAME."""
    server = Nginx()
    (server.root / "data").symlink_to(lib_data.cache())
    return server


@pytest.fixture(scope="session")
def nulls3():
    """nulls3 whose bucket `bench` holds the data sets archive, flat, small and tools."""
    for name in ("archive", "flat", "small", "tools"):
        lib_data.data(name)
    return NullS3(lib_data.cache())


@pytest.fixture(scope="session")
def faultproxy_session(nulls3):
    return FaultProxy(nulls3.s3().endpoint)


@pytest.fixture
def faultproxy(faultproxy_session):
    """A proxy before nulls3 that makes no trouble yet."""
    faultproxy_session.clear()
    yield faultproxy_session
    faultproxy_session.clear()


class Place:
    """The data set `tools` on one server, with mounts that show it.

    path(NAME) is the file's path in a mount; on a web server each file is mounted by
    itself, elsewhere one mount shows the whole set.
    """

    def __init__(self, name):
        self.name = name
        self.mounts = {}

    def path(self, name):
        if self.name not in self.mounts:
            self.mounts[self.name] = Mount(self.source, *self.options, env=self.environ)
        return self.mounts[self.name].path(name)

    def close(self):
        """Unmounts: what is read from then on is cold."""
        while self.mounts:
            self.mounts.popitem()[1].unmount()


class BucketPlace(Place):
    has_tree = True

    def __init__(self, name, s3, bucket):
        super().__init__(name)
        self.source, self.options, self.environ = f"s3://{bucket}", s3.options, s3.environ


class WebPlace(Place):
    """Files of a web server, one a mount."""
    has_tree = False

    def __init__(self, name, endpoint, *options):
        super().__init__(name)
        self.endpoint, self.options = endpoint, options

    def path(self, name):
        if name not in self.mounts:
            self.mounts[name] = Mount(f"{self.endpoint}/data/tools/{name}", *self.options)
        return self.mounts[name].path(os.path.basename(name))


@pytest.fixture(scope="module", params=["ceph", "ceph-tls", "versitygw", "nginx", "nginx-tls"])
def place(request):
    """The data set `tools` on each of the servers in turn."""
    lib_data.data("tools")
    server = request.getfixturevalue(request.param.split("-")[0])
    tls = request.param.endswith("-tls")
    if isinstance(server, Nginx):
        endpoint, options = server.endpoint, []
        if tls:
            endpoint, options = server.tls_endpoint, [f"ca_file={server.ca}"]
        where = WebPlace(request.param, endpoint, *options)
    else:
        s3 = server.s3(tls=True) if tls else server.s3()
        where = BucketPlace(request.param, s3, s3.bucket_of("tools"))
    yield where
    where.close()


@pytest.fixture(scope="module", params=["ceph", "ceph-tls", "versitygw"])
def s3(request):
    """An S3 endpoint of each of the servers in turn; ceph's two show the same buckets."""
    server = request.getfixturevalue(request.param.split("-")[0])
    return server.s3(tls=True) if request.param == "ceph-tls" else server.s3()


@pytest.fixture(scope="module", params=(*KINDS, WRITEBACK[0]))
def shared(request):
    """A mount of each local-backed store in turn, for all tests of a file."""
    local = Local(request.param)
    yield local
    local.close()
