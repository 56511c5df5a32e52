//! The `source` of a camera and what belongs to it: address, credentials, transport, pace.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Position, Url};

use super::parse_size;
use super::read::percent_decode;
use super::section::Section;
use crate::model::SourceType;

/// Where pictures come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A network camera over RTSP.
    Rtsp(RtspSource),
    /// A network camera over HTTP: an MJPEG stream, or single pictures.
    Http(HttpSource),
    /// A USB camera.
    Usb(UsbSource),
    /// A video file.
    File(FileSource),
}

impl Source {
    /// Its kind.
    #[must_use]
    pub fn source_type(&self) -> SourceType {
        match self {
            Self::Rtsp(_) => SourceType::Rtsp,
            Self::Http(_) => SourceType::Http,
            Self::Usb(_) => SourceType::Usb,
            Self::File(_) => SourceType::File,
        }
    }
}

/// An RTSP address, its credentials taken out of it.
#[derive(Clone)]
pub struct RtspSource {
    /// Without user and password.
    pub url: Url,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// How media travels.
    pub transport: Transport,
}

/// Without the query of the address: some cameras want the password there.
impl fmt::Debug for RtspSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = (self.url.host_str(), self.url.port(), self.url.path(), self.transport);
        f.debug_tuple("RtspSource").field(&fields).finish()
    }
}

/// An HTTP address, its credentials taken out of it.
#[derive(Clone)]
pub struct HttpSource {
    /// Without user and password.
    pub url: Url,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// How often a camera that answers with one picture is asked.
    pub interval: Duration,
}

/// As of [`RtspSource`].
impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = (self.url.host_str(), self.url.port(), self.url.path(), self.interval);
        f.debug_tuple("HttpSource").field(&fields).finish()
    }
}

/// A V4L2 device.
#[derive(Debug, Clone)]
pub struct UsbSource {
    /// The device, or a link to it that stays the same when its number does not.
    pub device: PathBuf,
    /// The wanted size, px; the camera's nearest is taken.
    pub size: (u32, u32),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp(source) => source.fmt(f),
            Self::Http(source) => f.write_str(&shown(&source.url)),
            Self::Usb(source) => source.device.display().fmt(f),
            Self::File(source) => source.path.display().fmt(f),
        }
    }
}

impl fmt::Display for RtspSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

/// An address for people. Some cameras want user and password in the query, or in the path (`/user=admin&password=…`): neither is
/// shown from there on.
fn shown(url: &Url) -> String {
    let path = url.path();
    let secret =
        path.find(['=', '&', ':', '@', ';', '%']).map(|at| path[..at].rfind('/').map_or(0, |at| at + 1));
    let (open, hidden) = secret.map_or((path, url.query().is_some()), |at| (&path[..at], true));
    let origin = &url[..Position::BeforePath];
    format!("{origin}{open}{}", if hidden { "…" } else { "" })
}

/// What a build without USB cameras says to one.
pub const NO_USB: &str =
    "this build cannot read USB cameras; use one made with `cargo build --release --features usb`";

/// User and password of a camera.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

/// How RTP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved, unless the camera refuses that; then datagrams.
    Auto,
    /// Interleaved in the RTSP connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A video file as a camera.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// MP4 or MKV.
    pub path: PathBuf,
    /// At the recorded speed, or as fast as it can be examined.
    pub realtime: bool,
    /// Start again at the end.
    pub repeat: bool,
}

const ADDRESS: &str = "expected rtsp://HOST[:PORT]/PATH or http://HOST[:PORT]/PATH";

/// Links to USB cameras that stay the same, by maker, model and serial number.
const BY_ID: &str = "/dev/v4l/by-id";

