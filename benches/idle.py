"""What watching costs while nothing happens: benches/idle.py --binary target/release/porchlight [--seconds 60] [--only empty]

The same streams, at the same time, from one simulated RTSP camera (tests/sim): an agent that decodes what it needs, an agent
with `decode = "all"`, and ffmpeg that decodes everything and hands on five frames a second, as recorders do it. Printed are CPU
seconds for a minute of one camera, and the ratios to ffmpeg; the load of the machine does not change them much, but do not
compare numbers of two machines. The bar of who decodes everything is what ffmpeg takes and 0.3 ms for each picture. `pedestrians` shows people all the time: there the agents also run the network, which is
taken out of what they cost (their own count of it). The last line is the memory of one agent with sixteen idle cameras.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIMULATOR = HERE.parent / "tests" / "sim" / "rtsp_camera.py"
ENCODER = "-an -c:v libx264 -preset veryfast -pix_fmt yuv420p -profile:v main -bf 0 -sc_threshold 0 -crf 23".split()
# Two of its light's periods, without its own first and last pictures: a camera does not jump from the end of a clip to its beginning.
EMPTY_FROM_S, EMPTY_S = 2, 24
# Name, source in tests/footage, filters, pictures between key frames, the bars for auto: of ffmpeg, and of a core.
STREAMS = [
    ("640x360@10, empty", "empty.mp4", "scale=640:360", 20, (0.35, 0.004)),
    ("1920x1080@25, empty", "empty.mp4", "scale=1920:1080,fps=25", 50, (0.12, None)),
    ("640x360@10, people", "pedestrians.mp4", "scale=640:360", 20, None),
]
# What Porchlight may do with a picture that it decodes, beside ffmpeg.
ACTIVE_S = 0.0003
SIXTEEN = 16
# Stages whose cost belongs to the network and what surrounds it, not to watching.
NETWORK = ("preprocess", "inference", "postprocess")
# How sizes of pictures usually are is learned from some twenty groups of them.
WARM_UP_S = 60
ROW = "{:<22} {:<6} {:<11} {:>9} {:>8} {:>9} {:>12} {:>15}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/porchlight"))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", default="", metavar="TEXT", help="streams whose name has this in it; no memory")
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"bench: there is no {options.binary}; run `make build`")
    print(ROW.format("stream", "who", "decoder", "CPU s/min", "of core", "x ffmpeg", "decoded/min", "bar"))
    with tempfile.TemporaryDirectory() as name:
        for stream in STREAMS:
            if options.only in stream[0]:
                compare(options, Path(name), stream)
        if not options.only:
            memory(options, Path(name))


def compare(options, folder, stream):
    title, source, filters, group, idle_bar = stream
    clip = prepared(source, filters, group)
    with Simulator(clip) as simulator:
        agents = {
            decode: Agent(options.binary, folder, [simulator.url], f'decode = "{decode}"') for decode in ("auto", "all")
        }
        ffmpeg = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-rtsp_transport", "tcp", "-i", simulator.url]
            + ["-an", "-vf", "fps=5", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-y", "/dev/null"]
        )
        try:
            time.sleep(WARM_UP_S)
            began, before = time.monotonic(), {who: agent.cost() for who, agent in agents.items()}
            before_ffmpeg = cpu_seconds(ffmpeg.pid)
            time.sleep(options.seconds)
            minutes = (time.monotonic() - began) / 60
            reference = (cpu_seconds(ffmpeg.pid) - before_ffmpeg) / minutes
            after = {who: agent.cost() for who, agent in agents.items()}
            decoders = {who: agent.decoder() for who, agent in agents.items()}
        finally:
            ffmpeg.kill()
            for agent in agents.values():
                agent.stop()
    line(title, "ffmpeg", "", reference, reference)
    for who in agents:
        cpu = (after[who][0] - before[who][0]) / minutes
        decoded = (after[who][1] - before[who][1]) / minutes
        if who == "auto" and idle_bar:
            share, of_core = idle_bar
            bar = f"<= {share} x" + (f", {of_core:.1%}" if of_core else "")
        else:
            bar = f"<= {1 + ACTIVE_S * decoded / reference:.2f} x"
        line(title, who, decoders[who], cpu, reference, decoded, bar)


def line(title, who, decoder, cpu, reference, decoded=None, bar=""):
    shown = f"{decoded:.0f}" if decoded is not None else ""
    print(
        ROW.format(title, who, decoder, f"{cpu:.3f}", f"{cpu / 60:.2%}", f"{cpu / reference:.2f}", shown, bar), flush=True
    )


def memory(options, folder):
    title, source, filters, group, _ = STREAMS[0]
    with Simulator(prepared(source, filters, group)) as simulator:
        agent = Agent(options.binary, folder, [simulator.url] * SIXTEEN)
        try:
            time.sleep(WARM_UP_S)
            before, began = agent.cost()[0], time.monotonic()
            time.sleep(options.seconds / 2)
            share = (agent.cost()[0] - before) / (time.monotonic() - began)
            rss_mb = resident_bytes(agent.child.pid) / 1e6
        finally:
            agent.stop()
    print(f"{SIXTEEN} idle cameras {title}: {rss_mb:.0f} MB resident (bar 150), {share:.1%} of a core")


class Simulator:
    """One stream of a clip, again and again."""

    def __init__(self, clip):
        command = ["/usr/bin/python3", SIMULATOR, "serve", "--port", "0", "--ctl", "0", "--stdin-quit"]
        self.child = subprocess.Popen(
            [*command, "--mount", f"/cam={clip},start=begin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ready = json.loads(self.child.stdout.readline())
        self.url = f"rtsp://127.0.0.1:{ready['port']}/cam"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(10)


class Agent:
    """A whole agent: `each` camera has these settings more, and `more` follows the cameras."""

    def __init__(self, binary, folder, urls, each="", more=""):
        self.address = f"127.0.0.1:{free_port()}"
        data = Path(tempfile.mkdtemp(dir=folder))
        cameras = "".join(
            f'[[camera]]\nid = "cam_{number}"\nsource = "{url}"\n{each}\n'
            for number, url in enumerate(urls)
        )
        settings = f'[agent]\ndata_dir = "{data}"\n[api]\nlisten = "{self.address}"\n[store]\nmin_free_mb = 0\n'
        config = data / "porchlight.toml"
        config.write_text(settings + cameras + more)
        self.child = subprocess.Popen([binary, "--log", "error", "run", "--config", config])

    def cost(self):
        """CPU seconds without the network's, and pictures decoded, so far."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        stages = re.findall(r'^porchlight_stage_cpu_seconds_total\{stage="(\w+)"\} (\S+)', text, re.M)
        network = sum(float(seconds) for stage, seconds in stages if stage in NETWORK)
        decoded = sum(float(count) for count in re.findall(r"^porchlight_decode_frames_total\{.*\} (\S+)", text, re.M))
        return cpu_seconds(self.child.pid) - network, decoded

    def decoder(self):
        with urllib.request.urlopen(f"http://{self.address}/api/v1/cameras", timeout=5) as answer:
            return json.load(answer)["items"][0]["decoder"] or "none"

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()


