#!/usr/bin/env python3
"""An ONVIF camera on loopback: tells its streams to those who know the password.

Answers and WS-Discovery are IPyCam's, whose check of the password knows nothing of Porchlight. Here are the HTTP
server, and what real cameras do wrong: a clock that is off, addresses that lead nowhere, HTTP digest instead of
WS-Security, recorders with several lenses and H.265 (which only Media 2 tells), answers that are none.

    tests/sim/onvif/venv tests/sim/onvif/camera.py --user viewer:secret --clock -86400 --stdin-quit

The first line on stdout is JSON once it listens: {"ready": true, "port": 12345}.
"""

import argparse
import datetime
import hashlib
import http.server
import importlib.util
import json
import os
import re
import sys
import threading
import time
import types
import urllib.request

# The package's __init__ needs OpenCV; its modules about ONVIF need only a class to annotate with.
package = importlib.util.find_spec("ipycam").submodule_search_locations[0]
sys.path.insert(0, package)
sys.modules["config"] = types.SimpleNamespace(CameraConfig=object)
import onvif  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--user", default=":", help="NAME:PASSWORD")
parser.add_argument("--name", default="Virtual Camera")
parser.add_argument("--clock", type=int, default=0, help="seconds that its clock is ahead")
parser.add_argument("--host", default="127.0.0.1", help="what it takes for its address in the addresses of streams")
parser.add_argument("--announce", action="store_true", help="answer WS-Discovery on loopback")
parser.add_argument("--digest", action="store_true", help="HTTP digest instead of WS-Security")
parser.add_argument("--basic", action="store_true", help="HTTP basic instead of WS-Security")
parser.add_argument("--media2", action="store_true", help="two lenses, told by Media 2 only")
parser.add_argument("--answer", choices=["huge", "bomb", "html", "deep", "drip"], help="answer everything with this")
parser.add_argument("--stdin-quit", action="store_true", help="end with stdin")
options = parser.parse_args()
username, password = options.user.split(":", 1)


class Time(types.SimpleNamespace):
    """The camera's clock."""

    def gmtime(self):
        return time.gmtime(time.time() + options.clock)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + datetime.timedelta(seconds=options.clock)


onvif.time = Time()
onvif.datetime = Clock

config = types.SimpleNamespace(
    name=options.name, manufacturer="PythonCam", model="VirtualCam-1", serial_number="1", firmware_version="1",
    local_ip="127.0.0.1", onvif_port=0, main_width=1920, main_height=1080, main_fps=25, main_bitrate="4M",
    sub_width=640, sub_height=360, sub_fps=10, sub_bitrate="512K", username=username, password=password,
    auth_enabled=bool(username),
    main_stream_rtsp=f"rtsp://{options.host}:8554/main?a=1&b=2", sub_stream_rtsp=f"rtsp://{options.host}:8554/sub",
)  # fmt: skip
camera = onvif.ONVIFService(config)

MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
HOSTILE = {
    "huge": b"<a>" + b"x" * (3 << 20) + b"</a>",
    "bomb": b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"".join(
        b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + b"]><l>&j;</l>",
    "html": b"<html><body><p>Welcome<br></body></html>",
    "deep": b"<a>" * 100_000 + b"</a>" * 100_000,
}


def media2(body):
    """Two lenses: one with H.265 and a small stream, one with a single stream."""
    profiles = [("l1m", "1", "H265", 2560, 1440), ("l1s", "1", "H264", 640, 360), ("l2", "2", "H264", 704, 576)]
    if "GetStreamUri" in body:
        token = re.search("<ProfileToken>(.*?)</", body).group(1)
        return f"<q:GetStreamUriResponse><q:Uri>rtsp://{options.host}/{token}</q:Uri></q:GetStreamUriResponse>"
    return "<q:GetProfilesResponse>" + "".join(
        f"<q:Profiles token='{token}'><q:Name>{token}</q:Name><q:Configurations>"
        f"<q:VideoSource><tt:SourceToken>{lens}</tt:SourceToken></q:VideoSource>"
        f"<q:VideoEncoder><tt:Encoding>{codec}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width>"
        f"<tt:Height>{height}</tt:Height></tt:Resolution></q:VideoEncoder></q:Configurations></q:Profiles>"
        for token, lens, codec, width, height in profiles) + "</q:GetProfilesResponse>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if options.answer == "drip":
            return self.drip()
        if options.answer:
            return self.reply(200, HOSTILE[options.answer])
        question = re.search(r"<s:Body><(\w+) xmlns=\"([^\"]*)\"", body)
        action, namespace = question.groups()
        open_to_all = action == "GetSystemDateAndTime"
        if options.basic and not open_to_all:
            return self.reply(401, b"", {"WWW-Authenticate": 'Basic realm="camera"'})
        if options.digest and not open_to_all and not self.knows():
            challenge = f'Digest realm="camera", nonce="{self.nonce}", qop="auth"'
            return self.reply(401, b"", {"WWW-Authenticate": challenge})
        if not (options.digest or open_to_all or camera.verify_usernametoken(body)):
            return self.reply(400, camera.fault("Sender not Authorized").encode())
        if namespace == MEDIA2:
            answer = camera._wrap_envelope(media2(body)).replace("<s:Envelope", f'<s:Envelope xmlns:q="{MEDIA2}"', 1)
            return self.reply(200, answer.encode())
        answer = camera.handle_action(action, body)
        if options.media2:
            answer = answer.replace("http://www.onvif.org/ver10/media/wsdl</tds", f"{MEDIA2}</tds")
        self.reply(200, answer.encode())

    def knows(self):
        """Whether the request carries the digest of RFC 2617."""
        given = urllib.request.parse_keqv_list(
            urllib.request.parse_http_list(self.headers.get("Authorization", " ").split(" ", 1)[1]))
        if not given:
            return False
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
        first, second = md5(f"{username}:camera:{password}"), md5(f"POST:{self.path}")
        wanted = md5(f"{first}:{self.nonce}:{given['nc']}:{given['cnonce']}:auth:{second}")
        return given["response"] == wanted

    def reply(self, status, body, headers={}):
        self.send_response(status)
        for name, value in {"Content-Type": "application/soap+xml", "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" ")
                time.sleep(0.5)
        except OSError:
            pass  # the client has had enough


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
config.onvif_port = server.server_address[1]
config.onvif_url = f"http://{options.host}:{config.onvif_port}/onvif/device_service"
if options.announce:
    import discovery

    # A greeting would leave this machine.
    discovery.WSDiscoveryServer._send_announcement = lambda *_: None
    discovery.WSDiscoveryServer(camera).start()
if options.stdin_quit:
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(json.dumps({"ready": True, "port": config.onvif_port}), flush=True)
server.serve_forever()
