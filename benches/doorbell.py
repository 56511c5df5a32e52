"""How soon a stranger is told of: benches/doorbell.py --binary target/release/porchlight [CLIP ...]

Each clip is what a simulated RTSP camera (tests/sim) sends in real time; nobody is enrolled, so who is in it is a stranger.
Printed is when the two messages about him arrive at an HTTP receiver, counted from the picture with the first usable face:
`face.detected`, and `stranger.alert`, which needs a second face at least. The bar is 3 s after that second one, so a clip whose
alert comes within 3 s of the first is surely below it. Faces do not show all the time: a late alert is looked at by hand.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.dont_write_bytecode = True

from idle import Agent, Simulator, footage  # noqa: E402  after the line above

BAR_S = 3
ROW = "{:<24} {:>14} {:>15}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/porchlight"))
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait for an alert")
    parser.add_argument("clip", type=Path, nargs="*", help="MP4 or MKV of somebody's face [default: carphone.mp4]")
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"bench: there is no {options.binary}; run `make build`")
    print(ROW.format("clip", "face.detected", "stranger.alert"))
    alerts = [ring(options, clip) for clip in options.clip or [footage() / "carphone.mp4"]]
    late = sum(alert is None or alert > BAR_S for alert in alerts)
    print(f"{len(alerts)} clips, {late} of them later than {BAR_S} s or never")


def ring(options, clip):
    """Seconds until the alert, if there was one."""
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver, Simulator(clip) as simulator:
        webhook = f'[[webhook]]\nid = "bench"\nurl = "{receiver.url}"\npayload = {{ format = "raw" }}\n'
        agent = Agent(options.binary, Path(folder), [simulator.url], 'faces = "always"', webhook)
        try:
            receiver.alerted.wait(options.patience)
        finally:
            agent.stop()
    face, alert = receiver.came.get("face.detected"), receiver.came.get("stranger.alert")
    name = f"{clip.parent.name[:12]}/{clip.name}"[-24:]
    if not face:
        print(ROW.format(name, "none", "none"), flush=True)
        return None
    seen_at = face[0]
    waits = [came and came[1] - seen_at for came in (face, alert)]
    print(ROW.format(name, *(f"{wait:.2f} s" if wait is not None else "none" for wait in waits)), flush=True)
    return waits[1]


class Receiver:
    """Notes when the first message of each type came, and of when it is."""

    def __init__(self):
        self.came, self.alerted = {}, threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                arrived = time.time()
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                at = datetime.fromisoformat(event["occurred_at"]).timestamp()
                receiver.came.setdefault(event["type"], (at, arrived))
                self.send_response(204)
                self.end_headers()
                if event["type"] == "stranger.alert":
                    receiver.alerted.set()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()


if __name__ == "__main__":
    main()
