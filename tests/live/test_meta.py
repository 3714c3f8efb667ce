"""Names as a bucket has them: M1 and M2 on real servers."""
import json
import os
import random
import re
import time

import pytest
from test_counts import Watch

CONTROLS = "".join(map(chr, [*range(1, 0x20), 0x7f]))
WIDE = "\u00e4\u00df\u0301\u3042\u202e\ufeff\U0001f4e6\U0010fffd"


def keys_of_every_byte(count, controls):
    """Keys whose names hold every byte that a file name may, alone and in company."""
    dice = random.Random(12)
    letters = "".join(map(chr, range(0x20, 0x7f))).replace("/", "") + WIDE
    if controls:
        letters += CONTROLS
    names = {f"[{letter}]" for letter in letters} | {letter for letter in letters if letter != "."}
    while len(names) < count:
        names.add("".join(dice.choices(letters, k=dice.choice([1, 2, 3, 9, 40]))))
    keys = {}
    for name in sorted(names - {".", ".."}):
        directory = dice.choice(["", "", "deep/", "x y/+/%2F/"])
        keys[directory + name] = name.encode()[:20]
    return keys


def listed_by_server(s3, bucket):
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def listed_by_mount(top):
    found = set()
    for directory, _, names in os.walk(os.fsencode(top)):
        for name in names:
            found.add(os.path.relpath(os.path.join(directory, name), os.fsencode(top)))
    return found


@pytest.mark.limit(240)
def test_m1_500_generated_keys(s3, mount):
    keys = keys_of_every_byte(500, s3.lists_controls)
    bucket = s3.bucket_of("every-byte", keys)
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    assert {key.encode() for key in listed_by_server(s3, bucket)} == {key.encode() for key in keys}
    assert listed_by_mount(here.directory) == {key.encode() for key in keys}
    for key, body in keys.items():
        assert here.path(key).read_bytes() == body, key
    assert "cannot be shown" not in here.log


def test_m1_an_object_that_is_also_a_prefix_shows_as_the_directory(ceph, mount):
    """The names that sort between `both` and `both/` may be many; none is lost, none doubled.

    (versitygw keeps objects as files, so that it cannot have such a pair.)
    """
    s3 = ceph.s3()
    between = {f"both-{i:03}": b"-" for i in range(150)}
    bucket = s3.bucket_of("clash", {"both": b"object", "both/in": b"inside", "marker/": b"",
                                    **between})
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    names = os.listdir(here.directory)
    assert sorted(names) == sorted([*between, "both", "marker"])
    assert here.path("both").is_dir() and here.path("both", "in").read_bytes() == b"inside"
    assert here.path("marker").is_dir() and os.listdir(here.path("marker")) == []
    os.listdir(here.directory)
    assert len(re.findall(r"'both' is an object and also a prefix", here.log)) == 1, here.log


def test_m2_an_absent_name_is_believed_for_negative_ttl(nulls3, mount):
    here = mount("s3://bench/flat", *nulls3.s3().options, "negative_ttl=3s", "metadata_ttl=1h",
                 env=nulls3.s3().environ)
    missing = here.path("nothing")
    assert not missing.exists()
    with Watch(here, nulls3) as watch:
        for _ in range(10):
            assert not missing.exists()
    assert not watch.seen
    time.sleep(3.1)
    with Watch(here, nulls3) as watch:
        assert not missing.exists()
    assert watch.lists == 1 and watch.heads == 0, watch.seen


def test_m2_names_are_looked_up_where_listing_is_denied(ceph, mount):
    """A policy that lets strangers get and not list: HEAD, reading, and EACCES for a listing."""
    s3 = ceph.s3()
    bucket = s3.bucket_of("unlisted", {"dir/a": b"one", "b": b"two"})
    s3.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"],
                       "Resource": [f"arn:aws:s3:::{bucket}/*"]}]}))
    here = mount(f"s3://{bucket}", "no_sign", *s3.options)
    assert here.path("b").read_bytes() == b"two"
    assert here.path("b").stat().st_size == 3
    with pytest.raises(PermissionError):
        os.listdir(here.directory)
    # A stranger is not told what is not there, nor what is a prefix of readable keys. So what
    # the server does not speak of can be passed as a directory, and cannot be listed.
    assert here.path("dir", "a").read_bytes() == b"one"
    for name in ("dir", "missing"):
        assert here.path(name).is_dir()
        with pytest.raises(PermissionError):
            os.listdir(here.path(name))
    with pytest.raises(OSError):
        here.path("missing", "file").read_bytes()
    assert here.stats().requests("head") >= 1


def test_m1_a_page_that_ends_with_a_control_character(ceph, mount):
    """radosgw continues a listing with the last key as it is, which no XML 1.0 can hold."""
    s3 = ceph.s3()
    keys = {f"a{i:03}": b"" for i in range(999)} | {"b\x01": b"last"} | {"c\x1f/d": b"next"}
    bucket = s3.bucket_of("page-end", keys)
    here = mount(f"s3://{bucket}", *s3.options, env=s3.environ)
    assert listed_by_mount(here.directory) == {key.encode() for key in keys}
    assert here.path("b\x01").read_bytes() == b"last"
    assert here.path("c\x1f", "d").read_bytes() == b"next"
