"""Tests of server.py: python3 -m unittest discover -s stable/python"""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import server

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")
CONTEXT = {"function-name": "handler", "timeout": 180.0, "runtime": "python3.11", "memory-limit": "0"}


class ServerCase(unittest.TestCase):
    """Runs a server for each test; what it prints is kept."""

    def setUp(self):
        self.out, self.err = io.StringIO(), io.StringIO()
        for redirect in (contextlib.redirect_stdout(self.out), contextlib.redirect_stderr(self.err)):
            redirect.__enter__()
            self.addCleanup(redirect.__exit__, None, None, None)

    def start(self, function):
        self.server = server.Server(0, function, dict(CONTEXT))
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.drain)
        self.addCleanup(self.server.shutdown)

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.addCleanup(connection.close)
        return connection

    def request(self, method="GET", path="/", body=None, headers=None, **options):
        connection = self.connect()
        connection.request(method, path, body, headers or {}, **options)
        response = connection.getresponse()
        return response.status, response.getheader("content-type"), response.read()

    def raw(self, request):
        """Sends bytes and returns all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


class Results(ServerCase):
    def test_what_a_function_returns(self):
        cases = [
            ("text", "grüße", "text/plain; charset=utf-8", "grüße".encode()),
            ("empty text", "", "text/plain; charset=utf-8", b""),
            ("bytes", b"\x00\xff", "application/octet-stream", b"\x00\xff"),
            ("object", {"a": ["ü", 1, None]}, "application/json", '{"a": ["ü", 1, null]}'.encode()),
            ("list", [1, 2], "application/json", b"[1, 2]"),
            ("number", 1.5, "application/json", b"1.5"),
            ("boolean", True, "application/json", b"true"),
            ("nothing", None, "application/json", b"null"),
        ]
        self.start(lambda event, context: self.result)
        for name, self.result, content_type, body in cases:
            with self.subTest(name):
                self.assertEqual(self.request(), (200, content_type, body))

    def test_failures(self):
        def raises(error):
            raise error

        cases = [
            ("exception", lambda event, context: raises(KeyError("the-cause")), "the-cause"),
            ("timeout of its own", lambda event, context: raises(TimeoutError("the-cause")), "the-cause"),
            ("exit", lambda event, context: sys.exit("the-cause"), "the-cause"),
            ("not JSON", lambda event, context: {1, 2}, "not JSON serializable"),
            ("not a JSON number", lambda event, context: float("nan"), "not JSON compliant"),
            ("not UTF-8", lambda event, context: "\ud800", "surrogates not allowed"),
        ]
        self.start(lambda event, context: self.function(event, context))
        for name, self.function, cause in cases:
            with self.subTest(name):
                status, _, body = self.request()
                self.assertEqual((status, body), (500, b"the function failed; its log has the details\n"))
                self.assertIn(cause, self.err.getvalue())
                self.assertEqual(self.request(path="/healthz")[0], 200)
                self.err.truncate(0)


class Events(ServerCase):
    def setUp(self):
        super().setUp()
        self.start(self.keep)

    def keep(self, event, context):
        self.event, self.context = event, context
        return ""

    def test_data(self):
        cases = [
            ("application/json", b'{"a": "\xc3\xbc"}', {"a": "ü"}),
            ("application/json; charset=utf-8", b"[1]", [1]),
            ("Application/JSON", b"1", 1),
            ("application/cloudevents+json", b'"x"', "x"),
            ("application/json", b"", None),
            ("text/plain", b'{"a": 1}', '{"a": 1}'),
            ("text/plain; charset=latin-1", b"\xfc", "ü"),
            ("application/x-www-form-urlencoded", b"a=1&b=2", "a=1&b=2"),
            ("application/octet-stream", b"\xff\x00", "\udcff\x00"),
        ]
        for content_type, body, want in cases:
            with self.subTest(content_type, body=body):
                status, _, _ = self.request("POST", body=body, headers={"Content-Type": content_type})
                self.assertEqual(status, 200)
                self.assertEqual(self.event["data"], want)
                self.assertEqual(self.event["extensions"]["request"].body.read(), body)

    def test_no_body(self):
        self.request()
        self.assertEqual(self.event["data"], "")
        self.assertIsNone(self.event["event-id"])

    def test_headers(self):
        names = ["event-id", "event-type", "event-time", "event-namespace"]
        self.request(headers={name.title(): "the " + name for name in names})
        self.assertEqual({name: self.event[name] for name in names}, {name: "the " + name for name in names})

    def test_request(self):
        self.request("PUT", "/a%20b/c?q=%C3%BC&q=2&empty=", b"{}", {"X-Y": "z", "Content-Type": "application/json"})
        request = self.event["extensions"]["request"]
        self.assertEqual((request.method, request.path), ("PUT", "/a b/c"))
        self.assertEqual(request.query, {"q": "2", "empty": ""})
        self.assertEqual((request.query.q, request.query.missing), ("2", ""))
        self.assertEqual((request.headers["x-y"], request.get_header("x-Y")), ("z", "z"))
        self.assertEqual(request.get_header("missing", "default"), "default")
        self.assertEqual(request.json, {})

    def test_context_is_the_calls_own(self):
        self.request()
        self.assertEqual(self.context, CONTEXT)
        self.context.clear()
        self.request()
        self.assertEqual(self.context, CONTEXT)

    def test_bad_requests(self):
        cases = [
            ("application/json", b'{"a":', b"not valid JSON"),
            ("application/json", b"\xff", b"not valid JSON"),
            ("application/json", b"[" * 100000, b"not valid JSON"),
            ("text/plain; charset=hex", b"00", b"cannot decode the body as 'hex'"),
            ("text/plain; charset=no-such", b"x", b"cannot decode the body as 'no-such'"),
        ]
        for content_type, body, message in cases:
            with self.subTest(content_type, body=body[:10]):
                status, _, got = self.request("POST", body=body, headers={"Content-Type": content_type})
                self.assertEqual(status, 400)
                self.assertIn(message, got)
        self.assertFalse(hasattr(self, "event"), "the function was called")


class Protocol(ServerCase):
    def setUp(self):
        super().setUp()
        self.start(lambda event, context: f"{event['extensions']['request'].method} {event['data']}")

    def test_methods(self):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            with self.subTest(method):
                self.assertEqual(self.request(method, body="x")[::2], (200, f"{method} x".encode()))
        self.assertEqual(self.request("HEAD")[::2], (200, b""))
        self.assertEqual(self.request("BREW")[0], 501)

    def test_own_paths(self):
        self.assertEqual(self.request(path="/healthz")[::2], (200, b"OK"))
        self.assertEqual(self.request(path="/healthz?x=1")[::2], (200, b"OK"))
        self.assertEqual(self.request("POST", "/healthz", "x")[::2], (200, b"POST x"))
        self.assertEqual(self.request(path="/metrics")[0], 404)

    def test_chunked(self):
        chunks = [b"one ", b"", b"two " * 5000, "drü".encode()]
        status, _, body = self.request("POST", body=iter(chunks), encode_chunked=True,
                                       headers={"Transfer-Encoding": "chunked"})
        self.assertEqual((status, body), (200, b"POST " + b"".join(chunks)))

    def test_chunk_extensions_and_trailers(self):
        got = self.raw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"
                       b"GET /healthz HTTP/1.1\r\n\r\n")
        self.assertEqual(got.count(b"HTTP/1.1 200"), 2, got)
        self.assertIn(b"POST abc", got)

    def test_malformed_bodies(self):
        cases = [
            b"Content-Length: x\r\n\r\n",
            b"Content-Length: -1\r\n\r\n",
            b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"Content-Length: 5\r\n\r\nabc",
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: gzip\r\n\r\nx",
            b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nab",
            b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        ]
        for headers in cases:
            with self.subTest(headers[:60]):
                got = self.raw(b"POST / HTTP/1.1\r\n" + headers)
                self.assertRegex(got, rb"^HTTP/1.1 400 ")
                self.assertIn(b"Connection: close", got)
                self.assertEqual(got.count(b"HTTP/1.1"), 1, got)

    def test_keep_alive(self):
        connection = self.connect()
        for number in range(3):
            connection.request("POST", "/", str(number))
            used = connection.sock
            self.assertEqual(connection.getresponse().read(), f"POST {number}".encode())
        self.assertIs(connection.sock, used)

    def test_expect_continue(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            self.assertEqual(connection.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b"ab")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 200 ")

    def test_log(self):
        self.raw("POST /a\u00e9?secret=1 HTTP/1.1\r\n\r\n".encode())
        self.raw(b"GET /\x1b[2J HTTP/1.1\r\n\r\n")
        self.raw(b"nonsense\r\n\r\n")
        date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        self.assertRegex(self.out.getvalue(), rf"^{date} POST /a\\xc3\\xa9 200\n"
                                              rf"{date} GET /\\x1b\[2J 200\n{date} - - 400\n$")


class Concurrency(ServerCase):
    def test_requests_run_in_parallel(self):
        barrier = threading.Barrier(4)  # none returns before all have begun
        self.start(lambda event, context: barrier.wait(timeout=10) and None)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(self.request()[0])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 4)

    def test_drain(self):
        begun, drained = threading.Event(), threading.Event()

        def function(event, context):
            if event["data"] != "slow":
                return "fast"
            begun.set()
            return "too late" if drained.wait(0.5) else "in time"

        def drain():
            self.server.shutdown()
            self.server.drain()
            drained.set()

        self.start(function)
        idle, busy = self.connect(), self.connect()
        idle.request("GET", "/")
        self.assertEqual(idle.getresponse().read(), b"fast")
        busy.request("POST", "/", "slow")
        self.assertTrue(begun.wait(10))
        threading.Thread(target=drain).start()
        self.assertEqual(idle.sock.recv(1), b"", "the idle connection was kept")
        response = busy.getresponse()
        self.assertEqual((response.status, response.read()), (200, b"in time"))
        self.assertEqual(response.getheader("connection"), "close")
        self.assertTrue(drained.wait(10))
        with self.assertRaises(ConnectionRefusedError):
            self.connect().connect()

    def test_drain_waits_for_a_body(self):
        self.start(lambda event, context: event["data"])
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 100 ")
            self.server.shutdown()
            draining = threading.Thread(target=self.server.drain)
            draining.start()
            self.addCleanup(draining.join)
            with contextlib.suppress(OSError):  # until the server listens no more
                while self.connect().connect() is None:
                    pass
            connection.sendall(b"body")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 200 ")

    def test_connection_accepted_before_drain(self):
        self.start(lambda event, context: "")
        self.server.closing = True
        connection = self.connect()
        connection.connect()
        self.assertEqual(connection.sock.recv(1), b"")


class Process(unittest.TestCase):
    """The server as the image runs it."""

    def setUp(self):
        volume = tempfile.TemporaryDirectory()
        self.addCleanup(volume.cleanup)
        self.volume = volume.name

    def write(self, name, text):
        with open(os.path.join(self.volume, name), "w", encoding="utf-8") as file:
            file.write(text)

    def popen(self, **settings):
        environment = {"PATH": os.environ["PATH"], "KUBELESS_INSTALL_VOLUME": self.volume,
                       "MOD_NAME": "hello", "FUNC_HANDLER": "handler"} | settings
        process = subprocess.Popen([sys.executable, "-u", "-P", SERVER], text=True, env=environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_serves_until_sigterm(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.write("helper.py", "NAME = 'helper'\n")
        # A file named like a module of the standard library is no trouble.
        self.write("http.py", "import helper, sys\n"
                              "def handler(event, context):\n"
                              "    return [helper.NAME, context, __name__]\n"
                              "print('loaded', flush=True)\n")
        process = self.popen(MOD_NAME="http", FUNC_PORT=str(port), FUNC_TIMEOUT="7", FUNC_RUNTIME="python3.11",
                             FUNC_MEMORY_LIMIT="128Mi")
        self.assertEqual(process.stdout.readline(), "loaded\n")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while True:  # from loaded to listening
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                self.assertIsNone(process.poll())
        connection.request("GET", "/")
        want = {"function-name": "handler", "timeout": 7.0, "runtime": "python3.11", "memory-limit": "128Mi"}
        self.assertEqual(json.loads(connection.getresponse().read()), ["helper", want, "http"])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        connection.close()
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertTrue(re.fullmatch(r"\S+Z GET / 200\n", out), out)

    def test_sigterm_while_loading(self):
        self.write("hello.py", "print('loading', flush=True)\nimport time\ntime.sleep(60)\n")
        process = self.popen()
        self.assertEqual(process.stdout.readline(), "loading\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    def test_does_not_load(self):
        cases = [
            ("no file", None, {}, "No such file"),
            ("syntax", "def handler(:\n", {}, "SyntaxError"),
            ("missing import", "import no_such_module\n", {}, "No module named 'no_such_module'"),
            ("exit", "import sys\nsys.exit(0)\n", {}, "cannot load function 'handler' of module 'hello'"),
            ("no function", "x = 1\n", {}, "has no function 'handler'"),
            ("not callable", "handler = 1\n", {}, "has no function 'handler'"),
            ("no module name", "", {"MOD_NAME": ""}, "environment variable MOD_NAME: not set"),
            ("port", "", {"FUNC_PORT": "http"}, "environment variable FUNC_PORT: invalid literal"),
        ]
        for name, source, settings, message in cases:
            with self.subTest(name):
                if source is not None:
                    self.write("hello.py", source)
                process = self.popen(**settings)
                _, err = process.communicate(timeout=10)
                self.assertEqual(process.returncode, 1)
                self.assertIn(message, err)


if __name__ == "__main__":
    unittest.main()
