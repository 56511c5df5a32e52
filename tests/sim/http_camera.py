#!/usr/bin/python3
"""Simulated HTTP cameras on loopback: an MJPEG stream and a snapshot, with logins and faults. Only Python's own library.

    http_camera.py FOLDER [--auth none|basic|digest --user NAME:PASSWORD] [--fps 10]

FOLDER holds JPEGs, sent in the order of their names again and again. The first line on stdout is JSON with the port. Ends with
its stdin. Commands on stdin, one a line, answered by `ok`: `fault NAME` (stall, drip, truncate, garbage, huge, html), `clear`,
`passwd NEW`.

    /stream      multipart/x-mixed-replace with lengths        /plain     the same without lengths
    /snapshot    the next picture at each request              anything else: 404
"""

import argparse
import base64
import hashlib
import json
import os
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import parse_http_list, parse_keqv_list

REALM = "Porchlight test camera"


class Camera:
    """What all connections share."""

    def __init__(self, options):
        self.pictures = [path.read_bytes() for path in sorted(Path(options.folder).glob("*.jpg"))]
        self.period = 1 / options.fps
        self.auth = options.auth
        self.name, _, self.password = options.user.partition(":")
        self.fault = ""
        self.asked = 0
        self.nonces = set()

    def admits(self, method, uri, header):
        if self.auth == "none":
            return True
        scheme, _, rest = (header or "").partition(" ")
        if scheme.lower() != self.auth:
            return False
        if self.auth == "basic":
            return base64.b64decode(rest) == f"{self.name}:{self.password}".encode()
        said = parse_keqv_list(parse_http_list(rest))
        a1 = digest(f"{self.name}:{REALM}:{self.password}")
        a2 = digest(f"{method}:{uri}")
        middle = [said.get(key, "") for key in ("nonce", "nc", "cnonce", "qop")]
        right = said.get("response") == digest(":".join([a1, *middle, a2]))
        # A nonce is good for some requests, as in cameras that want to be asked anew now and then.
        fresh = said.get("nonce") in self.nonces and int(said.get("nc", "0"), 16) <= 5
        return right and fresh and said.get("uri") == uri

    def challenge(self):
        if self.auth == "basic":
            return f'Basic realm="{REALM}"'
        nonce = os.urandom(8).hex()
        self.nonces.add(nonce)
        return f'Digest realm="{REALM}", nonce="{nonce}", qop="auth", algorithm=MD5'


def digest(text):
    return hashlib.md5(text.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        camera = self.server.camera
        if not camera.admits("GET", self.path, self.headers.get("Authorization")):
            self.send_response(401)
            self.send_header("WWW-Authenticate", camera.challenge())
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            if self.path.startswith("/snapshot"):
                self.snapshot(camera)
            elif self.path.startswith(("/stream", "/plain")):
                self.stream(camera, with_length=self.path.startswith("/stream"))
            else:
                self.send_error(404)
        except OSError:
            pass  # the client has left

    def snapshot(self, camera):
        if camera.fault == "html":
            body, kind = b"<html>Please log in</html>", "text/html"
        else:
            body, kind = camera.pictures[camera.asked % len(camera.pictures)], "image/jpeg"
            camera.asked += 1
        body = damage(body, camera.fault)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.write(body, camera)

    def stream(self, camera, with_length):
        self.send_response(200)
        boundary = "--camera" if with_length else '"camera"'
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={boundary}")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        due = time.monotonic()
        for index in range(10**9):
            body = damage(camera.pictures[index % len(camera.pictures)], camera.fault)
            length = f"Content-Length: {len(body)}\r\n" if with_length else ""
            head = f"--camera\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            self.write(head.encode() + body + b"\r\n", camera)
            due += camera.period
            time.sleep(max(0.0, due - time.monotonic()))

    def write(self, data, camera):
        while camera.fault == "stall":
            time.sleep(0.05)
        if camera.fault == "drip":
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
                if camera.fault != "drip":
                    break
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def damage(body, fault):
    if fault == "truncate":
        return body[: len(body) // 2]
    if fault == "garbage":
        return random.Random(len(body)).randbytes(len(body))
    if fault == "huge":
        return body + bytes(20 << 20)
    return body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
    parser.add_argument("--user", default="cam:secret", metavar="NAME:PASSWORD")
    parser.add_argument("--fps", type=float, default=10)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.camera = camera = Camera(options)
    print(json.dumps({"ready": True, "port": server.server_port}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "fault":
            camera.fault = argument
        elif command == "clear":
            camera.fault = ""
        elif command == "passwd":
            camera.password = argument
        print("ok", flush=True)


if __name__ == "__main__":
    main()
