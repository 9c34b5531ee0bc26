"""Serves the calls of one function: the python runtime's worker.

The function is FUNC_HANDLER of the file MOD_NAME.py in KUBELESS_INSTALL_VOLUME.
Calls come one at a time, as HTTP/1.1 on the Unix socket FUNC_SOCKET. The only
client is the proxy, whose requests are well-formed, so they are read (by
request_reader) without the checks of http.server, which cost more than most
functions.
"""

import functools
import importlib.util
import io
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from urllib.parse import parse_qsl, unquote

TEXT = "text/plain; charset=utf-8"
HEALTHY = b"HTTP/1.1 200 OK\r\nX-Func-Concurrency: 1\r\nContent-Length: 0\r\n\r\n"
BUFFER = 1 << 16  # bytes; up to here a copy is cheaper than a system call
# Headers of responses that say what the connection does, or what the worker
# tells the proxy: a function's own, passed on from another server, say, are
# left out.
NOT_THE_FUNCTIONS = re.compile("connection|content-length|date|keep-alive|proxy-connection|trailer|transfer-encoding"
                               "|upgrade|x-func-.*", re.IGNORECASE | re.DOTALL).fullmatch
FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e]*").fullmatch
to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@functools.cache
def beside(name):
    """A module of the worker's folder, which is not in the path of functions."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = beside("request_reader")
canonical = reader.canonical


class Query(dict):
    """URL parameters: the last value of each name, as items or as attributes; the rest of bottle's FormsDict."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name):
        return [value for key, value in self._pairs if key == name]

    def getunicode(self, name, default=None, encoding=None):
        return self.get(name, default)

    def allitems(self):
        return list(self._pairs)

    def decode(self, encoding=None):
        return self

    getone, getlist, iterallitems = dict.get, getall, allitems

    def __getattr__(self, name):
        if name.startswith("__"):  # copy and pickle look for these
            raise AttributeError(name)
        return self.get(name, "")


class Headers(dict):
    """Values by name in any case; kept as the proxy writes names: Content-Type."""

    def __getitem__(self, name):
        return super().__getitem__(canonical(name))

    def __setitem__(self, name, value):
        super().__setitem__(canonical(name), value)

    def __contains__(self, name):
        return super().__contains__(canonical(name))

    def get(self, name, default=None):
        return super().get(canonical(name), default)


class Request:
    """What a function sees as event['extensions']['request'].

    What most functions ask for is here; the rest is bottle's request, which is
    made when something of it is asked for.
    """

    def __init__(self, method, target, headers, content):
        self.method, self.target, self.headers, self.content = method, target, Headers(headers), content
        path, _, self.query_string = target.partition("?")
        self.path = unquote(path)
        self.json = None  # the parsed body, if the content type is JSON

    @functools.cached_property
    def query(self):
        return Query(parse_qsl(self.query_string, keep_blank_values=True))

    @functools.cached_property
    def body(self):
        return io.BytesIO(self.content)

    def get_header(self, name, default=None):
        return self.headers.get(name, default)

    @functools.cached_property
    def _bottle(self):
        return beside("bottle_request").Request(self)

    def __getattr__(self, name):
        if name.startswith("_"):  # copy and pickle look for these
            raise AttributeError(name)
        return getattr(self._bottle, name)

    def __getitem__(self, name):
        return self.environ[name]

    def __setitem__(self, name, value):
        self._bottle.request[name] = value

    def __delitem__(self, name):
        del self._bottle.request[name]

    def __bool__(self):
        return True  # as its length, which needs bottle's, is never 0

    def __iter__(self):
        return iter(self.environ)

    def __len__(self):
        return len(self.environ)


class Response:
    """What a function may set as event['extensions']['response']."""

    def __init__(self, status=200):
        self.status, self.headers = status, Headers()

    def head(self, content_type, framing):
        if not 200 <= self.status <= 599:
            raise ValueError(f"response.status is {self.status}, not from 200 to 599")
        head = f"HTTP/1.1 {self.status:d} \r\n"
        if self.status not in (204, 304):
            head += f"{framing}\r\n"
        for name, value in self.headers.items():
            if NOT_THE_FUNCTIONS(name):
                continue
            for one in value if isinstance(value, list) else [value]:
                if not FIELD(field := f"{name}: {one}"):
                    raise ValueError(f"response.headers[{name!r}] is not one line of ASCII: {one!r}")
                head += f"{field}\r\n"
        if "Content-Type" not in self.headers:
            head += f"Content-Type: {content_type}\r\n"
        return f"{head}\r\n".encode("ascii")


