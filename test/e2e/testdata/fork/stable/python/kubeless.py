import os
import http.server

http.server.test(port=int(os.getenv("FUNC_PORT", "8080")))
