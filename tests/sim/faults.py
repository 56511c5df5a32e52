"""What can go wrong with a camera's pictures: the switches of one mount, and the damage they do to a frame.

Pure: no clock, no GStreamer. Faults of the server (kick, down, passwd …) are commands in `control.py`.
"""

from dataclasses import dataclass, fields

START_CODE = bytes([0, 0, 0, 1])
JPEG_END_OF_IMAGE = b"\xff\xd9"


@dataclass
class Faults:
    """One mount's faults. Probabilities are 0..1 and count per frame, `loss` per RTP packet."""

    stall: float = 0.0  # 1: send nothing; RTSP and TCP stay up, keep-alives are answered
    freeze: float = 0.0  # 1: repeat the last key frame; timestamps go on
    nokey: float = 0.0  # 1: leave key frames and parameter sets out
    drop: float = 0.0  # leave a frame out
    truncate: float = 0.0  # cut a frame short
    garbage: float = 0.0  # overwrite bytes in a frame's second half
    noise: float = 0.0  # send a random NAL unit (MJPEG: random bytes) before a frame
    loss: float = 0.0  # drop an RTP packet after packetising: a gap in the sequence, over TCP too
    slow: float = 1.0  # pace: 0.5 sends half the frame rate

    def update(self, settings):
        """Sets faults by name; all or, if one is wrong, none."""
        names = [field.name for field in fields(self)]
        values = {}
        for name, text in settings.items():
            if name not in names:
                raise ValueError(f"no fault {name}; there are {' '.join(names)}")
            values[name] = float(text)
        if values.get("slow", 1.0) <= 0:
            raise ValueError("slow must be above 0; use stall=1 to stop")
        for name, value in values.items():
            setattr(self, name, value)

    def active(self):
        """Those that differ from their defaults, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }


def damage(frame, codec, faults, random):
    """The buffers to send for one frame: none, one, or noise and the frame."""
    if happens(faults.drop, random):
        return []
    buffers = []
    if happens(faults.noise, random):
        buffers.append(noise(codec, random))
    if happens(faults.truncate, random):
        frame = truncate(frame, codec, random)
    if happens(faults.garbage, random):
        frame = overwrite(frame, codec, random)
    return [*buffers, frame]


def happens(probability, random):
    return probability > 0 and random.random() < probability


def noise(codec, random):
    if codec == "mjpeg":
        return random.randbytes(2000)
    return START_CODE + random.randbytes(random.randint(1, 3000))


def truncate(frame, codec, random):
    if codec == "mjpeg":
        # GStreamer's payloader ends the whole stream on a JPEG without its end marker.
        cut = random.randint(len(frame) // 2, len(frame) - 3)
        return frame[:cut].rstrip(b"\xff") + JPEG_END_OF_IMAGE
    return frame[: random.randint(8, max(9, len(frame) - 1))]


def overwrite(frame, codec, random):
    """One byte in a hundred, in the second half only: the headers in the first half stay readable."""
    damaged = bytearray(frame)
    for _ in range(1 + len(damaged) // 100):
        position = random.randrange(len(damaged) // 2, len(damaged) - 2)
        next_to_marker = codec == "mjpeg" and 0xFF in damaged[position - 1 : position + 1]
        if not next_to_marker:
            # 0xFF is never written: it would begin a JPEG marker.
            damaged[position] = random.randrange(255)
    return bytes(damaged)
