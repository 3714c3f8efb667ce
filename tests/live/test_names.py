"""Directories of more than a page, on real servers: what is shown does not depend on where the
pages end."""
import os

import pytest
from test_meta import listed_by_mount


def between_pages():
    """Names around the '/' in the order of keys, with more than a page of names below and
    between."""
    keys = {f"d/{i:04}": b"below" for i in range(1010)}
    keys |= {f"d-{i:04}": b"before" for i in range(1010)}
    keys |= {f"e/{i:02}/{k:03}": b"" for i in range(12) for k in range(100)}
    keys |= {key: b"around" for key in ("c", "d!", "d.x", "d0", "e", "e-/x", "e.x/y", "e0", "f/g")}
    return keys


def shown(keys):
    """What a mount shows of keys: an object whose name is also a directory's is hidden."""
    return {key for key in keys if not any(other.startswith(key + "/") for other in keys)}


@pytest.fixture(scope="module")
def pages(s3):
    """(endpoint, bucket, keys)"""
    keys = between_pages()
    if not s3.lists_controls:
        keys.pop("e")  # versitygw keeps objects as files
    return s3, s3.bucket_of("between-pages", keys), keys


@pytest.mark.limit(240)
def test_m1_more_than_a_page_between_a_name_and_its_slash(pages, mount):
    s3, bucket, keys = pages
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    assert listed_by_mount(here.directory) == {key.encode() for key in shown(keys)}


def test_m1_names_around_a_slash_found_without_a_listing(pages, mount):
    s3, bucket, keys = pages
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    for key in ("d/1009", "d0", "d.x", "d!", "e0", "e/11/099", "e-/x", "e.x/y", "d-1009", "c"):
        assert here.path(key).read_bytes() == keys[key], key
    assert here.path("d").is_dir() and here.path("e").is_dir()
    for missing in ("d/1010", "d.", "d-", "e/12", "e1", "b"):
        assert not os.path.lexists(here.path(missing)), missing
