import markdown


def handler(event, context):
    return markdown.markdown("# hello world")