pub(super) fn source(section: &Section<'_>) -> Source {
    let text: String = section.required("source");
    let username: Option<String> = section.optional("username");
    let password = section.secret("password");
    let transport = section
        .choice("transport", &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)]);
    let interval = section.seconds("snapshot_interval_s", 0.05..=3600.0);
    let size = section.parsed("size", parse_size).unwrap_or((1280, 720));
    let realtime = section.choice("pace", &[("realtime", true), ("fast", false)]);
    let repeat = section.required("loop");
    let file = |path: String| Source::File(FileSource { path: path.into(), realtime, repeat });
    if let Some(device) = device(&text) {
        return Source::Usb(UsbSource { device, size });
    }
    let Some((scheme, _)) = text.split_once("://") else { return file(text) };
    let scheme = scheme.to_ascii_lowercase();
    if !["rtsp", "http", "https"].contains(&scheme.as_str()) {
        let message = format!("`{scheme}://` is not supported; use rtsp://, http://, /dev/video0 or a file");
        section.wrong("source", message);
        return file(text);
    }
    let Some(mut url) = Url::parse(&text).ok().filter(Url::has_host) else {
        section.wrong("source", format!("is not an address; {ADDRESS}"));
        return file(text);
    };
    let credentials = credentials(section, &mut url, username, password);
    match scheme.as_str() {
        "rtsp" => Source::Rtsp(RtspSource { url, credentials, transport }),
        _ => Source::Http(HttpSource { url, credentials, interval }),
    }
}

/// The camera's large stream. User, password and transport are those of `source`, unless the address has its own.
pub(super) fn main_source(section: &Section<'_>, source: &Source) -> Option<RtspSource> {
    let text: String = section.optional("main")?;
    let (credentials, transport) = match source {
        Source::Rtsp(small) => (small.credentials.clone(), small.transport),
        Source::Http(small) => (small.credentials.clone(), Transport::Auto),
        Source::Usb(_) | Source::File(_) => {
            section.wrong("main", "only a camera on the network has a second stream");
            return None;
        }
    };
    let Some(mut url) = Url::parse(&text).ok().filter(|url| url.scheme() == "rtsp" && url.has_host()) else {
        section.wrong("main", "is not the address of a stream; expected rtsp://HOST[:PORT]/PATH");
        return None;
    };
    let credentials = take_credentials(&mut url).or(credentials);
    if matches!(source, Source::Rtsp(small) if small.url == url) {
        section.wrong("main", "is the same stream as source; give the camera's large one, or leave it out");
    }
    Some(RtspSource { url, credentials, transport })
}

/// `/dev/video0`, `/dev/v4l/by-id/…`, `usb:0` or `usb:` and the name of a link in `/dev/v4l/by-id`.
fn device(text: &str) -> Option<PathBuf> {
    if text.starts_with("/dev/video") || text.starts_with("/dev/v4l/") {
        return Some(text.into());
    }
    let name = text.strip_prefix("usb:").filter(|name| !name.is_empty() && !name.contains('/'))?;
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    Some(if is_number { format!("/dev/video{name}").into() } else { PathBuf::from(BY_ID).join(name) })
}

/// Credentials may stand in the address or in keys of their own; inside, they are never part of the address.
fn credentials(
    section: &Section<'_>,
    url: &mut Url,
    username: Option<String>,
    password: Option<SecretString>,
) -> Option<Credentials> {
    let in_url = take_credentials(url);
    if in_url.is_some() && (username.is_some() || password.is_some()) {
        section.wrong("source", "holds a user and so do username/password; keep one of them");
    }
    if username.is_none() && password.is_some() {
        let keys = ["password", "password_env", "password_file"];
        let key = keys.into_iter().find(|key| section.has(key)).unwrap_or("username");
        section.wrong(key, "there is no username beside it");
    }
    let in_keys = username.map(|username| Credentials { username, password: password.unwrap_or_default() });
    in_url.or(in_keys)
}

/// Takes user and password out of an address.
fn take_credentials(url: &mut Url) -> Option<Credentials> {
    let credentials = (!url.username().is_empty()).then(|| Credentials {
        username: percent_decode(url.username()),
        password: percent_decode(url.password().unwrap_or_default()).into(),
    });
    // Both only fail on addresses without a host, and this one has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    credentials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_password() {
        for (url, expected) in [
            ("rtsp://10.0.0.7:8554/Streaming/Channels/101", "rtsp://10.0.0.7:8554/Streaming/Channels/101"),
            ("rtsp://camera/", "rtsp://camera/"),
            ("http://camera/snapshot.cgi?user=a&pwd=b", "http://camera/snapshot.cgi…"),
            ("rtsp://camera:554/user=admin&password=secret&channel=1.sdp", "rtsp://camera:554/…"),
            ("rtsp://camera/live/admin:secret/1", "rtsp://camera/live/…"),
            ("rtsp://camera/live/admin%3Asecret/1", "rtsp://camera/live/…"),
        ] {
            assert_eq!(shown(&Url::parse(url).expect("an address")), expected);
        }
    }
}
