"""Serves one function over HTTP: the runtime phase of the python runtime.

The function is FUNC_HANDLER of the file MOD_NAME.py in the volume
KUBELESS_INSTALL_VOLUME. The port is bound only once the function has loaded,
so a server that accepts connections is ready.
"""

import datetime
import importlib.util
import io
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import traceback
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

TEXT = "text/plain; charset=utf-8"


class BadRequest(Exception):
    """The request cannot be turned into an event; the message is the response."""


class Query(dict):
    """URL parameters: the last value of each name, as items or as attributes."""

    def __getattr__(self, name):
        if name.startswith("__"):  # copy and pickle look for these
            raise AttributeError(name)
        return self.get(name, "")


class Request:
    """What a function sees as event['extensions']['request']."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.headers = headers  # case-insensitive mapping
        self.body = io.BytesIO(body)
        self.json = None  # the parsed body, if the content type is JSON
        try:
            url = urlsplit(target)
        except ValueError as err:
            raise BadRequest(f"malformed request target: {err}") from err
        self.path = unquote(url.path)
        self.query = Query(parse_qsl(url.query, keep_blank_values=True))

    def get_header(self, name, default=None):
        return self.headers.get(name, default)


def make_event(request):
    """The function's first argument, from a Request."""
    body, headers = request.body.getvalue(), request.headers
    kind = headers.get_content_type() if "content-type" in headers else ""
    if kind == "application/json" or kind.endswith("+json"):
        data = request.json = parse_json(body)
    else:
        charset = headers.get_content_charset("utf-8")
        try:
            # Bytes that are no UTF-8 survive as surrogate escapes, and a
            # function that returns them gets the same bytes out again.
            data = body.decode(charset, "surrogateescape")
        except (LookupError, ValueError) as err:
            raise BadRequest(f"cannot decode the body as {charset!r}: {err}") from err
    event = {f"event-{name}": headers.get(f"event-{name}") for name in ("id", "type", "time", "namespace")}
    return event | {"data": data, "extensions": {"request": request}}


def parse_json(body):
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError) as err:
        raise BadRequest(f"the body is not valid JSON: {err}") from err


def make_response(result):
    """Body and content type of what a function returned."""
    if isinstance(result, str):
        return result.encode("utf-8", "surrogateescape"), TEXT
    if isinstance(result, (bytes, bytearray)):
        return bytes(result), "application/octet-stream"
    return json.dumps(result, ensure_ascii=False, allow_nan=False).encode(), "application/json"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written separately
    timeout = 120  # seconds a connection may stall or stay idle

    def handle_one_request(self):
        self.server.set_idle(self.connection, True)
        super().handle_one_request()

    def parse_request(self):  # called as soon as a request line has arrived
        self.server.set_idle(self.connection, False)
        self.path = "-"  # for the log, should the line be malformed
        return super().parse_request()

    def serve(self):
        try:
            request = Request(self.command, self.path, self.headers, self.read_body())
            if request.method in ("GET", "HEAD") and request.path == "/healthz":
                self.reply(200, b"OK")
            elif request.method in ("GET", "HEAD") and request.path == "/metrics":
                self.reply(404, b"this runtime has no metrics\n")  # not the function's: scrapers poll it
            else:
                self.reply(*self.call(make_event(request)))
        except BadRequest as err:
            self.close_connection = True  # where the next request starts is unknown
            self.reply(400, f"{err}\n".encode("utf-8", "backslashreplace"))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def call(self, event):
        try:
            return 200, *make_response(self.server.function(event, dict(self.server.context)))
        except BaseException:  # SystemExit too: a function must not end its thread
            traceback.print_exc()
            return 500, b"the function failed; its log has the details\n", TEXT

    def reply(self, status, body, content_type=TEXT):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.server.closing or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self):
        lengths = self.headers.get_all("content-length", [])
        codings = [coding.lower() for coding in self.headers.get_all("transfer-encoding", [])]
        if not codings and len(set(lengths)) <= 1:
            return self.read_exactly(parse_size(lengths[0], 10)) if lengths else b""
        if lengths or codings != ["chunked"]:
            raise BadRequest("a body needs one Content-Length, or else the transfer coding chunked")
        chunks = []
        while size := parse_size(self.read_line().partition(b";")[0].strip().decode("latin-1"), 16):
            chunks.append(self.read_exactly(size))
            if self.read_line().strip():
                raise BadRequest("malformed chunk: longer than its size")
        while self.read_line().strip():
            pass  # trailers
        return b"".join(chunks)

    def read_exactly(self, size):
        data = self.rfile.read(size)
        if len(data) != size:
            raise BadRequest("the body is shorter than announced")
        return data

    def read_line(self):
        line = self.rfile.readline(8192)
        if not line.endswith(b"\n"):
            raise BadRequest("malformed chunk: line too long or cut off")
        return line

    def version_string(self):
        return "kubeless-python"

    def log_request(self, code, size="-"):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = self.path.partition("?")[0]  # a query may hold secrets,
        path = path.encode("unicode_escape").decode()  # a path control characters
        sys.stdout.write(f"{now} {self.command or '-'} {path} {int(code)}\n")
        sys.stdout.flush()

    def log_error(self, *args):
        pass  # the request log has the status


