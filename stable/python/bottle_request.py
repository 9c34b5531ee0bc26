"""What bottle's request has beyond what worker.py gives functions.

Loaded when a function first asks for something of it.
"""

import functools
import importlib.util
import io
import sys
from urllib.parse import unquote_to_bytes

BOTTLE = "/usr/lib/python3/dist-packages/bottle.py"  # Debian's package python3-bottle


def make_environ(request):
    """The request as WSGI has it (PEP 3333).

    Headers with an underscore in their name would pass for others, and
    Proxy for what HTTP clients go by: they are not in it.
    """
    host, _, port = request.headers.get("Host", "").partition(":")
    environ = {
        "REQUEST_METHOD": request.method, "SCRIPT_NAME": "", "QUERY_STRING": request.query_string,
        "PATH_INFO": unquote_to_bytes(request.target.partition("?")[0]).decode("latin-1"),
        "CONTENT_TYPE": request.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(request.content)),
        "SERVER_NAME": host, "SERVER_PORT": port or "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.headers.get("X-Forwarded-For", "").partition(",")[0].strip(),
        "wsgi.version": (1, 0), "wsgi.url_scheme": request.headers.get("X-Forwarded-Proto", "http"),
        "wsgi.input": io.BytesIO(request.content), "wsgi.errors": sys.stderr,
        "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if "_" not in name and name not in ("Content-Type", "Content-Length", "Proxy"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ


class Request:
    """bottle's request, with its forms decoded."""

    def __init__(self, request):
        self.environ = make_environ(request)
        self.request = bottle().BaseRequest(self.environ)

    def __getattr__(self, name):
        value = getattr(self.request, name)
        return decoded(value, True) if isinstance(value, bottle().FormsDict) else value

    @functools.cached_property
    def forms(self):
        return decoded(self.request.forms, self.request.POST.recode_unicode)

    @functools.cached_property
    def POST(self):
        return decoded(self.request.POST, self.request.POST.recode_unicode)

    @functools.cached_property
    def params(self):
        both = decoded(self.request.query, True)
        for name, value in self.forms.allitems():
            both.append(name, value)
        return both


def decoded(form, is_latin_1):
    """A FormsDict with text as it was sent; bottle leaves most in Latin-1, as WSGI has it, except in attributes."""
    if is_latin_1:
        try:
            return form.decode()
        except UnicodeError:
            pass  # it is not UTF-8
    form.recode_unicode = False
    return form


@functools.cache
def bottle():
    """The image's bottle, whatever a function has under that name."""
    spec = importlib.util.spec_from_file_location("kubeless_bottle", BOTTLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BaseRequest.MEMFILE_MAX = 1 << 40  # the proxy has limited bodies, and they are in memory
    return module
