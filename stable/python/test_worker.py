"""Tests of worker.py: python3 -m unittest discover -s stable/python -p 'test_*.py'"""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import worker

WORKER = os.path.abspath(worker.__file__)
# `make unit` needs no packages; `make test`, which sets the variable, installs them.
needs_bottle = unittest.skipUnless(os.path.exists("/usr/lib/python3/dist-packages/bottle.py")
                                   or os.environ.get("RTBUILD_WORKERS") == "all", "python3-bottle is not installed")
CONTEXT = {"function-name": "handler", "timeout": 180.0, "runtime": "python3.11", "memory-limit": "0"}


def request(method="POST", target="/", headers=None, content=b""):
    return worker.Request(method, target, headers or {}, content)


def raises(error):
    raise error


class Answers(unittest.TestCase):
    def answer(self, function, request=request()):
        """Status, header fields and body as they go over the wire."""
        ours, theirs = socket.socketpair()
        with theirs:
            with ours:
                worker.send(ours, request, *worker.call(function, CONTEXT, request))
            head, _, body = b"".join(iter(lambda: theirs.recv(65536), b"")).partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        return int(line.split(" ")[1]), dict(field.split(": ", 1) for field in fields), body

    def test_what_a_function_returns(self):
        async def coroutine():
            return "awaited"

        cases = [
            ("text", "grüße", worker.TEXT, "grüße".encode()),
            ("empty text", "", worker.TEXT, b""),
            ("text that was bytes", "\udcff", worker.TEXT, b"\xff"),
            ("bytes", b"\x00\xff", "application/octet-stream", b"\x00\xff"),
            ("bytearray", bytearray(b"\xff"), "application/octet-stream", b"\xff"),
            ("object", {"a": ["ü", 1, None]}, "application/json", '{"a": ["ü", 1, null]}'.encode()),
            ("list", [1, 2], "application/json", b"[1, 2]"),
            ("number", 1.5, "application/json", b"1.5"),
            ("boolean", True, "application/json", b"true"),
            ("nothing", None, "application/json", b"null"),
            ("coroutine", coroutine(), worker.TEXT, b"awaited"),
        ]
        for name, result, content_type, body in cases:
            with self.subTest(name):
                want = {"Content-Type": content_type, "Content-Length": str(len(body))}
                self.assertEqual(self.answer(lambda event, context: result), (200, want, body))

    def test_streams(self):
        cases = [
            ("text", ["a", "", "bc"], worker.TEXT, b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
            ("bytes", [b"a"], "application/octet-stream", b"1\r\na\r\n0\r\n\r\n"),
            ("objects", [{}, 1], "application/json", b"2\r\n{}\r\n1\r\n1\r\n0\r\n\r\n"),
            ("nothing", [], worker.TEXT, b"0\r\n\r\n"),
        ]
        for name, parts, content_type, body in cases:
            with self.subTest(name):
                want = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
                self.assertEqual(self.answer(lambda event, context: iter(parts)), (200, want, body))

    def test_a_stream_that_fails(self):
        def at_once(event, context):
            raise KeyError("the cause")
            yield

        def later(event, context):
            yield "a"
            raise KeyError("the cause")

        self.assertEqual(self.answer(at_once)[0], 500)
        log = io.StringIO()
        with contextlib.redirect_stderr(log), self.assertRaises(EOFError):
            self.answer(later)
        self.assertIn("the cause", log.getvalue())

    def test_failures(self):
        def exits(event, context):
            sys.exit("the cause")

        cases = [
            ("exception", lambda event, context: raises(KeyError("the cause")), "KeyError", "the cause"),
            ("bad value of its own", lambda event, context: raises(ValueError("the cause")), "ValueError", "the cause"),
            ("exit", exits, "SystemExit", "the cause"),
            ("not JSON", lambda event, context: {1, 2}, "TypeError", "not JSON serializable"),
            ("not a JSON number", lambda event, context: float("nan"), "ValueError", "not JSON compliant"),
            ("not UTF-8", lambda event, context: "\ud800", "UnicodeEncodeError", "surrogates not allowed"),
        ]
        for name, function, error, cause in cases:
            with self.subTest(name):
                status, headers, body = self.answer(function)
                self.assertEqual((status, headers["X-Func-Error"]), (500, error))
                self.assertIn(cause, body.decode())
                self.assertNotIn(WORKER, body.decode())

    def test_response(self):
        def function(event, context):
            response = event["extensions"]["response"]
            response.status, response.headers["content-type"] = 418, "text/html"
            response.headers["Set-Cookie"] = ["a=1", "b=2"]
            return "teapot"

        head, body, _ = worker.call(function, CONTEXT, request())
        self.assertEqual((head, body), (b"HTTP/1.1 418 \r\nContent-Length: 6\r\nContent-Type: text/html\r\n"
                                        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", b"teapot"))

    def test_bad_response(self):
        def function(event, context):
            event["extensions"]["response"].status = self.status
            event["extensions"]["response"].headers.update(self.headers)

        cases = [(100, {}), (600, {}), ("200", {}), (200, {"X": "a\r\nY: b"}), (200, {"X": "\u20ac"})]
        for self.status, self.headers in cases:
            with self.subTest(status=self.status, headers=self.headers):
                self.assertEqual(self.answer(function)[0], 500)

    def test_answers_without_a_body(self):
        def no_content(event, context):
            event["extensions"]["response"].status = 204
            return "ignored"

        log = io.StringIO()
        with contextlib.redirect_stderr(log):
            self.assertEqual(self.answer(lambda *_: "text", request("HEAD"))[1:], (
                {"Content-Type": worker.TEXT, "Content-Length": "4"}, b""))
            self.assertEqual(self.answer(lambda *_: raises(KeyError("the cause")), request("HEAD"))[::2], (500, b""))
            self.assertEqual(self.answer(lambda *_: iter("ab"), request("HEAD"))[::2], (200, b""))
            self.assertEqual(self.answer(no_content)[::2], (204, b""))
        self.assertIn("the cause", log.getvalue())


class Events(unittest.TestCase):
    def event(self, *arguments, **options):
        def keep(event, context):
            kept.extend([event, context])
            context.clear()

        kept = []
        self.head, self.body, _ = worker.call(keep, CONTEXT, request(*arguments, **options))
        return kept[0] if kept else None

    def test_data(self):
        cases = [
            ("application/json", b'{"a": "\xc3\xbc"}', {"a": "ü"}),
            ("application/json; charset=utf-8", b"[1]", [1]),
            ("Application/JSON", b"1", 1),
            ("application/cloudevents+json", b'"x"', "x"),
            ("application/json", b"", None),
            ("text/plain", b'{"a": 1}', '{"a": 1}'),
            ('text/plain; format=flowed; charset="Latin-1"', b"\xfc", "ü"),
            ("application/x-www-form-urlencoded", b"a=1&b=2", "a=1&b=2"),
            ("application/octet-stream", b"\xff\x00", "\udcff\x00"),
        ]
        for content_type, content, want in cases:
            with self.subTest(content_type, content=content):
                event = self.event(headers={"Content-Type": content_type}, content=content)
                self.assertEqual(event["data"], want)
                self.assertEqual(event["extensions"]["request"].body.read(), content)

    def test_bad_data(self):
        cases = [
            ("application/json", b'{"a":', b"Expecting value"),
            ("application/json", b"\xff", b"can't decode"),
            ("application/json", b"[" * 100000, b"recursion"),
            ("text/plain; charset=hex", b"00", b"'hex' is not a text encoding"),
            ("text/plain; charset=no-such", b"x", b"unknown encoding: no-such"),
        ]
        for content_type, content, message in cases:
            with self.subTest(content_type, content=content[:10]):
                self.assertIsNone(self.event(headers={"Content-Type": content_type}, content=content))
                self.assertTrue(self.head.startswith(b"HTTP/1.1 400 "), self.head)
                self.assertNotIn(b"X-Func-Error", self.head)
                self.assertIn(message, self.body)

    def test_headers(self):
        names = ["event-id", "event-type", "event-time", "event-namespace"]
        event = self.event(headers={name.title(): "the " + name for name in names})
        self.assertEqual({name: event[name] for name in names}, {name: "the " + name for name in names})
        event = self.event()
        self.assertEqual([event["data"], event["event-id"]], ["", None])

    def test_request(self):
        got = self.event("PUT", "/a%20b/c?q=%C3%BC&q=2&empty=", {"X-Y": "z", "Content-Type": "application/json"}, b"{}")
        got = got["extensions"]["request"]
        self.assertEqual((got.method, got.path, got.json), ("PUT", "/a b/c", {}))
        self.assertEqual((got.query, got.query.q, got.query.missing), ({"q": "2", "empty": ""}, "2", ""))
        self.assertEqual((got.headers["x-y"], "X-y" in got.headers, got.get_header("x-Y")), ("z", True, "z"))
        self.assertEqual(got.get_header("missing", "default"), "default")

    # What bottle's documentation says of its request.
    @needs_bottle
    def test_request_is_bottles(self):
        form = b"name=B%C3%BCcher&tag=a&tag=b&empty="
        got = self.event("POST", "/a%20b/c?q=1&q=2&name=x&u=%C3%BC", {
            "Content-Type": "application/x-www-form-urlencoded", "Host": "example.org:81", "Cookie": "a=1; b=%22",
            "X-Forwarded-For": "10.0.0.1, 10.0.0.2", "X-Forwarded-Proto": "https", "X-Requested-With": "XMLHttpRequest",
            "Authorization": "Basic dXNlcjpwYXNz", "Accept": "text/html"}, form)["extensions"]["request"]
        self.assertEqual((got.forms["name"], got.forms.name, got.forms.get("tag"), got.forms.getall("tag")),
                         ("Bücher", "Bücher", "b", ["a", "b"]))
        self.assertEqual((got.forms.missing, got.forms.get("missing"), "empty" in got.forms), ("", None, True))
        self.assertEqual((got.POST["name"], got.params["u"], got.params.getall("name"), got.GET["u"]),
                         ("Bücher", "ü", ["x", "Bücher"], "ü"))
        self.assertEqual((got.query.getall("q"), got.query.getunicode("u"), len(got.files)), (["1", "2"], "ü", 0))
        self.assertEqual((got.url, got.fullpath, got.urlparts.netloc, got.script_name),
                         ("https://example.org:81/a%20b/c?q=1&q=2&name=x&u=%C3%BC", "/a b/c", "example.org:81", "/"))
        self.assertEqual((got.remote_addr, got.remote_route, got.is_ajax, got.is_xhr, got.auth),
                         ("10.0.0.1", ["10.0.0.1", "10.0.0.2"], True, True, ("user", "pass")))
        self.assertEqual((got.cookies["a"], got.get_cookie("a"), got.content_type, got.content_length),
                         ("1", "1", "application/x-www-form-urlencoded", len(form)))
        self.assertEqual((got.environ["HTTP_ACCEPT"], got["REQUEST_METHOD"], got.get("missing"), "HTTP_ACCEPT" in got.keys()),
                         ("text/html", "POST", None, True))
        self.assertEqual((got.body.read(), got.chunked, got.method, got.copy().method), (form, False, "POST", "POST"))
        got["own"] = got.own = 1
        self.assertEqual((got["own"], got.own, hasattr(got, "no_such")), (1, 1, False))

    @needs_bottle
    def test_uploads(self):
        content = (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nB\xc3\xbccher\r\n'
                   b'--x\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\n'
                   b"Content-Type: image/png\r\n\r\n" + bytes(range(256)) * 1000 + b"\r\n--x--\r\n")
        got = self.event(headers={"Content-Type": "multipart/form-data; boundary=x"}, content=content)["extensions"]["request"]
        upload = got.files["file"]
        self.assertEqual((got.forms["title"], upload.raw_filename, upload.filename, upload.name, upload.content_type),
                         ("Bücher", "a b.bin", "a-b.bin", "file", "image/png"))
        self.assertEqual(upload.file.read(), bytes(range(256)) * 1000)
        large = self.event(headers={"Content-Type": "application/x-www-form-urlencoded"}, content=b"a=" + b"x" * 1000000)
        self.assertEqual(len(large["extensions"]["request"].forms.a), 1000000)

    @needs_bottle
    def test_headers_as_variables(self):
        got = self.event(headers={"Proxy": "evil", "X_Own": "evil", "Content_length": "evil", "_": "evil", "X-Own": "own"})
        environ = got["extensions"]["request"].environ
        self.assertEqual((environ["HTTP_X_OWN"], "evil" in list(environ.values())), ("own", False))

    def test_context_is_the_calls_own(self):
        self.event()
        self.assertEqual(CONTEXT["function-name"], "handler")


class Reading(unittest.TestCase):
    def read(self, text):
        parts = worker.reader.read_request(io.BufferedReader(io.BytesIO(text)))
        return parts and worker.Request(*parts)

    def test_bodies(self):
        cases = [
            ("none", b"\r\n", b""),
            ("length", b"Content-Length: 3\r\n\r\nabcd", b"abc"),
            ("chunks", b"Transfer-Encoding: chunked\r\n\r\n3\r\na\r\n\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
             b"a\r\n0123456789"),
        ]
        for name, text, want in cases:
            with self.subTest(name):
                self.assertEqual(self.read(b"POST / HTTP/1.1\r\nHost: x\r\n" + text).content, want)

    def test_bodies_cut_off(self):
        self.assertIsNone(self.read(b""))
        for text in (b"Content-Length: 3\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n3\r\nab",
                     b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
            with self.subTest(text), self.assertRaises((EOFError, ValueError)):
                self.read(b"POST / HTTP/1.1\r\n" + text)

    def test_repeated_headers(self):
        got = self.read(b"GET /\xc3\xbc HTTP/1.1\r\nCookie: a\r\nX: 1\r\nCookie: b\r\nX: 2: 3\r\n\r\n")
        self.assertEqual((got.path, got.headers), ("/ü", {"Cookie": "a; b", "X": "1, 2: 3"}))


class Process(unittest.TestCase):
    """The worker as the proxy starts it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.volume, self.socket = folder.name, os.path.join(folder.name, "1.sock")

    def write(self, name, text):
        with open(os.path.join(self.volume, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, **settings):
        environment = {"PATH": os.environ["PATH"], "KUBELESS_INSTALL_VOLUME": self.volume, "FUNC_SOCKET": self.socket,
                       "MOD_NAME": "hello", "FUNC_HANDLER": "handler"} | settings
        process = subprocess.Popen([sys.executable, "-P", WORKER], text=True, env=environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_serves_until_sigterm(self):
        self.write("helper.py", "NAME = 'helper'\n")
        # A file named like a module of the standard library is no trouble.
        self.write("json.py", "import atexit, helper, threading\n"
                              "atexit.register(print, 'cleaned up')\n"
                              "def handler(event, context):\n"
                              "    thread = threading.Thread(target=print, args=['called'])\n"
                              "    thread.start(); thread.join()\n"
                              "    return [helper.NAME, context, __name__]\n"
                              "print('loaded')\n")
        process = self.start(MOD_NAME="json", FUNC_TIMEOUT="7", FUNC_RUNTIME="python3.11", FUNC_MEMORY_LIMIT="1Mi")
        self.assertEqual(process.stdout.readline(), "loaded\n")
        with socket.socket(socket.AF_UNIX) as first:
            while first.connect_ex(self.socket):  # from loaded to listening
                self.assertIsNone(process.poll())
            first.sendall(b"GET /_health HTTP/1.1\r\nHost: worker\r\n\r\n")
            self.assertRegex(first.recv(65536), rb"^HTTP/1.1 200 OK\r\nX-Func-Concurrency: 1\r\n")
            first.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\ncut")  # the client goes
        with socket.socket(socket.AF_UNIX) as second:
            second.connect(self.socket)
            for _ in range(2):
                second.sendall(b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n")
                got = second.recv(65536)
                self.assertTrue(got.endswith(b'["helper", {"function-name": "handler", "timeout": 7.0, '
                                             b'"runtime": "python3.11", "memory-limit": "1Mi"}, "json"]'), got)
                self.assertEqual(process.stdout.readline(), "called\n")
            process.send_signal(signal.SIGTERM)
            self.assertEqual((*process.communicate(timeout=10), process.returncode), ("cleaned up\n", "", 0))

    def test_most_calls_need_no_bottle(self):
        self.write("hello.py", "def handler(event, context):\n"
                               "    request = event['extensions']['request']\n"
                               "    return [bool(request), request.body.read().decode(), '_bottle' in vars(request)]\n")
        process = self.start()
        with socket.socket(socket.AF_UNIX) as connection:
            while connection.connect_ex(self.socket):
                self.assertIsNone(process.poll())
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\ntext")
            self.assertRegex(connection.recv(65536), rb'\[true, "text", false\]$')

    def test_does_not_load(self):
        cases = [
            ("no file", None, "No such file"),
            ("syntax", "\ndef handler(:\n", 'hello.py", line 2\n'),
            ("missing import", "import no_such_module\n", "No module named 'no_such_module'"),
            ("exit", "import sys\nsys.exit(0)\n", "cannot load function 'handler' of module 'hello'"),
            ("no function", "x = 1\n", "has no function 'handler'"),
            ("not callable", "handler = 1\n", "has no function 'handler'"),
        ]
        for name, source, message in cases:
            with self.subTest(name):
                if source is not None:
                    self.write("hello.py", source)
                process = self.start()
                _, err = process.communicate(timeout=10)
                self.assertEqual(process.returncode, 1)
                self.assertIn(message, err)
                self.assertNotIn(WORKER, err)


if __name__ == "__main__":
    unittest.main()
