"""A web server that gives answers no sane server gives, or that a test cannot provoke."""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """Runs `self.server` in a thread for the time of a with statement."""

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Canned(Served):
    """Answers everything with one status, body and headers; or with what answer() returns.

    answer(handler) may do with the handler what it likes and returns None, or (status,
    body, headers). `requests` holds (method, path, headers) of all that came.
    """

    def __init__(self, status=200, body="", headers=(), answer=None):
        body = body.encode() if isinstance(body, str) else body
        canned = self
        self.requests = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                canned.requests.append((self.command, self.path, dict(self.headers)))
                reply = answer(self) if answer else (status, body, headers)
                if reply is None:
                    return
                self.send_response(reply[0])
                for key, value in dict(reply[2]).items():
                    self.send_header(key, value)
                if "Content-Length" not in dict(reply[2]):
                    self.send_header("Content-Length", str(len(reply[1])))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply[1])

            do_HEAD = do_PUT = do_POST = do_DELETE = do_PROPFIND = do_OPTIONS = do_CONNECT = do_GET

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that hung up is what some tests want

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
