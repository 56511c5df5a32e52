"""What the demo asks the agent over HTTP, and what it checks for itself instead of believing the agent."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from datetime import datetime

SIGNATURE_HEADER = "x-argusai-signature"
TIMEOUT_SECS = 5
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


class Unreachable(Exception):
    """The agent does not answer, or not as expected."""


class Api:
    """The agent's HTTP API. No proxy: everything is on this machine."""

    def __init__(self, base):
        self.base = base
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, url):
        """The body, as bytes."""
        url = url if url.startswith("http") else self.base + url
        try:
            with self._opener.open(url, timeout=TIMEOUT_SECS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Unreachable(f"GET {url}: {error.code} {error.reason}") from None
        except OSError as error:
            raise Unreachable(f"GET {url}: {error}") from None

    def items(self, path):
        """A list of the API, newest first."""
        try:
            return json.loads(self.get(path))["items"]
        except (ValueError, TypeError, KeyError):
            raise Unreachable(f"GET {path}: the answer is not a list of the API") from None

    def healthy(self):
        try:
            self.get("/api/v1/health")
        except Unreachable:
            return False
        return True

    def events(self):
        return self.items("/api/v1/events?limit=100")

    def deliveries(self):
        return self.items("/api/v1/webhook-test/logs")


def header(headers, name):
    """A header's value, whatever its spelling; empty if there is none."""
    return next((value for key, value in headers.items() if key.lower() == name), "")


def signature_is_right(secret, headers, body):
    """What a receiver does: HMAC-SHA256 over the bytes of the body as they came."""
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={digest}".encode(), header(headers, SIGNATURE_HEADER).encode())


def is_jpeg(data):
    return data.startswith(JPEG_BEGIN) and data.endswith(JPEG_END)


def seconds_between(earlier, later):
    """Between two times of the API; None when one of them is missing."""
    if not earlier or not later:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
