"""An S3 bucket in this process: it answers as S3 does, until a test bends its answers."""
import hashlib
import ssl
import urllib.parse
from xml.sax.saxutils import escape

from lib_canned import Canned

MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"


def error(status, code, extra="", headers=()):
    """An error answer as S3 gives it."""
    return status, f"<Error><Code>{code}</Code><Message>{code}, says the test</Message>" \
                   f"<RequestId>R-{code}</RequestId>{extra}</Error>".encode(), dict(headers)


class Bucket:
    """objects ({key: bytes}) as a bucket of path style at `endpoint`.

    `bend(handler, answer)` may be set: it gets the request and a function that makes the
    right answer, and returns (status, body, headers); or None, when it has dealt with the
    connection itself. `requests` are those of lib_canned.
    """

    def __init__(self, objects, name="bench", page=1000, tls=None):
        self.objects, self.name, self.page, self.bend = dict(objects), name, page, None
        self.canned = Canned(answer=self._bent)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server = self.canned.server
            server.socket = context.wrap_socket(server.socket, server_side=True)
            self.canned.url = f"https://localhost:{server.server_address[1]}"
        self.endpoint = self.canned.url

    @property
    def options(self):
        return [f"endpoint={self.endpoint}", "region=us-east-1", "addressing=path"]

    @property
    def requests(self):
        return self.canned.requests

    def __enter__(self):
        self.canned.__enter__()
        return self

    def __exit__(self, *reason):
        self.canned.__exit__(*reason)

    def _bent(self, handler):
        bend = self.bend
        return bend(handler, lambda: self.answer(handler)) if bend else self.answer(handler)

    def answer(self, handler):
        path, _, query = handler.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(path.lstrip("/")).partition("/")
        if bucket != self.name:
            return error(404, "NoSuchBucket")
        if not key:
            return self._list(query)
        if key not in self.objects:
            return error(404, "NoSuchKey")
        return self._object(handler, self.objects[key])

    @staticmethod
    def etag(body):
        return f'"{hashlib.md5(body).hexdigest()}"'

    def _list(self, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        entries, last, more = [], "", False
        for key in sorted(self.objects):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix):]
            group = delimiter and delimiter in rest and \
                prefix + rest[:rest.index(delimiter) + 1]
            if (group or key) <= after or group and group == last:
                continue
            if len(entries) == self.page:
                more = True
                break
            last = group or key
            shown = escape(urllib.parse.quote(last))
            entries.append(
                f"<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>" if group else
                f"<Contents><Key>{shown}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(self.etag(self.objects[key]))}</ETag>"
                f"<Size>{len(self.objects[key])}</Size></Contents>")
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        return 200, (
            "<ListBucketResult><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(entries)}"
            "</ListBucketResult>").encode(), {"Content-Type": "application/xml"}

    def _object(self, handler, body):
        headers = {"ETag": self.etag(body), "Last-Modified": MODIFIED}
        if handler.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            return error(412, "PreconditionFailed")
        wanted = handler.headers.get("Range")
        if not wanted:
            return 200, body, headers
        low, _, high = wanted.split("=")[1].partition("-")
        first, last = int(low), min(int(high), len(body) - 1)
        if first > last:
            return error(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return 206, body[first:last + 1], headers
