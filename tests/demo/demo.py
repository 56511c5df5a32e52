"""Shows the whole way at work, with nothing but this machine: `make demo`.

Real footage becomes RTSP cameras with a password, the agent watches them and sends signed webhooks to its own inspector.
This program reads the events from the API, takes each delivery as a receiver would, verifies its signature by itself and
fetches its picture. Exits with 0 if at least one delivery was verified and none was wrong.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from agent import Agent  # noqa: E402  after the line above
from camera import CAMERAS, Simulator  # noqa: E402
from process import Failure  # noqa: E402
from screen import Screen  # noqa: E402
from watch import POLL_SECS, Watch  # noqa: E402

STEPS = 4
# How long the last events may take to be delivered once the time is over.
LAST_DELIVERIES_SECS = 3


def main():
    options = parse_arguments()
    screen = Screen()
    # A closed terminal and a `kill` end it as Ctrl-C does: in order.
    # (INT too: a shell starts what it runs in the background with that ignored.)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="porchlight-demo-") as folder:
        try:
            return demonstrate(options, Path(folder), screen)
        except KeyboardInterrupt:
            screen.line("demo: stopped")
        except Failure as failure:
            screen.line(screen.paint("red", f"demo: {failure}"))
            screen.line(f"demo: {failure.advice}")
    return 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/porchlight"), help="[default: %(default)s]")
    parser.add_argument("--seconds", type=float, help="end after this long [default: on Ctrl-C]")
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"demo: there is no {options.binary}; run `make demo`, which builds it")
    return options


def demonstrate(options, folder, screen):
    screen.step(1, STEPS, f"{len(CAMERAS)} simulated cameras, RTSP with a password")
    with Simulator(folder / "simulator.log") as simulator:
        for camera in CAMERAS:
            screen.line(f"      {simulator.url(camera)}  {camera.name}, from {camera.clip}")
        agent = Agent(options.binary.resolve(), folder, simulator)
        try:
            screen.step(2, STEPS, "porchlight check: the configuration, the networks, ONNX Runtime")
            agent.check()
            screen.step(3, STEPS, "porchlight run")
            took = agent.start()
            screen.line(f"      answers after {took:.1f} s")
            until = f"for {options.seconds:g} s" if options.seconds else "until Ctrl-C"
            screen.step(4, STEPS, f"events (●) and their deliveries ({screen.paint('green', '✓')}), {until}")
            screen.line(f"      with pictures: {screen.paint('bold', agent.base + '/')}")
            watch = Watch(agent, screen)
            watch_until(watch, options.seconds, screen)
            cost = agent.cost()
            stopped = agent.stop()
        except Failure:
            for line in agent.log_tail():
                screen.line(screen.paint("dim", f"    {line}"))
            raise
        finally:
            agent.stop()
    return summarise(watch, cost, stopped, took, screen)


def watch_until(watch, seconds, screen):
    began = time.monotonic()
    try:
        while seconds is None or time.monotonic() - began < seconds:
            watch.look()
            passed = time.monotonic() - began
            of = f" of {seconds:g}" if seconds else ""
            screen.status(f"  {passed:.0f}{of} s: {len(watch.events)} events, {watch.verified} deliveries verified")
            time.sleep(POLL_SECS)
    except KeyboardInterrupt:
        screen.line("  stopping")
    deadline = time.monotonic() + LAST_DELIVERIES_SECS
    watch.look()
    while watch.waiting and time.monotonic() < deadline:
        time.sleep(POLL_SECS)
        watch.look()


def summarise(watch, cost, stopped, ready_secs, screen):
    cpu, memory_now, memory_most = cost
    wrong = watch.received - watch.verified
    rows = [
        ("events", f"{len(watch.events)}, {watch.ended} of them over"),
        ("deliveries received", f"{watch.received}"),
        ("signature and picture verified", f"{watch.verified}"),
        ("wrong", f"{wrong}"),
        ("from commit to delivery, median", milliseconds(watch.delays_secs)),
        ("from camera to delivery, median", milliseconds(watch.delivered_secs)),
        ("agent: ready after", f"{ready_secs:.1f} s"),
        ("agent: processor time", f"{cpu:.1f} s"),
        ("agent: memory", f"{memory_now:.0f} MB, at most {memory_most:.0f} MB"),
        ("agent: stopped after", f"{stopped:.1f} s" if stopped is not None else "it had to be killed"),
    ]
    width = max(len(name) for name, _ in rows)
    screen.line()
    for name, value in rows:
        screen.line(f"  {name:<{width}}  {value}")
    screen.line()
    if not watch.received:
        screen.line(screen.paint("red", "demo: FAILED: no delivery arrived; is the machine very busy? try SECONDS=120"))
        return 1
    if wrong or stopped is None:
        what = f"{wrong} of {watch.received} deliveries were wrong" if wrong else "the agent did not stop when asked"
        screen.line(screen.paint("red", f"demo: FAILED: {what}"))
        return 1
    screen.line(screen.paint("green", f"demo: PASSED: {watch.verified} signed deliveries verified"))
    return 0


def milliseconds(seconds):
    return f"{1000 * statistics.median(seconds):.0f} ms" if seconds else "-"


if __name__ == "__main__":
    sys.exit(main())
