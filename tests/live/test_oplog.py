"""The operation log, read by `zstd -dc | cut` and by Python's csv: both give the counts of the
server's own log; what fails is in it; what is dropped is counted; reads never wait for it."""
import collections
import csv
import os
import random
import sys
import time

import lib_data
import pytest
from lib_mount import start_fails
from lib_proc import PAILCTL, run, wait_until
from test_faults import QUICK

NAMES = {"GET": "GET_RANGE", "ListV2": "LIST", "HEAD": "STAT"}  # nulls3's words, and the log's


def by_cut(path, columns):
    """{values of these columns: how often}, by programs that know nothing of csv."""
    reader = "zstd -qdc" if str(path).endswith(".zst") else "cat"
    lines = run(["sh", "-c", f"{reader} {path} | cut -f{columns} | tail -n +2"]).stdout.splitlines()
    return collections.Counter(lines)


def by_csv(path):
    if str(path).endswith(".zst"):
        lines = run(["zstd", "-qdc", path]).stdout
    else:
        lines = path.read_text(errors="surrogateescape")
    return list(csv.DictReader(lines.split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE))


def work(directory):
    """Some of all that reads: whole files, ranges, listings, names that are not there."""
    rand = random.Random(17)
    run(["cmp", directory / "odd.bin", lib_data.data("tools") / "odd.bin"])
    run(["diff", "-r", directory / "samples", lib_data.data("tools") / "samples"], timeout=100)
    file = os.open(directory / "array.npy", os.O_RDONLY)
    for _ in range(50):
        os.pread(file, 5000, rand.randrange(60 * lib_data.MIB))
    os.close(file)
    for i in range(5):
        with pytest.raises(FileNotFoundError):
            os.stat(directory / f"missing-{i}")


def settled(mount):
    wait_until(lambda: mount.stats().sum("pailfs_gets_in_flight") == 0, 10, "end of all GETs")


@pytest.mark.parametrize("suffix", [".csv.zst", ".csv"])
def test_two_readers_give_the_servers_counts(nulls3, mount, tmp_path, suffix):
    path, server = tmp_path / f"log{suffix}", nulls3.requests()
    here = mount("s3://bench/tools", *nulls3.s3().options, f"oplog={path}", env=nulls3.s3().environ)
    work(here.directory)
    settled(here)
    assert here.stats().sum("pailfs_oplog_dropped_total") == 0
    here.unmount()
    requests, rows = server.read(), by_csv(path)

    counts = collections.Counter(NAMES[each.method] for each in requests)
    assert by_cut(path, 3) == counts
    assert collections.Counter(row["op"] for row in rows) == counts
    # Which objects, how often, and how many bytes of them.
    got = [(each.key, each.sent) for each in requests if each.method == "GET"]
    logged = [(f'"{row["file"]}"', int(row["bytes"])) for row in rows if row["op"] == "GET_RANGE"]
    assert collections.Counter(logged) == collections.Counter(got)
    assert sum(int(line.split("\t")[1]) * n for line, n in by_cut(path, "3,6").items()
               if line.startswith("GET_RANGE")) == sum(sent for _, sent in got)
    assert [int(row["idx"]) for row in rows] == list(range(len(rows)))
    assert not any(row["error"] for row in rows)
    summary = run([PAILCTL, "oplog", "summary", path]).stdout
    for op, count in counts.items():
        assert any(line.split()[:2] == [op, str(count)] for line in summary.splitlines()), summary


def test_each_failed_attempt_is_a_line(faultproxy, mount, tmp_path):
    path = tmp_path / "log.csv.zst"
    here = mount("s3://bench/tools", f"endpoint={faultproxy.endpoint}", "region=us-east-1",
                 "addressing=path", "no_sign", f"oplog={path}", *QUICK)
    os.listdir(here.directory)
    faultproxy.set(method="GET", path="tools/", status=503, times=7)
    run(["cmp", here.path("odd.bin"), lib_data.data("tools") / "odd.bin"])
    settled(here)
    stats, faults = here.stats(), int(faultproxy.get()["faults"])
    here.unmount()
    rows = by_csv(path)
    failed = [row for row in rows if row["error"]]
    assert len(failed) == faults == 7 == stats.requests("get", "retry")
    assert {(row["op"], row["file"], row["error"]) for row in failed} == \
        {("GET_RANGE", "tools/odd.bin", "503 SlowDown")}
    assert sum(n for error, n in by_cut(path, 9).items() if error) == 7
    assert len(rows) == sum(stats.requests(op, result) for op in ("get", "list", "head")
                            for result in ("ok", "retry", "error"))
    summary = run([PAILCTL, "oplog", "summary", path]).stdout.splitlines()
    line, = [line.split() for line in summary if line.startswith("GET_RANGE")]
    assert line[2] == "7", summary


def test_a_full_disk_at_the_start_is_refused(nulls3):
    s3 = nulls3.s3()
    line = start_fails("s3://bench/tools", *s3.options, "oplog=/dev/full", env=s3.environ)
    assert "/dev/full" in line and "No space left" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs")
def test_a_full_disk_drops_lines_counts_them_and_stops_nobody(nulls3, mount, tmp_path):
    s3, path = nulls3.s3(), tmp_path / "log.csv"
    run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", tmp_path])
    try:
        here = mount("s3://bench/tools", *s3.options, f"oplog={path}", env=s3.environ)
        work(here.directory)
        settled(here)
        time.sleep(1.5)  # lines are gathered for a second
        stats = here.stats()
        here.unmount()
        total = sum(stats.requests(op) for op in ("get", "list", "head"))
        dropped = stats.sum("pailfs_oplog_dropped_total")
        whole = [row for row in by_csv(path) if row["duration_ns"]]
        assert dropped > 0 and total - dropped <= len(whole) < total
        assert here.log.count("lines are dropped") == 1
    finally:
        run(["umount", tmp_path])


READ = """
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
for i in range(12000):
    os.pread(file, 1, i * 8192 + 1)
"""


def test_a_log_that_nobody_takes_delays_no_reader(nulls3, mount, tmp_path):
    """The log is a pipe that nobody empties: reads go on, lines are dropped and counted."""
    pipe, s3 = tmp_path / "pipe", nulls3.s3()
    os.mkfifo(pipe)
    sleeper = os.open(pipe, os.O_RDWR)  # holds it open, and reads nothing
    try:
        here = mount("s3://bench/tools", *s3.options, f"oplog={pipe}", "read_policy=ranged",
                     "range_buffer=0", env=s3.environ)
        run([sys.executable, "-c", READ, here.path("odd.bin")])
        settled(here)
        assert here.stats().requests("get") > 10000
        assert here.stats().sum("pailfs_oplog_dropped_total") > 0
    finally:
        os.close(sleeper)
