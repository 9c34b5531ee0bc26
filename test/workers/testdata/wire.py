"""Answers as the header Event-Type says; without it, with the Event-Id."""

import hashlib
import json


def handler(event, context):
    if event["event-id"] == "sum":
        return f"sum {hashlib.sha256(event['data'].encode()).hexdigest()}"
    if event["event-type"] is None:
        return f"id {event['event-id']}"
    order = json.loads(event["event-type"])
    response = event["extensions"]["response"]
    if "status" in order:
        response.status = order["status"]
    for name, value in order.get("headers", []):
        response.headers[name] = value
    body = order.get("body", "hello")
    kinds = {"text": lambda: body, "bytes": body.encode, "json": lambda: [body], "stream": lambda: iter([body, body])}
    return kinds[order["kind"]]()
