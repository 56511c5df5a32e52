#!/usr/bin/python3
"""Simulated RTSP cameras on loopback, that ask for credentials and break on command. See README.md beside this file.

    rtsp_camera.py prepare IN OUT.mkv --codec h264|h265|mjpeg [--size 640x360] [--fps 10]
    rtsp_camera.py serve --port 0 --ctl 0 --mount /cam1=OUT.mkv [--auth digest --user cam:secret]
    rtsp_camera.py ctl PORT 'fault /cam1 stall=1' stats

It serves GStreamer's RTSP server, so the agent is tested against a peer that nobody of this project wrote.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time

# Tests run this from a source tree that may be read-only, and that stays clean.
sys.dont_write_bytecode = True

import control  # noqa: E402  after the line above
import prepare  # noqa: E402

LAST_RESORT_SECS = 3
PARENT_POLL_SECS = 1


def main():
    options = parse_arguments()
    return options.run(options)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = commands.add_parser("serve", help="serve files as cameras until told to end")
    serving.set_defaults(run=serve)
    serving.add_argument("--port", type=int, default=0, help="RTSP port; 0 takes a free one (default)")
    serving.add_argument("--ctl", type=int, default=0, help="control port; 0 takes a free one (default)")
    serving.add_argument("--mount", action="append", required=True, metavar="/PATH=FILE[,start=begin|live][,FAULT=N]")
    serving.add_argument("--auth", choices=["none", "basic", "digest", "both"], default="none")
    serving.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    serving.add_argument("--transport", choices=["any", "tcp", "udp"], default="any", help="the other one gets 461")
    serving.add_argument("--max-sessions", type=int, metavar="N", help="further clients get 503")
    serving.add_argument("--session-timeout", type=int, default=60, metavar="SECONDS")
    serving.add_argument(
        "--blackhole", type=int, metavar="PORT", help="also accept here, and never answer; 0: any port"
    )
    serving.add_argument("--garbage", type=int, metavar="PORT", help="also answer random bytes here; 0: any port")
    serving.add_argument("--seconds", type=float, help="end after this long")
    serving.add_argument("--stdin-quit", action="store_true", help="end when stdin ends or the parent process is gone")

    controlling = commands.add_parser("ctl", help="send commands to a control port")
    controlling.set_defaults(run=send_commands)
    controlling.add_argument("port", type=int)
    usages = [usage for usage, _ in control.COMMANDS.values()]
    controlling.add_argument("command", nargs="+", help="; ".join(usages))

    preparing = commands.add_parser("prepare", help="make a clip that can be served: no B frames, fixed key frames")
    preparing.set_defaults(run=prepare.run)
    prepare.add_arguments(preparing)
    return parser.parse_args()


def send_commands(options):
    try:
        return 0 if control.send_commands(options.port, options.command) else 1
    except OSError as error:
        sys.exit(f"rtsp_camera: control port {options.port}: {error}")


def serve(options):
    # Only here: the other commands need no GStreamer.
    from clip import ClipError
    from gst import GLib
    from server import Server

    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)

    try:
        users = parse_users(options)
        mounts = parse_mounts(options.mount)
        server = Server(
            options.port, options.transport, options.auth, users, options.max_sessions, options.session_timeout
        )
        for mount in mounts:
            server.add_mount(mount)
        control_listener, control_port = control.listen(options.ctl)
        ready = {"ready": True, "pid": os.getpid(), "port": server.port, "ctl": control_port}
        if options.blackhole is not None:
            ready["blackhole"] = open_blackhole(options.blackhole)
        if options.garbage is not None:
            ready["garbage"] = open_garbage_port(options.garbage)
    except (ClipError, ValueError, OSError) as error:
        sys.exit(f"rtsp_camera: {error}")
    control.serve_control(control_listener, control.Commands(server, loop.quit))

    if options.seconds:
        GLib.timeout_add(int(options.seconds * 1000), loop.quit)
    if options.stdin_quit:
        quit_with_stdin_and_parent(loop)
    ready["mounts"] = {
        mount.path: {"url": f"rtsp://127.0.0.1:{server.port}{mount.path}", **mount.clip.summary()} for mount in mounts
    }
    print(json.dumps(ready), flush=True)
    loop.run()
    return 0


def parse_users(options):
    users = {}
    for text in options.user:
        name, colon, password = text.partition(":")
        if not name or not colon:
            raise ValueError("--user needs NAME:PASSWORD")
        users[name] = password
    if options.auth != "none" and not users:
        raise ValueError(f"--auth {options.auth} needs at least one --user NAME:PASSWORD")
    return users


def parse_mounts(texts):
    """Mounts of `/PATH=FILE[,NAME=VALUE…]`; mounts of the same file share its clip."""
    from clip import Clip
    from faults import Faults
    from server import Mount

    mounts, clips = [], {}
    for text in texts:
        path, equals, rest = text.partition("=")
        if not path.startswith("/") or not equals:
            raise ValueError(f"--mount {text}: write /PATH=FILE[,NAME=VALUE]")
        file, *settings = rest.split(",")
        settings = dict(setting.partition("=")[::2] for setting in settings)
        start = settings.pop("start", "begin")
        if start not in ("begin", "live"):
            raise ValueError(f"--mount {text}: start is begin or live")
        if file not in clips:
            clips[file] = Clip(file)
        faults = Faults()
        faults.update(settings)
        mounts.append(Mount(path, clips[file], start == "live", faults))
    return mounts


def open_blackhole(port):
    """A port that accepts and never answers, like a camera whose firmware hangs."""
    listener, port = control.listen(port)
    kept = []
    control.accept_forever(listener, kept.append)
    return port


def open_garbage_port(port):
    """A port that answers every connection with 4 KiB of noise, as where another service has taken the port."""
    listener, port = control.listen(port)

    def answer(connection):
        with connection:
            try:
                connection.sendall(random.Random(2).randbytes(4096))
            except OSError:
                return  # the client has left already

    control.accept_forever(listener, answer)
    return port


def quit_with_stdin_and_parent(loop):
    """Tests must not leave cameras behind, however they end.

    The kernel closes a dead parent's end of the pipe. Another child of that parent may have inherited the same end and
    keep it open, so the parent itself is watched too. (PR_SET_PDEATHSIG would not do: it fires when the parent's
    *thread* ends, and a test harness starts cameras from short-lived threads.)
    """
    parent = os.getppid()

    def leave():
        # A main loop that is busy, or a pipeline that will not stop, must not keep the process.
        last_resort = threading.Timer(LAST_RESORT_SECS, os._exit, [1])
        last_resort.daemon = True
        last_resort.start()
        loop.quit()

    def watch_stdin():
        # Not through sys.stdin: its lock, held by a daemon thread, makes the interpreter's end a fatal error.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        leave()

    def watch_parent():
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECS)
        leave()

    threading.Thread(target=watch_stdin, daemon=True).start()
    threading.Thread(target=watch_parent, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
