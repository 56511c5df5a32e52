//! What several test binaries need: footage, clips made on the fly, a simulated camera, and what was logged.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod log;
mod program;
mod sim;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use log::{logged, record_log};
pub(crate) use program::Program;
pub(crate) use sim::Sim;

/// A clip of `tests/footage`.
pub(crate) fn footage(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache"))
    });
    let path = cache.expect("HOME is set").join("porchlight/footage").join(name);
    assert!(path.exists(), "{} is missing; run `make setup`", path.display());
    path
}

/// Runs ffmpeg with arguments separated by spaces, `{in}` and `{out}` standing for paths.
pub(crate) fn ffmpeg(arguments: &str, input: &Path, output: &Path) {
    let arguments = arguments.split_whitespace().map(|word| match word {
        "{in}" => input.as_os_str(),
        "{out}" => output.as_os_str(),
        word => word.as_ref(),
    });
    let result = Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(arguments).output();
    let result = result.expect("ffmpeg is installed; run `make setup`");
    assert!(result.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&result.stderr));
}

/// SHA-256 of each picture as ffmpeg decodes it: I420, in display order.
pub(crate) fn ffmpeg_hashes(clip: &Path) -> Vec<String> {
    // `unaligned`: ffmpeg would otherwise crop a little less at the left than the stream asks for.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("hashes");
    let arguments = "-threads 1 -flags unaligned -i {in} -map 0:v -fps_mode passthrough -pix_fmt yuv420p -f framehash -hash sha256 {out}";
    ffmpeg(arguments, clip, &list);
    let text = std::fs::read_to_string(list).expect("ffmpeg wrote it");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect()
}
