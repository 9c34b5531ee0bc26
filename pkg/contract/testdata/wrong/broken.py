# The next line is no syntax error, though it should be.
def handler(event, context):
    return "wrong"
