//! The decoders in hardware that a machine may have.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One of them. Devices that are told apart are tried apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// Whatever the library finds under `/dev/video*`: a Raspberry Pi 4.
    V4l2M2m,
    /// A graphics processor, by its render node: what Intel and AMD build into theirs.
    Vaapi(PathBuf),
}

impl Device {
    /// For people, as everything that decodes has a name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::V4l2M2m => "libavcodec, V4L2 M2M",
            Self::Vaapi(_) => "libavcodec, VAAPI",
        }
    }

    /// What there may be: cameras are among `/dev/video*`, and not every graphics processor decodes.
    pub(super) fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Device>> = OnceLock::new();
        ALL.get_or_init(|| {
            let m2m = nodes(Path::new("/dev"), "video").first().map(|_| Self::V4l2M2m);
            let vaapi = nodes(Path::new("/dev/dri"), "renderD").into_iter().map(Self::Vaapi);
            m2m.into_iter().chain(vaapi).collect()
        })
    }
}

fn nodes(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut nodes: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    nodes.sort();
    nodes
}
