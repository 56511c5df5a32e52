"""The simulated cameras: real footage, served over RTSP with digest authentication by tests/sim."""

import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from process import Failure, start, stop

SIMULATOR = Path(__file__).resolve().parent.parent / "sim" / "rtsp_camera.py"
# Debian's own: a Python of another origin has no GStreamer bindings.
PYTHON = "/usr/bin/python3"
USER = "viewer"
STOP_SECS = 6


@dataclass(frozen=True)
class Camera:
    """A camera of the demo."""

    id: str
    name: str
    clip: str


# People all the time in the first; cyclists and cars close up, in ten seconds over and over, in the second.
CAMERAS = (
    Camera("campus_road", "Campus Road", "pedestrians.mkv"),
    Camera("bike_lane", "Bike Lane", "bikes.mp4"),
)


def footage():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "porchlight" / "footage"


class Simulator:
    """Serves `CAMERAS` while it is entered."""

    def __init__(self, log):
        self.password = secrets.token_urlsafe(12)
        self.port = None
        self._log = log
        self._child = None

    def __enter__(self):
        mounts = []
        for camera in CAMERAS:
            clip = footage() / camera.clip
            if not clip.exists():
                raise Failure(f"the clip {clip} is missing", "run `make setup`, which makes it")
            mounts += ["--mount", f"/{camera.id}={clip}"]
        credentials = ["--auth", "digest", "--user", f"{USER}:{self.password}"]
        command = [PYTHON, SIMULATOR, "serve", "--stdin-quit", *credentials, *mounts]
        try:
            with self._log.open("wb") as log:
                self._child = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        except OSError as error:
            raise Failure(f"cannot start {PYTHON}: {error}", "run `make setup`; on other systems see tests/sim") from None
        # It prints one line when all cameras listen, and ends when it cannot.
        line = self._child.stdout.readline()
        try:
            self.port = json.loads(line)["port"]
        except (ValueError, KeyError):
            self.__exit__()
            said = self._log.read_text(errors="replace").strip()
            raise Failure(f"the simulated cameras did not start:\n{said}", "run `make setup`") from None
        return self

    def url(self, camera):
        return f"rtsp://127.0.0.1:{self.port}/{camera.id}"

    def __exit__(self, *_):
        self._child.stdin.close()
        stop(self._child, STOP_SECS)
        self._child.stdout.close()
