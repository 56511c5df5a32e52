"""A video file in memory as access units, ready to be sent again and again without re-encoding."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gst import Gst

DEMUXERS = {".mkv": "matroskademux", ".mp4": "qtdemux", ".mov": "qtdemux"}

# One buffer per picture, each key frame with its parameter sets, so that any frame can be cut, dropped or repeated.
PARSERS = {
    "h264": "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au",
    "hevc": "h265parse config-interval=-1 ! video/x-h265,stream-format=byte-stream,alignment=au",
    "mjpeg": "jpegparse",
}

READ_TIMEOUT_NS = 10 * Gst.SECOND


class ClipError(ValueError):
    """The file cannot be served; the message says why."""


@dataclass(frozen=True)
class AccessUnit:
    data: bytes
    pts_ns: int  # when it is shown, counted from the clip's first picture
    duration_ns: int  # how long after it the next one is sent
    is_key: bool


class Clip:
    """`units` begins with a key frame. `period_ns` is the mean distance of two pictures, `length_ns` their sum."""

    def __init__(self, path):
        self.path = path
        self.codec, self.width, self.height = probe(path)
        samples, self.caps = demux(path, self.codec)
        while samples and not samples[0][2]:
            samples.pop(0)
        if len(samples) < 2:
            raise ClipError(f"{path}: fewer than two pictures after the first key frame")

        first_ns = samples[0][1]
        # With B frames pictures are sent in another order than they are shown: the sorted times are the sending times.
        sending_ns = sorted(pts_ns for _, pts_ns, _ in samples)
        self.period_ns = (sending_ns[-1] - sending_ns[0]) // (len(samples) - 1)
        sending_ns.append(sending_ns[-1] + self.period_ns)
        self.length_ns = sending_ns[-1] - sending_ns[0]
        self.units = [
            AccessUnit(data, pts_ns - first_ns, sending_ns[i + 1] - sending_ns[i], is_key)
            for i, (data, pts_ns, is_key) in enumerate(samples)
        ]

    def key_unit_before(self, position_ns):
        """Index of the last key frame at or before a position in the clip."""
        keys = [i for i, unit in enumerate(self.units) if unit.is_key and unit.pts_ns <= position_ns]
        return keys[-1] if keys else 0

    def summary(self):
        return {
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "frames": len(self.units),
            "fps": round(Gst.SECOND / self.period_ns, 2),
            "seconds": round(self.length_ns / Gst.SECOND, 2),
        }


def probe(path):
    """Codec name, width and height of the file's first video stream."""
    if Path(path).suffix not in DEMUXERS:
        raise ClipError(f"{path}: the name must end in one of {' '.join(DEMUXERS)}")
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0"]
    command += ["-show_entries", "stream=codec_name,width,height", "-of", "json", path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ClipError(f"{path}: {result.stderr.strip()}")
    streams = json.loads(result.stdout)["streams"]
    if not streams:
        raise ClipError(f"{path}: no video stream")
    codec = streams[0]["codec_name"]
    if codec not in PARSERS:
        raise ClipError(f"{path}: codec {codec} cannot be served; one of {' '.join(PARSERS)} can")
    return codec, streams[0]["width"], streams[0]["height"]


def demux(path, codec):
    """All pictures as (bytes, time in ns, is key frame), in the order of the file, and their caps."""
    demuxer = DEMUXERS[Path(path).suffix]
    pipeline = Gst.parse_launch(f"filesrc name=file ! {demuxer} ! {PARSERS[codec]} ! appsink name=sink sync=false")
    pipeline.get_by_name("file").set_property("location", str(path))
    sink = pipeline.get_by_name("sink")
    samples = []
    pipeline.set_state(Gst.State.PLAYING)
    try:
        while sample := sink.emit("try-pull-sample", READ_TIMEOUT_NS):
            buffer = sample.get_buffer()
            time_ns = buffer.pts if buffer.pts != Gst.CLOCK_TIME_NONE else buffer.dts
            is_key = codec == "mjpeg" or not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
            samples.append((buffer.extract_dup(0, buffer.get_size()), time_ns, is_key))
        if not sink.get_property("eos"):
            message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
            reason = message.parse_error()[0].message if message else "reading took too long"
            raise ClipError(f"{path}: {reason}")
        if not samples:
            raise ClipError(f"{path}: no pictures")
        return samples, sink.get_static_pad("sink").get_current_caps().to_string()
    finally:
        pipeline.set_state(Gst.State.NULL)
