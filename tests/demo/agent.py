"""The agent under demonstration: its configuration, its process, what it costs."""

import os
import secrets
import signal
import socket
import subprocess
import time

from api import Api
from camera import CAMERAS, USER
from process import Failure, start, stop, tail

USUAL_PORT = 8420
CHECK_SECS = 60
READY_SECS = 60
# Above the ten seconds that the agent takes at most to drain.
STOP_SECS = 15
PASSWORD_ENV, SECRET_ENV = "DEMO_CAMERA_PASSWORD", "DEMO_WEBHOOK_SECRET"


class Agent:
    """One agent with a data folder of its own; `stop` may be called at any time, more than once."""

    def __init__(self, binary, folder, simulator):
        self.secret = secrets.token_urlsafe(24)
        self.base = f"http://127.0.0.1:{free_port()}"
        self.api = Api(self.base)
        self._binary = binary
        self._config = folder / "porchlight.toml"
        self._config.write_text(self._settings(folder, simulator))
        self._log = folder / "agent.log"
        self._env = {**os.environ, PASSWORD_ENV: simulator.password, SECRET_ENV: self.secret}
        self._child = None

    def _settings(self, folder, simulator):
        cameras = "".join(
            f'[[camera]]\nid = "{camera.id}"\nname = "{camera.name}"\nsource = "{simulator.url(camera)}"\n'
            f'username = "{USER}"\npassword_env = "{PASSWORD_ENV}"\n\n'
            for camera in CAMERAS
        )
        return (
            f'[agent]\ndata_dir = "{folder / "data"}"\n\n'
            f'[api]\nlisten = "{self.base.removeprefix("http://")}"\npublic_base_url = "{self.base}"\n\n'
            f"[inspector]\nenabled = true\n\n{cameras}"
            # The receiver is the agent's own inspector, reached as any receiver is: over HTTP.
            f'[[webhook]]\nid = "inspector"\nurl = "{self.base}/webhook-test"\nsecret_env = "{SECRET_ENV}"\n'
            'event_types = ["object.*"]\n'
        )

    def check(self):
        command = [self._binary, "check", "--config", self._config]
        result = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=CHECK_SECS)
        if result.returncode != 0:
            said = (result.stderr + result.stdout).strip()
            raise Failure(f"`porchlight check` refuses the configuration:\n{said}", "run `make setup`, then try again")

    def start(self):
        """Returns once the API answers; how long that took, in seconds."""
        began = time.monotonic()
        with self._log.open("wb") as log:
            command = [self._binary, "run", "--config", self._config]
            self._child = start(command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self.api.healthy():
            self.must_run()
            if time.monotonic() - began > READY_SECS:
                raise Failure(f"the agent did not answer within {READY_SECS} s", "its log above should say why")
            time.sleep(0.05)
        return time.monotonic() - began

    def must_run(self):
        code = self._child.poll()
        if code is not None:
            raise Failure(f"the agent ended by itself, with code {code}", "its log above should say why")

    def cost(self):
        """Processor seconds so far; resident memory now and at most, in MB."""
        pid = self._child.pid
        with open(f"/proc/{pid}/stat") as stat:
            # The second field is a name in brackets that may hold spaces.
            fields = stat.read().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        with open(f"/proc/{pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        now, most = (int(lines[key].split()[0]) * 1024 / 1e6 for key in ("VmRSS", "VmHWM"))
        return cpu, now, most

    def stop(self):
        """Asks it to end; how long that took in seconds, or None when it had to be killed."""
        if self._child is None or self._child.poll() is not None:
            return 0.0
        began = time.monotonic()
        self._child.send_signal(signal.SIGTERM)
        ended = stop(self._child, STOP_SECS)
        return time.monotonic() - began if ended else None

    def log_tail(self):
        return tail(self._log)


def free_port():
    """The agent's usual port, or another one where somebody else has it."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise Failure("no port of 127.0.0.1 is free", "is the network interface `lo` up?")
