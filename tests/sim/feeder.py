"""The sending side of one RTSP media: a thread that pushes a mount's clip at its own pace, for ever.

Timestamps only grow by each picture's duration, so looping, switching clips and changing the pace leave no gap in them.
"""

import random
import threading
import time

from faults import damage
from gst import Gst

# The same seed for every session: a test that runs twice sees the same damage.
RANDOM_SEED = 1
READY_TIMEOUT_SECS = 20


class Feeder(threading.Thread):
    """Runs from `start` until `stop`. Reads the mount's clip, faults and jump before every picture."""

    def __init__(self, mount, media):
        super().__init__(daemon=True, name=f"feeder-{mount.path}")
        self.mount = mount
        element = media.get_element()
        self.source = element.get_by_name("src")
        self.loss = element.get_by_name("loss")
        self.set_loss(mount.faults.loss)
        self.random = random.Random(RANDOM_SEED)
        self.stopped = threading.Event()
        self.wanted = threading.Event()
        self.source.connect("need-data", lambda *_: self.wanted.set())

    def set_loss(self, probability):
        self.loss.set_property("drop-probability", probability)

    def stop(self):
        self.stopped.set()

    def run(self):
        if not self.wanted.wait(READY_TIMEOUT_SECS):
            return
        clip = self.mount.clip
        index = clip.key_unit_before(self.mount.live_position_ns()) if self.mount.is_live else 0
        # `sent_ns` is the sending time of the next picture on the stream's own clock; `shift_ns` turns a time within
        # the clip into a time on that clock.
        sent_ns = self.running_time_ns()
        shift_ns = sent_ns - clip.units[index].pts_ns
        due = time.monotonic()
        jumped_secs = self.mount.jump_secs
        last_key = clip.units[index].data
        is_first = True

        while not self.stopped.wait(max(0.0, due - time.monotonic())):
            faults = self.mount.faults
            if clip is not self.mount.clip:
                clip, index = self.mount.clip, 0
                shift_ns = sent_ns
                self.source.set_property("caps", Gst.Caps.from_string(clip.caps))
            if jumped_secs != self.mount.jump_secs:
                jump_ns = int((self.mount.jump_secs - jumped_secs) * Gst.SECOND)
                sent_ns, shift_ns = sent_ns + jump_ns, shift_ns + jump_ns
                jumped_secs = self.mount.jump_secs
                self.send_without_clock()

            unit = clip.units[index]
            pts_ns = shift_ns + unit.pts_ns
            if unit.is_key and not faults.freeze:
                last_key = unit.data
            if faults.stall or (faults.nokey and unit.is_key):
                buffers = []
            elif is_first:
                # Whole, whatever the faults: without it the server has no answer to DESCRIBE.
                buffers, is_first = [unit.data], False
            else:
                frame = last_key if faults.freeze else unit.data
                buffers = damage(frame, clip.codec, faults, self.random)
            for data in buffers:
                self.push(data, pts_ns)

            step_ns = int(unit.duration_ns / faults.slow)
            sent_ns += step_ns
            # A slow camera's timestamps are as far apart as its pictures.
            shift_ns += step_ns - unit.duration_ns
            due += step_ns / Gst.SECOND
            index += 1
            if index == len(clip.units):
                index = 0
                shift_ns += clip.length_ns

    def running_time_ns(self):
        clock = self.source.get_clock()
        return clock.get_time() - self.source.get_base_time() if clock else 0

    def push(self, data, pts_ns):
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = buffer.dts = max(0, pts_ns)
        if self.source.emit("push-buffer", buffer) == Gst.FlowReturn.OK:
            self.mount.count_sent(len(data))
        # Any other answer means that the session is ending, and `stop` follows.

    def send_without_clock(self):
        """After a jump the sinks would hold pictures back until their new time; they must send at once instead."""
        top = self.source
        while top.get_parent():
            top = top.get_parent()
        for element in iterate(top.iterate_recurse()):
            factory = element.get_factory()
            if factory and factory.get_name() in ("appsink", "udpsink", "multiudpsink"):
                element.set_property("sync", False)


def iterate(gst_iterator):
    while True:
        result, element = gst_iterator.next()
        if result != Gst.IteratorResult.OK:
            return
        yield element
