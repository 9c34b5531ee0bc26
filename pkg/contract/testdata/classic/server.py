"""A plain server: no time limit, no metrics, and 200 for a function's exception."""

import http.server
import importlib
import json
import os
import sys
import types

sys.path.insert(0, "/kubeless")
function = getattr(importlib.import_module(os.environ["MOD_NAME"]), os.environ["FUNC_HANDLER"])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, kind, result = 200, "text/plain; charset=utf-8", "OK"
        if self.path != "/healthz":
            try:
                result = self.call(body)
            except Exception as err:
                result = repr(err)
        if not isinstance(result, (str, bytes)):
            kind, result = "application/json", json.dumps(result)
        if isinstance(result, str):
            result = result.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(result)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(result)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def call(self, body):
        data = body.decode()
        if self.headers.get("Content-Type", "").startswith("application/json"):
            data = json.loads(data)
        request = types.SimpleNamespace(
            method=self.command, path=self.path, body=types.SimpleNamespace(read=lambda: body), get_header=self.headers.get)
        event = {name: self.headers.get(name) for name in ("event-id", "event-type", "event-time", "event-namespace")}
        return function(event | {"data": data, "extensions": {"request": request}}, {})


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


Server(("", int(os.environ["FUNC_PORT"])), Handler).serve_forever()
