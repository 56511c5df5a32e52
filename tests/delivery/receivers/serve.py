"""Serves a guide's sample receiver as it stands: serve.py FILE. Prints `listening PORT`, then whatever the sample prints.

The samples are fragments: what they leave out (an app, a helper, the port) is put in here.
"""

import logging
import runpy
import socket
import sys

import uvicorn
from flask import Flask, request
from werkzeug.serving import make_server


class Sample(Flask):
    """Some samples end where the reader's own code begins, and answer nothing."""

    def make_response(self, answer):
        return super().make_response("" if answer is None else answer)


def main():
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    given = {"app": Sample("sample"), "request": request, "send_alert": lambda event: print("alert", event, flush=True)}
    sample = runpy.run_path(sys.argv[1], init_globals=given)
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    if isinstance(sample["app"], Flask):
        make_server("127.0.0.1", 0, sample["app"], fd=listener.fileno()).serve_forever()
    else:
        server = uvicorn.Server(uvicorn.Config(sample["app"], log_level="warning"))
        server.run(sockets=[listener])


main()
