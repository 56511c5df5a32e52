"""Child processes that never outlive the demo, and the one exception that ends it."""

import ctypes
import signal
import subprocess

PR_SET_PDEATHSIG = 1
LOG_TAIL_LINES = 25


class Failure(Exception):
    """What failed; `advice` says what to do about it."""

    def __init__(self, text, advice):
        super().__init__(text)
        self.advice = advice


def start(command, **options):
    """Starts a child in a session of its own: Ctrl-C in the terminal reaches the demo only, which ends things in order."""
    return subprocess.Popen([str(word) for word in command], start_new_session=True, preexec_fn=die_with_us, **options)


def die_with_us():
    # Even a demo that is killed with -9 leaves nothing behind: the kernel tells the child.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(child, patience_secs):
    """Waits for a child that was asked to end; kills it when it does not. True: it ended by itself."""
    try:
        child.wait(patience_secs)
        return True
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False


def tail(path):
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return lines[-LOG_TAIL_LINES:]
