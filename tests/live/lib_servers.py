"""The servers of tests/servers, started on ports of their own, with their logs."""
import os
import shutil
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import lib_data
from lib_proc import free_ports, run, wait_until

SCRIPTS = Path(__file__).parents[1] / "servers"


class Server:
    """One server: `script start WORK ARGUMENTS`, its WORK/env in `env`."""

    running = []

    def __init__(self, script, *arguments, environ=None):
        self.script = SCRIPTS / script
        # Ceph's sockets lie in here, and their paths hold 107 characters.
        self.work = Path(tempfile.mkdtemp(prefix="pailfs-srv-", dir="/tmp"))
        self.arguments = [str(argument) for argument in arguments]
        self.environ = {**os.environ, **(environ or {})}
        Server.running.append(self)
        try:
            self.start()
        except BaseException:
            self.wipe()
            raise
        pairs = (line.split("=", 1) for line in (self.work / "env").read_text().splitlines())
        self.env = {key: value.strip('"') for key, value in pairs}

    def script_run(self, verb, *arguments):
        return run([self.script, verb, self.work, *arguments], env=self.environ, timeout=120)

    def start(self):
        self.script_run("start", *self.arguments)

    def stop(self):
        self.script_run("stop")

    def wipe(self):
        if self in Server.running:
            Server.running.remove(self)
            self.script_run("wipe")
            shutil.rmtree(self.work, ignore_errors=True)


@dataclass
class Request:
    """What a server says of one request that it answered."""
    method: str
    status: int
    sent: int
    range: str
    key: str


class RequestLog:
    """The tail of a server's log from the moment that this is made."""

    def __init__(self, path, parse):
        self.path, self.parse = Path(path), parse
        self.offset = self.path.stat().st_size if self.path.exists() else 0

    def read(self):
        """The requests so far. A line is written after its answer: wait until none comes."""
        size = -1
        while self.path.exists() and size != self.path.stat().st_size:
            size = self.path.stat().st_size
            time.sleep(0.2)
        with open(self.path, "rb") as log:
            log.seek(self.offset)
            return [self.parse(line) for line in log.read().decode(errors="replace").splitlines()]


@dataclass
class S3:
    """An S3 endpoint with its keys; what pailfs and boto3 need to reach it."""
    endpoint: str
    access_key: str
    secret_key: str
    ca: str = None
    lists_controls: bool = True  # can a listing name a key with \x01 in it?

    @property
    def options(self):
        words = [f"endpoint={self.endpoint}", "region=us-east-1", "addressing=path"]
        return words + ([f"ca_file={self.ca}"] if self.ca else [])

    @property
    def environ(self):
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self):
        import boto3
        from botocore.config import Config
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key, region_name="us-east-1",
            verify=self.ca or True,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))

    def bucket_of(self, name, objects=None):
        """The bucket `name`, made when it is not there: from a data set of that name, or
        from objects ({key: body})."""
        client = self.client()
        if name not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            if objects is None:
                self.upload_tree(name, lib_data.data(name))
            else:
                client.create_bucket(Bucket=name)
                for key, body in objects.items():
                    client.put_object(Bucket=name, Key=key, Body=body)
        return name

    def upload_tree(self, bucket, directory):
        """Puts a directory's files into a new bucket, many at once: curl's --parallel.

        The names must need no quoting in a URL.
        """
        self.client().create_bucket(Bucket=bucket)
        lines = []
        for path in sorted(Path(directory).rglob("*")):
            if path.is_file():
                key = path.relative_to(directory).as_posix()
                lines.append(f'upload-file = "{path}"\nurl = "{self.endpoint}/{bucket}/{key}"\n'
                             'output = "/dev/null"\n')
        with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
            config.write("".join(lines))
            config.flush()
            run(["curl", "-sS", "--fail-early", "-f", "-Z", "--parallel-max", "16",
                 *(["--cacert", self.ca] if self.ca else []),
                 "--aws-sigv4", "aws:amz:us-east-1:s3", "-u",
                 f"{self.access_key}:{self.secret_key}",
                 "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-K", config.name], timeout=300)


