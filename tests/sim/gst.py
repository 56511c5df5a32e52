"""GStreamer's Python bindings, with their versions pinned before the first import."""

import sys

try:
    import gi
except ImportError:
    sys.exit("no GStreamer bindings in this Python; run with /usr/bin/python3 and install the packages of README.md")

try:
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
except ValueError as error:
    sys.exit(f"{error}; install the packages of tests/sim/README.md")

from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  the versions come first

Gst.init(None)

__all__ = ["GLib", "Gst", "GstRtsp", "GstRtspServer"]
