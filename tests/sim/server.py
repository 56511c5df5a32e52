"""The RTSP server: mounts, who may see them, and the faults that concern connections rather than pictures.

All methods run on the GLib main loop's thread; only feeders have threads of their own.
"""

import ctypes
import threading
import time

from clip import Clip
from faults import Faults
from feeder import Feeder
from gst import GLib, Gst, GstRtsp, GstRtspServer

# No parser here: the units are parsed already, and a parser would repair what the faults broke.
PAYLOADERS = {"h264": "rtph264pay pt=96", "hevc": "rtph265pay pt=96", "mjpeg": "rtpjpegpay pt=26"}

TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "any": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}

ADDRESS = "127.0.0.1"
REALM = "Porchlight test camera"
ROLE = "viewer"
SESSION_SWEEP_SECS = 5


class Mount:
    """One camera: a path, the clip it shows, and what is wrong with it. Shared with its feeders' threads."""

    def __init__(self, path, clip, is_live, faults):
        self.path = path
        self.clip = clip
        self.is_live = is_live  # each client is sent what the clock says, instead of the clip from its first picture on
        self.faults = faults
        self.jump_secs = 0.0  # sum of all `tsjump` so far; a feeder applies what is new to it
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.feeders = []
        self.sent_frames = 0
        self.sent_bytes = 0

    def live_position_ns(self):
        return int((time.monotonic() - self.started) * Gst.SECOND) % self.clip.length_ns

    def count_sent(self, size_bytes):
        with self.lock:
            self.sent_frames += 1
            self.sent_bytes += size_bytes

    def attach(self, media):
        feeder = Feeder(self, media)
        with self.lock:
            self.feeders.append(feeder)
        media.connect("unprepared", lambda _media: self.detach(feeder))
        feeder.start()

    def detach(self, feeder):
        feeder.stop()
        with self.lock:
            if feeder in self.feeders:
                self.feeders.remove(feeder)

    def apply_faults(self, settings):
        """Faults by name; `tsjump=SECONDS` is no state but happens once, so it is none of them."""
        states = {name: value for name, value in settings.items() if name != "tsjump"}
        jump_secs = float(settings.get("tsjump", 0.0))
        self.faults.update(states)
        self.jump_secs += jump_secs
        self.push_loss()

    def clear_faults(self):
        self.faults = Faults()
        self.push_loss()

    def push_loss(self):
        with self.lock:
            for feeder in self.feeders:
                feeder.set_loss(self.faults.loss)

    def stats(self):
        with self.lock:
            return {
                "playing": len(self.feeders),
                "frames": self.sent_frames,
                "bytes": self.sent_bytes,
                "faults": self.faults.active(),
            }


class MediaFactory(GstRtspServer.RTSPMediaFactory):
    """Makes a pipeline for each client: one that they share may answer 503 for ever when it ends while the next one comes."""

    def __init__(self, mount, transport):
        super().__init__()
        self.mount = mount
        self.set_latency(0)
        self.set_protocols(TRANSPORTS[transport])
        self.connect("media-configure", lambda _factory, media: mount.attach(media))

    def do_create_element(self, _url):
        clip = self.mount.clip
        payload = Gst.parse_bin_from_description(
            f'appsrc name=src is-live=true format=time max-bytes=0 caps="{clip.caps}"'
            f" ! {PAYLOADERS[clip.codec]} ! identity name=loss",
            False,
        )
        # The server looks for a `pay0` with RTP on its source pad; here that is payloader and packet loss together.
        payload.set_name("pay0")
        payload.add_pad(Gst.GhostPad.new("src", payload.get_by_name("loss").get_static_pad("src")))
        top = Gst.Bin.new(None)
        top.add(payload)
        return top


