"""Events as they happen and deliveries as they arrive, printed and counted."""

import json
import time

from api import Unreachable, header, is_jpeg, seconds_between, signature_is_right
from process import Failure

POLL_SECS = 0.25
# A busy machine may miss a poll; an agent that answers nothing for this long has failed.
PATIENCE_SECS = 10


class Watch:
    """Looks at the agent again and again."""

    def __init__(self, agent, screen):
        self.events, self.ended, self.received, self.verified = {}, 0, 0, 0
        self.delays_secs, self.delivered_secs = [], []
        self._agent, self._screen = agent, screen
        self._states, self._seen, self._delivered = {}, set(), set()
        self._answered = time.monotonic()

    def look(self):
        """One pass; never raises for an answer that fails to come once."""
        self._agent.must_run()
        try:
            # Asked for in this order and shown in the other: so each delivery finds its event. Both come newest first.
            deliveries, events = self._agent.api.deliveries(), self._agent.api.events()
            for event in reversed(events):
                self._event(event)
            for entry in reversed(deliveries):
                self._delivery(entry)
            self._answered = time.monotonic()
        except Unreachable as error:
            if time.monotonic() - self._answered > PATIENCE_SECS:
                raise Failure(str(error), "the agent's log above should say why") from None

    @property
    def waiting(self):
        """Events whose delivery has not been seen yet."""
        return len(self.events.keys() - self._delivered)

    def _event(self, event):
        previous, state = self._states.get(event["id"]), event["state"]
        if previous is None:
            what = self._screen.paint("cyan", f"{event['label'] or event['type']:<8}")
            score = f"{event['top_score']:.2f}" if event["top_score"] is not None else ""
            self._say("●", event["occurred_at"], f"{what} {event['description']}  {score}")
        if state == "end" and previous != "end":
            self.ended += 1
            lasted = seconds_between(event["start_time"], event["end_time"])
            text = f"over after {lasted:.1f} s: {event['description']}" if lasted else event["description"]
            self._say("○", event["end_time"], self._screen.paint("dim", text))
        self.events[event["id"]] = event
        self._states[event["id"]] = state

    def _delivery(self, entry):
        key = entry["timestamp"], header(entry["headers"], "x-argusai-signature"), entry["body"]
        if key in self._seen:
            return
        self._seen.add(key)
        self.received += 1
        try:
            about = json.loads(entry["body"])["event"]
        except (ValueError, TypeError, KeyError):
            self._bad(entry, "the body is not the promised JSON")
            return
        event = self.events.get(about["id"], {})
        self._delivered.add(about["id"])
        if not signature_is_right(self._agent.secret, entry["headers"], entry["body"]):
            self._bad(entry, f"the signature is wrong; {about['description']}")
            return
        picture = self._picture(about["thumbnail_url"])
        if picture is None:
            self._bad(entry, f"signature verified, but there is no picture at {about['thumbnail_url']}")
            return
        self.verified += 1
        parts = ["signature verified"]
        delay = seconds_between(event.get("recorded_at"), entry["timestamp"])
        if delay is not None:
            self.delays_secs.append(delay)
            parts.append(f"{1000 * delay:.0f} ms after the event")
        since_seen = seconds_between(event.get("occurred_at"), entry["timestamp"])
        if since_seen is not None:
            self.delivered_secs.append(since_seen)
        parts.append(f"picture {len(picture) / 1000:.0f} kB")
        self._say(self._screen.paint("green", "✓"), entry["timestamp"], ", ".join(parts))

    def _picture(self, url):
        try:
            data = self._agent.api.get(url) if url else b""
        except Unreachable:
            return None
        return data if is_jpeg(data) else None

    def _bad(self, entry, text):
        self._say(self._screen.paint("red", "✗"), entry["timestamp"], self._screen.paint("red", text))

    def _say(self, mark, when, text):
        clock = self._screen.paint("dim", (when or "").partition("T")[2].removesuffix("Z"))
        self._screen.line(f"  {mark} {clock}  {text}")
