#!/usr/bin/env python3
"""Everything around a webhook, seen from outside: watches a running agent and tells whether its events arrive.

    WEBHOOK_SECRET=your-secret ./webhook_integration.py --agent http://127.0.0.1:8420 --port 8080 --events 3

Receives with webhook_server.py beside it (the agent's `[[webhook]]` points to http://127.0.0.1:8080/), opens the live stream of each
camera, waits for events, compares what arrived with what the agent says it has sent, and prints statistics. Standard library
only. PORCHLIGHT_TOKEN is sent as a bearer token, if it is set.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SERVER = Path(__file__).resolve().parent / "webhook_server.py"


def get(url):
    token = os.environ.get("PORCHLIGHT_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30)


def read(url):
    with get(url) as answer:
        return json.load(answer)


def watch(agent, camera):
    """The size in bytes of the first picture of a camera's live stream."""
    with get(f"{agent}/api/v1/cameras/{camera}/stream?width=320&fps=2") as stream:
        length = 0
        for line in stream:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif length and not line.strip():
                break
        picture = stream.read(length)
    if not picture.startswith(b"\xff\xd8"):
        sys.exit(f"{camera}: this is no JPEG")
    return len(picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="http://127.0.0.1:8420")
    parser.add_argument("--port", type=int, default=8080, help="where the agent's webhook points to")
    parser.add_argument("--events", type=int, default=3, help="how many to wait for")
    parser.add_argument("--seconds", type=float, default=60.0, help="and for how long at most")
    options = parser.parse_args()

    command = [sys.executable, "-u", str(SERVER), "--port", str(options.port)]
    receiver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        report(options, f"http://127.0.0.1:{options.port}/stats")
    finally:
        receiver.terminate()
        receiver.wait()


def report(options, stats):
    agent, deadline = options.agent.rstrip("/"), time.monotonic() + options.seconds
    cameras = read(f"{agent}/api/v1/cameras")["items"]
    watched = {camera["id"]: watch(agent, camera["id"]) for camera in cameras if camera["state"] == "online"}
    print(json.dumps({"cameras": len(cameras), "first_picture_bytes": watched}), flush=True)

    received, sent = {}, []
    while min(received.get("received", 0), len(sent)) < options.events:
        if received.get("refused"):
            sys.exit(f"{received['refused']} signatures are wrong; is WEBHOOK_SECRET the secret of the webhook?")
        if time.monotonic() > deadline:
            sys.exit(f"only {received} after {options.seconds:.0f} s; is there a [[webhook]] to port {options.port}?")
        time.sleep(0.2)
        try:
            received = read(stats)
        except OSError:
            continue  # the receiver is still starting
        sent = read(f"{agent}/api/v1/webhook-deliveries?status=success&limit=100")["items"]
    health = read(f"{agent}/api/v1/health")
    print(json.dumps({"received": received, "delivered": len(sent), "queue": health["queue"]}))


if __name__ == "__main__":
    main()
