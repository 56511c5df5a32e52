"""Replays the test clips and prints what they cost: benches/replay.py --binary target/release/porchlight

Every frame is examined that would be in real time, as fast as the machine can. "cpu / video" is therefore the share of
one core that one such camera takes; "faster" is how many times faster than real time it went. "looks / frame" is what goes
through the network for each of the five frames a second, whether anything moves in them or not. A number is only worth
comparing with one of the same machine, at rest.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

# Name and length in seconds; README.md of tests/footage says what they show.
CLIPS = [("pedestrians.mp4", 60), ("visits.mp4", 60), ("bikes.mp4", 10), ("parked.mp4", 30), ("empty.mp4", 30)]
# Pictures a second that are examined.
FPS = 5
ROW = "{:<16} {:>7} {:>9} {:>13} {:>6} {:>8} {:>12} {:>8} {:>9}"
FRAME_ROW = "{:<16} {:>8} {:>8} {:>8} {:>8} {:>8} {:>17}"
TAIL_LINES = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/porchlight"))
    parser.add_argument("clip", nargs="*", help="some of them only: " + ", ".join(name for name, _ in CLIPS))
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"bench: there is no {options.binary}; run `make build`")

    chosen = [(name, seconds) for name, seconds in CLIPS if not options.clip or name in options.clip]
    if not chosen:
        sys.exit(f"bench: no such clip; there are: {', '.join(name for name, _ in CLIPS)}")
    print(ROW.format("clip", "video s", "looks", "looks / frame", "events", "cpu s", "cpu / video", "faster", "peak MB"), flush=True)
    frames = []
    clips = [(name, seconds, footage() / name) for name, seconds in chosen]
    if clips[0][0] == "pedestrians.mp4":
        clips += [("… at 640x360", 60, scaled(clips[0][2])), ("… four in one HD", 15, quartered(clips[0][2]))]
    for name, seconds, clip in clips:
        stats = replay(options.binary, clip)
        frames.append((name, per_frame(stats)))
        print(
            ROW.format(
                name,
                seconds,
                stats["inferences"],
                f"{stats['inferences'] / (seconds * FPS):.2f}",
                stats["events"],
                f"{stats['cpu_s']:.2f}",
                f"{100 * stats['cpu_s'] / seconds:.1f} %",
                f"{seconds / stats['wall_s']:.1f}x",
                f"{(stats['peak_rss_bytes'] or 0) / 1e6:.0f}",
            ),
            flush=True,
        )
    print("\nprocessor time in ms per frame; loop: motion, tracking, events; pictures: JPEGs of events, as a share of all frames")
    print(FRAME_ROW.format("clip", "decode", "loop", "pictures", "around", "network", "around / network"))
    for name, columns in frames:
        print(FRAME_ROW.format(name, *columns))


def per_frame(stats):
    """Milliseconds of processor time: decoding and motion for each frame they saw; tracking and events, pictures, what
    surrounds the network, and the network for each examined frame; the surroundings as a share of the network."""

    def cost(frames, *stages):
        return 1000 * sum(stats["stages"][stage]["cpu_s"] for stage in stages) / max(frames, 1)

    examined = stats["examined"]
    decode = cost(stats["decoded"], "decode")
    loop = cost(stats["stages"]["motion"]["count"], "motion") + cost(examined, "track", "events")
    pictures = cost(examined, "analyse")
    around, network = cost(examined, "preprocess", "postprocess"), cost(examined, "inference")
    share = f"{100 * around / max(network, 1e-9):.0f} %"
    return [*(f"{ms:.2f}" for ms in (decode, loop, pictures, around)), f"{network:.1f}", share]


def scaled(clip):
    """The clip at 640x360, the size that most substreams have."""
    return made(clip, "640x360", ["-vf", "scale=640:360"])


def quartered(clip):
    """Four quarters of the clip in one picture of 1920x1080: what is small everywhere in a large one."""
    inputs = [argument for start in (15, 30, 45) for argument in ("-ss", start, "-i", clip)]
    parts = "".join(f"[{number}]scale=960:540[p{number}];" for number in range(4))
    rows = "[p0][p1]hstack[upper];[p2][p3]hstack[lower];[upper][lower]vstack"
    return made(clip, "1920x1080", [*inputs, "-filter_complex", parts + rows, "-t", 15])


def made(clip, name, arguments):
    target = clip.with_name(f"bench-{name}-{clip.name}")
    if not target.exists():
        command = ["ffmpeg", "-v", "error", "-i", clip, *arguments, "-c:v", "libx264", "-bf", "0", "-g", "20", "-an", target]
        subprocess.run([str(part) for part in command], check=True)
    return target


def footage():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "porchlight" / "footage"


def replay(binary, clip):
    if not clip.exists():
        sys.exit(f"bench: {clip} is missing; run `make setup`")
    command = [binary, "--log", "error", "replay", clip, "--json", "--stats"]
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = result.stderr.splitlines()
    if result.returncode != 0 or not lines:
        sys.exit("\n".join([f"bench: replaying {clip.name} failed:", *lines[-TAIL_LINES:]]))
    return json.loads(lines[-1])


if __name__ == "__main__":
    main()
