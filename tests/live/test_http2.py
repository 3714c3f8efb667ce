"""http_version=2: over TLS by negotiation, over http:// by prior knowledge."""
import concurrent.futures
import os

import pytest

import lib_data

SIZE = 24 << 20


@pytest.fixture(scope="module")
def whole(nginx):
    data = bytes(lib_data.noise(77, SIZE))
    (nginx.root / "two.bin").write_bytes(data)
    return data


@pytest.fixture(params=["h2c", "tls"])
def source(request, nginx):
    if request.param == "h2c":
        return f"{nginx.h2c_endpoint}/two.bin", []
    return f"{nginx.tls_endpoint}/two.bin", [f"ca_file={nginx.ca}"]


def test_a_file_over_http2(mount, source, whole):
    url, options = source
    m = mount(url, "http_version=2", *options)
    with open(m.path("two.bin"), "rb") as f:
        assert f.read() == whole


def test_many_readers_at_once(mount, source, whole):
    """Over TLS the requests of one loop are streams of one connection; without it they are
    where libcurl can do that (from 8.0.0 on)."""
    url, options = source
    m = mount(url, "http_version=2", "read_policy=ranged", "range_buffer=0", *options)
    fd = os.open(m.path("two.bin"), os.O_RDONLY)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for i, data in enumerate(pool.map(lambda i: os.pread(fd, 65536, i * 1500000), range(16))):
            assert data == whole[i * 1500000:i * 1500000 + 65536]
    os.close(fd)
    if url.startswith("https:"):
        assert m.stats().sum("pailfs_connections_opened_total") <= 4


def test_without_the_option_http1_is_spoken(mount, nginx, whole):
    m = mount(f"{nginx.tls_endpoint}/two.bin", f"ca_file={nginx.ca}")
    with open(m.path("two.bin"), "rb") as f:
        assert f.read(4096) == whole[:4096]
