"""Does what the contract function does for the loads: hello, or the data back."""

import functions_framework


@functions_framework.http
def handler(request):
    if not request.get_data():
        return "hello world"
    return request.get_json()