def make_event(request, response):
    """The function's first argument; an error if the body does not fit its content type."""
    get = functools.partial(dict.get, request.headers)  # these names are written as they are kept
    kind, *parameters = get("Content-Type", "").lower().split(";")
    if kind.strip() == "application/json" or kind.strip().endswith("+json"):
        data = request.json = json.loads(request.content) if request.content else None
    else:
        charsets = [p.split("=", 1)[1].strip(" '\"") for p in parameters if p.strip().startswith("charset=")]
        # Bytes that do not fit survive as surrogate escapes, and a function
        # that returns them gets the same bytes out again.
        data = request.content.decode(*charsets[:1] or ["utf-8"], "surrogateescape")
    return {
        "data": data,
        "event-id": get("Event-Id"),
        "event-type": get("Event-Type"),
        "event-time": get("Event-Time"),
        "event-namespace": get("Event-Namespace"),
        "extensions": {"request": request, "response": response},
    }


def encode(value):
    """Bytes and content type of what a function returned, or of a part of it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape"), TEXT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), "application/octet-stream"
    return to_json(value).encode(), "application/json"


@functools.cache
def event_loop():
    """The one loop that all coroutines run in."""
    import asyncio  # slow to load, and most functions do without

    return asyncio.Runner()


def call(function, context, request):
    """Head and body of the answer, and an iterator of what follows the body or None."""
    response, parts = Response(), None
    try:
        event = make_event(request, response)
    except (ValueError, LookupError, RecursionError) as err:
        return failure(Response(400), f"the body does not fit its content type: {err}\n")
    try:
        result = function(event, dict(context))
        if isinstance(result, Coroutine):
            result = event_loop().run(result)
        if isinstance(result, Iterator):
            # The first part goes with the head: it tells the type, and an
            # exception before it is still an answer.
            parts, result = result, next(result, "")
        body, kind = encode(result)
        framing = f"Content-Length: {len(body)}" if parts is None else "Transfer-Encoding: chunked"
        return response.head(kind, framing), body, parts
    except BaseException as err:  # SystemExit too: a function must not end its worker
        text = trace(err)
        if request.method == "HEAD":  # the answer has no room for it
            sys.stderr.write(text)
        return failure(Response(500), text, f"X-Func-Error: {ascii(type(err).__name__)[1:-1]}\r\n")


def failure(response, text, extra=""):
    body = text.encode("utf-8", "backslashreplace")
    return response.head(TEXT, f"{extra}Content-Length: {len(body)}"), body, None


def trace(err):
    """The traceback from the function's own frames on."""
    import traceback  # slow to load, and most calls go well

    frame = err.__traceback__
    while frame and frame.tb_frame.f_code.co_filename.startswith((__file__, "<frozen importlib")):
        frame = frame.tb_next
    return "".join(traceback.format_exception(err.with_traceback(frame)))


def send(connection, request, head, body, parts):
    if request.method == "HEAD" or head[9:12] in (b"204", b"304"):
        connection.sendall(head)
    elif parts is not None:
        connection.sendall(head + chunk(body))
        for content in chunks(parts):
            connection.sendall(content)
        connection.sendall(b"0\r\n\r\n")
    elif len(body) > BUFFER:
        connection.sendall(head)
        connection.sendall(body)
    else:
        connection.sendall(head + body)


def chunk(content):
    return b"%x\r\n%b\r\n" % (len(content), content) if content else b""  # an empty one is the end


def chunks(parts):
    try:
        for part in parts:
            yield chunk(encode(part)[0])
    except (Exception, SystemExit) as err:
        sys.stderr.write(trace(err))  # too late for a status: the answer is cut off
        raise EOFError from err


def serve(listener, function, context):
    while True:
        connection, _ = listener.accept()
        with connection, open(connection.fileno(), "rb", BUFFER, closefd=False) as stream:
            try:
                while parts := reader.read_request(stream):
                    request = Request(*parts)
                    if request.path == "/_health":
                        connection.sendall(HEALTHY)
                    else:
                        send(connection, request, *call(function, context, request))
                    del request, parts  # its body, while the next one is awaited
            except (OSError, EOFError, ValueError):
                pass  # the client has gone, perhaps in the middle of a body


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


def main(environ):
    sys.stdout.reconfigure(line_buffering=True)  # a pipe's lines would wait for a full buffer
    module_name, function_name = environ["MOD_NAME"], environ["FUNC_HANDLER"]
    context = {
        "function-name": function_name,
        "timeout": float(environ.get("FUNC_TIMEOUT") or 180),
        "runtime": environ.get("FUNC_RUNTIME"),
        "memory-limit": environ.get("FUNC_MEMORY_LIMIT"),
    }
    try:
        function = load(environ.get("KUBELESS_INSTALL_VOLUME") or "/kubeless", module_name, function_name)
    except BaseException as err:  # SystemExit too: a file that exits has not loaded
        sys.exit(f"{trace(err)}cannot load function {function_name!r} of module {module_name!r}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that what is registered with atexit runs
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(environ["FUNC_SOCKET"])
        listener.listen()
        serve(listener, function, context)


if __name__ == "__main__":
    main(os.environ)