class Ceph(Server):
    def __init__(self, environ=None):
        base = free_ports(20)[0]
        super().__init__("ceph-rgw.sh", base, base + 1, base + 2, environ=environ)

    def s3(self, tls=False):
        return S3(self.env["S3_TLS_ENDPOINT" if tls else "S3_ENDPOINT"],
                  self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"],
                  self.env["S3_CA"] if tls else None)

    def admin(self, *arguments):
        """radosgw-admin: what no S3 request can do."""
        return run(["radosgw-admin", *arguments],
                   env={**os.environ, "CEPH_CONF": self.env["CEPH_CONF"]}).stdout


class VersityGW(Server):
    def __init__(self):
        super().__init__("versitygw.sh", *free_ports())

    def s3(self):
        return S3(self.env["S3_ENDPOINT"], self.env["AWS_ACCESS_KEY_ID"],
                  self.env["AWS_SECRET_ACCESS_KEY"],
                  lists_controls=False)  # no encoding-type=url: XML cannot hold them


class Nginx(Server):
    """A web server over self.root: `endpoint`, with `ca` `tls_endpoint`, and `h2c_endpoint`,
    which speaks HTTP/2 without TLS and nothing else."""

    def __init__(self):
        port, tls_port, h2c_port = free_ports(3)
        super().__init__("nginx-static.sh", port, tls_port,
                         environ={"ACCESS_LOG": "1", "H2C_PORT": str(h2c_port)})
        self.h2c_endpoint = self.env["H2C_ENDPOINT"]
        self.root = Path(self.env["HTTP_ROOT"])
        self.endpoint, self.tls_endpoint = self.env["HTTP_ENDPOINT"], self.env["HTTPS_ENDPOINT"]
        self.ca = self.env["HTTP_CA"]

    def requests(self):
        return RequestLog(self.work / "log" / "access.log", self._parse)

    @staticmethod
    def _parse(line):
        _, method, status, sent, range_, target = line.split("\t")
        return Request(method, int(status), int(sent), range_, target)


class NullS3(Server):
    """nulls3 over a directory: bucket "bench", no signatures, a log of each request."""

    bucket = "bench"

    def __init__(self, directory):
        super().__init__("nulls3.sh", *free_ports(), directory)

    def s3(self):
        return S3(self.env["S3_ENDPOINT"], "any", "any")

    def link(self, delay="0", rate="0", total="0"):
        self.script_run("link", delay, rate, total)

    def requests(self):
        return RequestLog(self.work / "requests.log", self._parse)

    @staticmethod
    def _parse(line):
        _, _, _, kind, status, _, sent, range_, key = line.split("\t")
        return Request(kind, int(status), int(sent), range_, key)


class FaultProxy(Server):
    """Trouble between pailfs and a server; set() adds to what is set, clear() ends it."""

    def __init__(self, upstream):
        host = upstream.split("//")[-1].rstrip("/")
        super().__init__("faultproxy.sh", host, *free_ports(2), 0)
        self.endpoint = self.env["PROXY_ENDPOINT"]

    def _control(self, what):
        with urllib.request.urlopen(f"{self.env['PROXY_CONTROL']}/{what}", timeout=10) as answer:
            return dict(line.split("=", 1) for line in answer.read().decode().splitlines()
                        if "=" in line)

    def set(self, **settings):
        return self._control("set?" + urllib.parse.urlencode(settings))

    def clear(self):
        self._control("clear")

    def get(self):
        """The settings, and the counters `requests` and `faults` since the last clear()."""
        return self._control("get")

    def wait_for_faults(self, count, timeout=10):
        wait_until(lambda: int(self.get().get("faults", 0)) >= count, timeout, f"{count} faults")
