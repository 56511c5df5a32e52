"""The control port: one command per line, one answer per line (`ok …`, `error: …`, or the JSON of `stats`)."""

import inspect
import json
import shlex
import socket
import threading

from gst import GLib

ANSWER_TIMEOUT_SECS = 30


class Commands:
    """What a line may say. `usage` is also what the command line's help prints."""

    def __init__(self, server, quit_server):
        self.server = server
        self.quit_server = quit_server

    def execute(self, line):
        try:
            name, *arguments = shlex.split(line) or [""]
            if name not in COMMANDS:
                return f"error: no command {name!r}; there are {' '.join(COMMANDS)}"
            usage, method = COMMANDS[name]
            try:
                inspect.signature(method).bind(self, *arguments)
            except TypeError:
                return f"error: usage: {usage}"
            return method(self, *arguments) or "ok"
        except (ValueError, OSError) as error:
            return f"error: {error}"

    def fault(self, path, first, *others):
        pairs = [setting.partition("=") for setting in (first, *others)]
        self.server.mount(path).apply_faults({name: value for name, _, value in pairs})

    def clear(self, path):
        self.server.mount(path).clear_faults()

    def switch(self, path, file):
        self.server.switch(path, file)

    def kick(self, path=None):
        return f"ok {self.server.kick(path)}"

    def unmount(self, path):
        self.server.unmount(path)

    def remount(self, path):
        self.server.remount(path)

    def down(self):
        self.server.down()

    def up(self):
        self.server.up()

    def passwd(self, name, password):
        self.server.change_password(name, password)

    def stats(self):
        return json.dumps({path: mount.stats() for path, mount in self.server.mounts.items()})

    def quit(self):
        # Not at once: the answer goes out first.
        GLib.timeout_add(50, self.quit_server)


COMMANDS = {
    "fault": ("fault PATH NAME=VALUE [NAME=VALUE ...]", Commands.fault),
    "clear": ("clear PATH", Commands.clear),
    "switch": ("switch PATH FILE", Commands.switch),
    "kick": ("kick [PATH]", Commands.kick),
    "unmount": ("unmount PATH", Commands.unmount),
    "remount": ("remount PATH", Commands.remount),
    "down": ("down", Commands.down),
    "up": ("up", Commands.up),
    "passwd": ("passwd NAME NEW_PASSWORD", Commands.passwd),
    "stats": ("stats", Commands.stats),
    "quit": ("quit", Commands.quit),
}


def listen(port):
    listener = socket.create_server(("127.0.0.1", port))
    return listener, listener.getsockname()[1]


def serve_control(listener, commands):
    accept_forever(listener, lambda connection: answer_lines(connection, commands))


def accept_forever(listener, handle):
    """Each connection in a thread of its own, all of them ending with the process."""

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def answer_lines(connection, commands):
    with connection, connection.makefile("rw") as stream:
        for line in stream:
            stream.write(on_main_loop(lambda line=line: commands.execute(line.strip())) + "\n")
            stream.flush()


def on_main_loop(function):
    """Runs a function on the main loop's thread, which owns the server, and waits for its answer."""
    answered, answers = threading.Event(), []

    def run():
        try:
            answers.append(function())
        finally:
            answered.set()
        return GLib.SOURCE_REMOVE

    GLib.idle_add(run)
    answered.wait(ANSWER_TIMEOUT_SECS)
    return answers[0] if answers else "error: no answer from the server"


def send_commands(port, commands):
    """The client's side: sends each command, prints each answer; False if one of them was an error."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_SECS) as connection:
        with connection.makefile("rw") as stream:
            for command in commands:
                stream.write(command + "\n")
                stream.flush()
                answer = stream.readline().strip()
                print(answer or "error: the server is gone", flush=True)
                if not answer or answer.startswith("error"):
                    return False
    return True