def parse_size(text, base):
    allowed = "0123456789abcdef"[:base]
    if not 0 < len(text) <= 16 or text.lower().strip(allowed):
        raise BadRequest(f"malformed body length {text!r}")
    return int(text, base)


class Server(ThreadingHTTPServer):
    """One thread per connection; server_close waits for those still working."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port, function, context):
        self.function, self.context = function, context
        self.lock, self.idle, self.closing = threading.Lock(), set(), False
        super().__init__(("", port), Handler)

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's would ask DNS for a name

    def set_idle(self, connection, idle):
        with self.lock:
            (self.idle.add if idle else self.idle.discard)(connection)
            if idle and self.closing:
                stop_reading(connection)

    def shutdown_request(self, request):
        self.set_idle(request, False)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: connection failed: {sys.exc_info()[1]!r}", file=sys.stderr)

    def drain(self):
        """Stops listening, ends idle connections and waits for requests in flight."""
        with self.lock:
            self.closing = True
            for connection in self.idle:
                stop_reading(connection)
        self.server_close()


def stop_reading(connection):
    # What has already arrived can still be read, so a request is not lost.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def load(volume, module_name, function_name):
    """Imports the function's file and returns the function."""
    path = os.path.join(volume, module_name + ".py")
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, volume)  # for the other files of the function
    sys.modules.setdefault(module_name, module)
    spec.loader.exec_module(module)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise TypeError(f"{path} has no function {function_name!r}")
    return function


def setting(name, parse=str, default=None):
    value = os.environ.get(name, default)
    try:
        if not value:
            raise ValueError("not set")
        return parse(value)
    except ValueError as err:
        sys.exit(f"environment variable {name}: {err}")


def main():
    # The first process of a container ignores SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    module_name, function_name = setting("MOD_NAME"), setting("FUNC_HANDLER")
    port = setting("FUNC_PORT", int, "8080")
    context = {
        "function-name": function_name,
        "timeout": setting("FUNC_TIMEOUT", float, "180"),
        "runtime": os.environ.get("FUNC_RUNTIME"),
        "memory-limit": os.environ.get("FUNC_MEMORY_LIMIT"),
    }
    try:
        function = load(os.environ.get("KUBELESS_INSTALL_VOLUME") or "/kubeless", module_name, function_name)
    except BaseException:  # SystemExit too: a file that exits has not loaded
        traceback.print_exc()
        sys.exit(f"cannot load function {function_name!r} of module {module_name!r}")
    server = Server(port, function, context)
    # shutdown waits for serve_forever, which runs in the thread of the signal.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.drain()


if __name__ == "__main__":
    main()
