"""The workloads that bench/run gives to its systems."""
import os

from lib_proc import run
from systems import Curl, parallel

MIB = 1 << 20
SMALL_FILES, SMALL_SIZE = 10000, 1024


# The workloads: what(system, context) does it and returns (bytes, operations). prepare()
# comes before the clock starts.

class Workload:
    def __init__(self, kind, text, act, prepare=None, files=1, without=(),
                 lists=False):
        self.kind, self.text, self.act, self.prepare = kind, text, act, prepare
        self.files = files      # of context.size, which it reads or writes
        self.without = without  # names of systems that cannot
        self.lists = lists      # a directory of the bucket


def read_whole(count):
    def act(system, context):
        names = [f"file{i}" for i in range(count)]
        if isinstance(system, Curl):
            share = system.connections if count == 1 else 1
            step = context.size // share
            system.connections = max(system.connections, count)
            system.ranges([(name, i * step, (i + 1) * step - 1)
                           for name in names for i in range(share)])
        else:
            parallel([["dd", f"if={system.directory / name}", "of=/dev/null", "bs=1M",
                       "status=none"] for name in names])
        return count * context.size, 0
    return act


def read_random(size, count):
    def act(system, context):
        if isinstance(system, Curl):
            step = context.size // size
            system.ranges([("file0", i * 7919 % step * size, (i * 7919 % step + 1) * size - 1)
                           for i in range(count)])
        else:
            run([context.tool("randio"), "read", system.directory / "file0", size, count],
                timeout=900)
        return size * count, count
    return act


def visit_small(how):
    """The bucket's many small files, by one process that begins with the listing."""
    def act(system, context):
        if isinstance(system, Curl):
            system.ranges([(f"small/file-{i:06}", 0, SMALL_SIZE - 1) for i in range(SMALL_FILES)])
        else:
            run([context.tool("manyfiles"), how, system.directory / "small", SMALL_FILES],
                timeout=900)
        return (SMALL_SIZE * SMALL_FILES if how == "read" else 0), SMALL_FILES
    return act


def make_file(system, context):
    run(["dd", "if=/dev/zero", f"of={system.directory / 'file'}", "bs=1M", "conv=fsync",
         f"count={context.size // MIB}", "status=none"], timeout=900)
    context.drop_caches()


def write_whole(system, context):
    make_file(system, context)
    return context.size, 0


def read_back(system, context):
    run(["dd", f"if={system.directory / 'file'}", "of=/dev/null", "bs=1M", "status=none"],
        timeout=900)
    return context.size, 0


def write_random(how, count):
    def act(system, context):
        run([context.tool("randio"), how, system.directory / "file", 4096, count], timeout=900)
        os.sync()
        return 4096 * count, count
    return act


def many(how, *before):
    def act(system, context):
        run([context.tool("manyfiles"), how, system.directory, SMALL_FILES], timeout=900)
        return 0, SMALL_FILES

    def prepare(system, context):
        for each in before:
            run([context.tool("manyfiles"), each, system.directory, SMALL_FILES], timeout=900)
        if before:
            context.drop_caches()
    return act, prepare


WORKLOADS = {
    "seq": Workload("bucket", "dd bs=1M of one file", read_whole(1)),
    "seq4": Workload("bucket", "dd bs=1M of four files at once", read_whole(4), files=4),
    "rand256k": Workload("bucket", "1,000 random reads of 256 KiB", read_random(256 << 10, 1000)),
    "rand4k": Workload("bucket", "4,000 random reads of 4 KiB", read_random(4 << 10, 4000)),
    "small": Workload("bucket", "10,000 files of 1 KiB listed and read, one after the other",
                      visit_small("read"), without=("nullfs",), lists=True),
    "names": Workload("bucket", "10,000 files listed with their attributes",
                      visit_small("list"), without=("nullfs", "curl", "curl8"), lists=True),
    "write": Workload("directory", "dd bs=1M conv=fsync of one file", write_whole),
    "read": Workload("directory", "dd bs=1M of that file, cold", read_back, make_file),
    "write4k": Workload("directory", "20,000 random writes of 4 KiB, then sync",
                        write_random("write", 20000), make_file),
    "fsync4k": Workload("directory", "500 random writes of 4 KiB, each with fsync",
                        write_random("fsync", 500), make_file),
    "create": Workload("directory", "10,000 files of 1 KiB made", *many("create")),
    "list": Workload("directory", "10,000 files listed with their attributes",
                     *many("list", "create")),
    "remove": Workload("directory", "10,000 files removed", *many("remove", "create")),
}
GROUPS = {"reads": [name for name, w in WORKLOADS.items() if w.kind == "bucket"],
          "writes": [name for name, w in WORKLOADS.items() if w.kind == "directory"]}
