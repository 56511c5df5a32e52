#!/usr/bin/env python3
"""Compares the events of two replays of the same clip, as two builds or two machines saw it.

    compare_events.py A.jsonl B.jsonl [--frame-interval SECONDS] [--box 0.02] [--score 0.02]

Each file is the output of `porchlight replay FILE --json`: one event object per line, an event through its states.
Ids and wall-clock times differ from run to run, so an event is compared by its last state, with times counted from the
first event's start. Arithmetic on two kinds of CPU differs in the last digits; the tolerances allow for that alone.

Exit code 0: the same events; 1: they differ (each difference is printed); 2: the input is unusable.
"""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

MUST_BE_EQUAL = ("type", "label", "class", "camera")


def main():
    options = parse_arguments()
    try:
        left = read_events(options.left)
        right = read_events(options.right)
    except (OSError, ValueError) as error:
        print(f"compare_events: {error}", file=sys.stderr)
        return 2
    if not left and not right:
        # Two builds that both see nothing would agree about everything.
        print("compare_events: neither file holds an event; nothing was compared", file=sys.stderr)
        return 2

    differences = compare(left, right, options)
    for difference in differences:
        print(f"DIFFERENT {difference}")
    if differences:
        print(f"FAIL: {len(differences)} differences between {len(left)} and {len(right)} events")
        return 1
    print(f"OK: {len(left)} events agree")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--frame-interval", type=float, default=0.1, metavar="SECONDS", help="tolerance of times")
    parser.add_argument("--box", type=float, default=0.02, help="tolerance of each box edge, as a part of the picture")
    parser.add_argument("--score", type=float, default=0.02, help="tolerance of scores")
    return parser.parse_args()


def read_events(path):
    """The last state of every event in the file, as plain comparable values, ordered by start."""
    last_states = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            event = json.loads(line)
            known = last_states.get(event["id"])
            if known is None or event["seq"] >= known["seq"]:
                last_states[event["id"]] = event
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number}: not an event object ({error!r})") from error

    try:
        events = [comparable(event) for event in last_states.values()]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: an event lacks a field ({error!r})") from error
    count_times_from_first_start(events)
    return sorted(events, key=lambda event: (event["start"], str(event["label"]), event["box"] or []))


def comparable(event):
    return {
        "type": event["type"],
        "label": event["label"],
        "class": event["class"],
        "camera": event["camera"]["id"],
        "start": seconds(event["start_time"] or event["occurred_at"]),
        "end": seconds(event["end_time"]),
        "score": event["score"],
        "top_score": event["top_score"],
        "box": event["box"],
    }


def seconds(timestamp):
    """UTC seconds of an RFC 3339 time; None stays None (an event without an end)."""
    if timestamp is None:
        return None
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def count_times_from_first_start(events):
    first_start = min((event["start"] for event in events), default=0.0)
    for event in events:
        event["start"] -= first_start
        if event["end"] is not None:
            event["end"] -= first_start


def compare(left, right, options):
    # Half a millisecond on top: times are printed in whole milliseconds.
    time_tolerance = options.frame_interval + 0.0005
    differences = []
    unmatched = list(right)
    for event in left:
        twin = nearest(event, unmatched, time_tolerance)
        if twin is None:
            differences.append(f"{describe(event)}: only in {options.left}")
            continue
        unmatched.remove(twin)
        fields = [
            ("end", time_tolerance, [event["end"]], [twin["end"]]),
            ("score", options.score, [event["score"]], [twin["score"]]),
            ("top_score", options.score, [event["top_score"]], [twin["top_score"]]),
            ("box", options.box, event["box"], twin["box"]),
        ]
        for name, tolerance, ours, theirs in fields:
            if not close(ours, theirs, tolerance):
                differences.append(
                    f"{describe(event)}: {name} is {shown(ours)} and {shown(theirs)}; {tolerance:g} is allowed"
                )
    differences.extend(f"{describe(event)}: only in {options.right}" for event in unmatched)
    return differences


def nearest(event, candidates, time_tolerance):
    """The candidate of the same kind that starts at the same time; of several, the one with the nearest box."""
    same = [
        other
        for other in candidates
        if all(event[name] == other[name] for name in MUST_BE_EQUAL)
        and abs(event["start"] - other["start"]) <= time_tolerance
    ]
    return min(same, key=lambda other: box_distance(event["box"], other["box"]), default=None)


def box_distance(ours, theirs):
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else 1.0
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def close(ours, theirs, tolerance):
    """Whether two lists of numbers agree; an absent value agrees only with an absent one."""
    if ours is None or theirs is None:
        return ours is theirs
    return len(ours) == len(theirs) and all(
        a is b if a is None or b is None else abs(a - b) <= tolerance for a, b in zip(ours, theirs, strict=True)
    )


def shown(values):
    if values is None:
        return "absent"
    return " ".join("absent" if value is None else f"{value:.4f}" for value in values)


def describe(event):
    end = "-" if event["end"] is None else f"{event['end']:.3f}"
    return f"{event['type']} {event['class'] or event['label']} on {event['camera']} {event['start']:.3f}..{end} s"


if __name__ == "__main__":
    sys.exit(main())