def prepared(source, filters, group):
    """The clip as a camera would send it; kept for the next time."""
    clips = footage()
    if not (clips / source).exists():
        sys.exit(f"bench: {clips / source} is missing; run `make setup`")
    steady = source == "empty.mp4"
    name = f"bench-{re.sub('[^0-9a-z]+', '-', filters)}-{group}-{Path(source).stem}{'-steady' if steady else ''}.mkv"
    target = clips / name
    if not target.exists():
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
        encoder = ["-vf", filters, *ENCODER, "-g", str(group)]
        if steady:
            # The middle of three rounds: encoders begin and end with pictures smaller than those between, and a camera's
            # began long ago.
            with tempfile.TemporaryDirectory() as folder:
                once, thrice = Path(folder) / "once.mkv", Path(folder) / "thrice.mkv"
                part = ["-ss", str(EMPTY_FROM_S), "-i", clips / source, "-t", str(EMPTY_S), "-c:v", "ffv1", once]
                subprocess.run([*command, *part], check=True)
                rounds = ["-stream_loop", "2", "-i", once, *encoder, thrice]
                subprocess.run([*command, *rounds], check=True)
                middle = ["-ss", str(EMPTY_S), "-i", thrice, "-t", str(EMPTY_S), "-c", "copy", target]
                subprocess.run([*command, *middle], check=True)
        else:
            subprocess.run([*command, "-i", clips / source, *encoder, target], check=True)
    return target


def footage():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "porchlight" / "footage"


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
