"""A worker that takes one call at once, with the standard library alone."""

import http.server
import os
import socketserver
import traceback


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = False

    def handle_one_request(self):
        self.client_address = ("", 0)
        super().handle_one_request()

    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, extra, out = 200, (), b""
        if self.path != "/_health":
            try:
                out = function(self.path, self.headers.get("Event-Id", ""), body)
            except Exception as e:
                status, extra = 500, (("X-Func-Error", type(e).__name__),)
                out = traceback.format_exc().encode()
        self.send_response(status)
        for header in extra:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    do_GET = do_POST = do

    def log_message(self, *args):
        pass


def function(path, event_id, body):
    if path == "/raise":
        raise ValueError("wrong")
    while path == "/loop":
        pass
    return event_id.encode() + b" " + body


socketserver.UnixStreamServer(os.environ["FUNC_SOCKET"], Handler).serve_forever()
