def handler(event, context):
    return "never called"


raise RuntimeError("contract: cannot load")