class Server:
    """Listens from construction on, on loopback only."""

    def __init__(self, port, transport="any", auth="none", users=None, max_sessions=None, session_timeout_secs=60):
        self.transport = transport
        self.auth_method = auth
        self.users = dict(users or {})
        self.mounts = {}
        self.paths_of_clients = {}

        self.server = GstRtspServer.RTSPServer.new()
        self.server.set_address(ADDRESS)
        self.server.set_service(str(port))
        # Without a limit: a client that hangs must not hold up the others.
        self.server.get_thread_pool().set_max_threads(-1)
        self.mount_points = self.server.get_mount_points()

        self.auth = None
        if auth != "none":
            self.auth = make_auth(auth)
            for name, password in self.users.items():
                self.add_login(name, password)
            self.server.set_auth(self.auth)

        sessions = self.server.get_session_pool()
        if max_sessions:
            sessions.set_max_sessions(max_sessions)
        GLib.timeout_add_seconds(SESSION_SWEEP_SECS, sweep, sessions)
        self.server.connect("client-connected", self.on_client, session_timeout_secs)

        self.listener = self.server.attach(None)
        if not self.listener:
            raise OSError(f"cannot listen on {ADDRESS}:{port}")
        self.port = self.server.get_bound_port()
        # `up` after `down` must find the same port again, also where a free one was asked for.
        self.server.set_service(str(self.port))

    def on_client(self, _server, client, session_timeout_secs):
        def remember_path(client, context):
            if context.uri:
                self.paths_of_clients[client] = context.uri.abspath

        client.connect("new-session", lambda _client, session: session.set_timeout(session_timeout_secs))
        client.connect("describe-request", remember_path)
        client.connect("setup-request", remember_path)
        client.connect("closed", lambda client: self.paths_of_clients.pop(client, None))

    def add_mount(self, mount):
        factory = MediaFactory(mount, self.transport)
        if self.auth:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role(ROLE, "media.factory.access", True)
            permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
            factory.set_permissions(permissions)
        self.mounts[mount.path] = mount
        self.mount_points.add_factory(mount.path, factory)

    def mount(self, path):
        if path not in self.mounts:
            raise ValueError(f"no mount {path}; there are {' '.join(self.mounts)}")
        return self.mounts[path]

    def unmount(self, path):
        """404 for new clients; those of this mount are dropped. The mount keeps its state for `remount`."""
        self.mount_points.remove_factory(self.mount(path).path)
        self.kick(path)

    def remount(self, path):
        self.add_mount(self.mount(path))

    def switch(self, path, file):
        mount = self.mount(path)
        clip = Clip(file)
        if clip.codec != mount.clip.codec:
            raise ValueError(f"{file} is {clip.codec}, but sessions of {path} were promised {mount.clip.codec}")
        mount.clip = clip

    def kick(self, path=None):
        """Closes the connections of one mount, or all; returns how many."""
        victims = [client for client, of in self.paths_of_clients.items() if path is None or is_under(of, path)]
        for client in victims:
            client.close()
        return len(victims)

    def down(self):
        if self.listener:
            GLib.source_remove(self.listener)
            self.listener = 0
        self.kick()

    def up(self):
        if not self.listener:
            self.listener = self.server.attach(None)
            if not self.listener:
                raise OSError(f"port {self.port} was taken by another program")

    def change_password(self, name, password):
        """From the next request on; sessions that play go on playing."""
        if name not in self.users or not self.auth:
            raise ValueError(f"no user {name}")
        if self.auth_method in ("basic", "both"):
            self.auth.remove_basic(GstRtspServer.RTSPAuth.make_basic(name, self.users[name]))
        if self.auth_method in ("digest", "both"):
            self.auth.remove_digest(name)
        self.users[name] = password
        self.add_login(name, password)

    def add_login(self, name, password):
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        if self.auth_method in ("basic", "both"):
            self.auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        if self.auth_method in ("digest", "both"):
            self.auth.add_digest(name, password, token)


def is_under(client_path, mount_path):
    """A SETUP request's path has the stream's name behind the mount's."""
    return client_path == mount_path or client_path.startswith(mount_path + "/")


def sweep(sessions):
    """Sessions whose client left without TEARDOWN end only when somebody looks."""
    sessions.cleanup()
    return GLib.SOURCE_CONTINUE


def make_auth(method):
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_realm(REALM)
    methods = {"basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}
    if method in methods:
        auth.set_supported_methods(methods[method])
    else:
        # Basic and Digest together are no value of the enum, and PyGObject refuses the number; a GObject's hash is
        # its address.
        library = ctypes.CDLL("libgstrtspserver-1.0.so.0")
        both = int(GstRtsp.RTSPAuthMethod.BASIC) | int(GstRtsp.RTSPAuthMethod.DIGEST)
        library.gst_rtsp_auth_set_supported_methods(ctypes.c_void_p(hash(auth)), both)
    return auth
