import os
import sys
import time


def echo(event, context):
    return event["data"]


def describe(event, context):
    request = event["extensions"]["request"]
    return {
        "event": {key: value for key, value in event.items() if key != "extensions"},
        "context": context,
        "request": [request.method, request.path, dict(request.query), request.get_header("x-test")],
        "version": "%d.%d" % sys.version_info[:2],
    }


def fail(event, context):
    raise RuntimeError("the cause")


def together(event, context):
    """Returns once four calls are here, each in a process of its own."""
    os.makedirs("/tmp/together", exist_ok=True)
    open(f"/tmp/together/{os.getpid()}", "x").close()
    end = time.monotonic() + 30
    while len(os.listdir("/tmp/together")) < 4:
        if time.monotonic() > end:
            raise TimeoutError("the others did not come")
        time.sleep(0.01)
    return "together"


def slow(event, context):
    print("begun")
    time.sleep(2)
    return "finished"


def handler(event, context):
    name = event["extensions"]["request"].path.rpartition("/")[2]
    return {f.__name__: f for f in (echo, describe, fail, together, slow)}[name](event, context)
