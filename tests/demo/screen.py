"""What the demo shows: lines with a little colour, and one status line at the bottom of a terminal."""

import os
import sys
import time

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ERASE_LINE = "\r\x1b[2K"
# Without a terminal the status is a line like any other, now and then.
PLAIN_STATUS_EVERY_SECS = 15


class Screen:
    """Writes to stdout. Colours only in a terminal, and not where NO_COLOR is set (no-color.org)."""

    def __init__(self):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._terminal and not os.environ.get("NO_COLOR")
        self._status_shown = False
        self._last_plain_status = time.monotonic()

    def paint(self, colour, text):
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._colours else text

    def line(self, text=""):
        self._erase()
        print(text)

    def step(self, number, of, text):
        self.line(f"{self.paint('bold', f'[{number}/{of}]')} {text}")

    def status(self, text):
        if self._terminal:
            self._erase()
            print(self.paint("dim", text), end="", flush=True)
            self._status_shown = True
        elif time.monotonic() - self._last_plain_status >= PLAIN_STATUS_EVERY_SECS:
            self._last_plain_status = time.monotonic()
            print(text)

    def _erase(self):
        if self._status_shown:
            print(ERASE_LINE, end="")
            self._status_shown = False
