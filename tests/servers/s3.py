"""Amazon S3 for tests: moto, one request at a time, so that its conditions hold also for many at once.

Prints `port N`, and ends when its standard input does: it never outlives the tests.
"""

import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=False, request_handler=Quiet)
print(f"port {server.server_port}", flush=True)
server.serve_forever()
