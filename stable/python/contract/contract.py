"""Does what its data says, for the checks of the contract."""

import os
import signal
import time


def handler(event, context):
    data = event["data"]
    if isinstance(data, dict) and "do" in data:
        return OPERATIONS[data["do"]](data, event, context)
    if not event["extensions"]["request"].body.read():
        return "hello world"
    return data


def echo(data, event, context):
    return data["value"]


def describe_event(data, event, context):
    return {name: event[name] for name in ("event-id", "event-type", "event-time", "event-namespace")}


def describe_context(data, event, context):
    return context


def describe_request(data, event, context):
    request = event["extensions"]["request"]
    return {"method": request.method, "path": request.path, "header": request.get_header("X-Contract")}


def status(data, event, context):
    response = event["extensions"]["response"]
    response.status = data["code"]
    response.headers["X-Contract"] = "set"
    return "teapot"


def header(data, event, context):
    event["extensions"]["response"].headers[data["name"]] = data["text"]
    return "framed"


def stream(data, event, context):
    for number in range(data["parts"]):
        if number:
            time.sleep(data["seconds"])
        yield f"part {number}\n"


def sleep(data, event, context):
    time.sleep(data["seconds"])
    return "slept"


def spin(data, event, context):
    while True:
        pass


def fail(data, event, context):
    raise RuntimeError("contract: failing on purpose")


def end(data, event, context):
    os._exit(3)  # sys.exit is an exception like any other


def crash(data, event, context):
    os.kill(os.getpid(), signal.SIGSEGV)


def big(data, event, context):
    return "x" * data["bytes"]


def all_bytes(data, event, context):
    return bytes(range(256))


def say(data, event, context):
    print(data["text"])
    return "printed"


def flood(data, event, context):
    for _ in range(data["bytes"] // 1000):
        print("x" * 1000)
    return "flooded"


def write(data, event, context):
    try:
        with open(data["path"], "w", encoding="utf-8") as file:
            file.write("contract")
    except OSError:
        return "refused"
    return "written"


OPERATIONS = {
    "echo": echo,
    "event": describe_event,
    "context": describe_context,
    "request": describe_request,
    "status": status,
    "header": header,
    "stream": stream,
    "sleep": sleep,
    "spin": spin,
    "fail": fail,
    "exit": end,
    "crash": crash,
    "big": big,
    "bytes": all_bytes,
    "print": say,
    "flood": flood,
    "write": write,
}
