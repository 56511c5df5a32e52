#!/usr/bin/env python3
"""A receiver for Porchlight's webhooks: verifies, remembers what it has seen, answers at once, and counts.

    WEBHOOK_SECRET=your-secret ./webhook_server.py [--port 8080]

Standard library only. `POST` anything to any path; `GET /stats` tells what came; Ctrl-C prints it too.
"""

import argparse
import hashlib
import hmac
import json
import os
import queue
import threading
from collections import Counter, OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 16 * 1024 * 1024
REMEMBERED = 10_000


def verify(secret, body, signature):
    """Whether the signature is that of these very bytes; takes the same time whatever is wrong."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature or "")


class Seen:
    """The ids of messages that were taken: delivery is at least once, so one may come again."""

    def __init__(self):
        self.ids, self.lock = OrderedDict(), threading.Lock()

    def is_new(self, message):
        with self.lock:
            if message in self.ids:
                return False
            self.ids[message] = True
            if len(self.ids) > REMEMBERED:
                self.ids.popitem(last=False)
            return True


def work(jobs, counts):
    """Whatever takes time happens here, after the answer."""
    while True:
        event = jobs.get()
        name = event.get("event_type") or event.get("type") or event.get("event") or "?"
        counts[f"event {name}"] += 1
        print("event", name, json.dumps(event.get("event") or event.get("data") or event)[:300], flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        counts = self.server.counts
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return self.answer(413, {"error": "too large"})
        body = self.rfile.read(length)
        signature = self.headers.get("X-ArgusAI-Signature") or self.headers.get("X-Webhook-Signature")
        if self.server.secret and not verify(self.server.secret, body, signature):
            counts["refused"] += 1
            return self.answer(401, {"error": "Invalid signature"})
        try:
            event = json.loads(body)
        except ValueError:
            counts["refused"] += 1
            return self.answer(400, {"status": "error", "message": "Invalid JSON"})
        message = self.headers.get("webhook-id")
        if message and not self.server.seen.is_new(message):
            counts["repeated"] += 1
            return self.answer(200, {"status": "already_processed"})
        try:
            # 503 makes the agent come again: better than to promise what is not kept.
            self.server.jobs.put_nowait(event)
        except queue.Full:
            counts["postponed"] += 1
            self.server.seen.ids.pop(message, None)
            return self.answer(503, {"error": "busy"})
        counts["received"] += 1
        return self.answer(200, {"status": "received"})

    def do_GET(self):
        if self.path == "/stats":
            return self.answer(200, dict(self.server.counts))
        return self.answer(404, {"error": "there is only /stats"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1", help="0.0.0.0 for all addresses of this machine")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()

    server = ThreadingHTTPServer((options.listen, options.port), Handler)
    server.secret, server.seen = os.environ.get("WEBHOOK_SECRET"), Seen()
    server.counts, server.jobs = Counter(), queue.Queue(maxsize=1000)
    threading.Thread(target=work, args=(server.jobs, server.counts), daemon=True).start()
    if not server.secret:
        print("WEBHOOK_SECRET is not set: everything is believed")
    print("listening", server.server_port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(json.dumps(server.counts))


if __name__ == "__main__":
    main()
