def handler(event, context):
    print(event["event-id"], event["event-type"], event["data"])
    return event["data"]
