//! Picture files: `pictures/<yyyy-mm-dd>/<event id>-<seq>.jpg` below the data folder.
//!
//! A file is complete or not there: it is written under another name, synced, renamed, and its folder is synced. What a crash
//! leaves behind (a file without an event) is swept at the next start. Which pictures have to go is decided in `retention`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::StoreError;
use crate::model::{EventId, Picture, UtcMillis};
use crate::telemetry::Telemetry;

const FOLDER: &str = "pictures";
const UNFINISHED: &str = "tmp";

/// A picture that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Below the data folder.
    pub(super) path: String,
    /// Lower-case hex.
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

/// What was found at the start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Files that are gone now.
    pub(super) removed: usize,
    /// The size of the others.
    pub(super) kept_bytes: u64,
}

/// Writes and removes picture files.
#[derive(Debug)]
pub(super) struct Pictures {
    data_dir: PathBuf,
    min_free_bytes: u64,
    /// Pictures refused since there was room last.
    refused: u64,
    telemetry: Arc<Telemetry>,
}

impl Pictures {
    pub(super) fn open(
        data_dir: &Path,
        min_free_bytes: u64,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, StoreError> {
        let folder = data_dir.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| StoreError::File { path: folder, source })?;
        Ok(Self { data_dir: data_dir.to_owned(), min_free_bytes, refused: 0, telemetry })
    }

    /// Writes a picture, or says why not and lets the event go without: an event matters more than its picture.
    pub(super) fn write(
        &mut self,
        event: EventId,
        seq: u32,
        at: UtcMillis,
        picture: &Picture,
    ) -> Option<Written> {
        let day: String = at.to_string().chars().take_while(|&c| c != 'T').collect();
        let folder = self.data_dir.join(FOLDER).join(&day);
        let name = format!("{event}-{seq}.jpg");
        let written = self.check_room().and_then(|()| write_synced(&folder, &name, &picture.jpeg));
        match written {
            Ok(()) => {
                if self.refused > 0 {
                    tracing::info!(refused = self.refused, "pictures are written again");
                    self.telemetry.store.end(FOLDER);
                    self.refused = 0;
                }
                Some(Written {
                    path: format!("{FOLDER}/{day}/{name}"),
                    sha256: hex::encode(Sha256::digest(&picture.jpeg)),
                    bytes: picture.jpeg.len() as u64,
                })
            }
            Err(error) => {
                if self.refused == 0 {
                    tracing::error!(%error, "events go without pictures until there is room again");
                    let detail = format!("events go without pictures until there is room again: {error}");
                    self.telemetry.store.begin(FOLDER, detail);
                }
                self.refused += 1;
                self.telemetry.metrics.store_pictures_refused.inc();
                None
            }
        }
    }

    fn check_room(&self) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.data_dir)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= self.min_free_bytes {
            return Ok(());
        }
        let (free, wanted) = (free >> 20, self.min_free_bytes >> 20);
        Err(io::Error::other(format!("the disk has {free} MiB free, less than min_free_mb = {wanted}")))
    }

    /// Removes a file that no event names any more. One that is gone already is no trouble.
    pub(super) fn remove(&self, path: &str) {
        let path = self.data_dir.join(path);
        match fs::remove_file(&path) {
            Ok(()) => {
                // The day's folder goes with its last picture; until then this fails, as it should.
                let _ = path.parent().map(fs::remove_dir);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove a picture"),
        }
    }

    /// Removes unfinished files and pictures that `is_named` does not know, by their event and their path.
    pub(super) fn sweep(
        &self,
        mut is_named: impl FnMut(EventId, &str) -> Result<bool, StoreError>,
    ) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for day in entries(&self.data_dir.join(FOLDER))? {
            if !day.is_dir() {
                continue;
            }
            for path in entries(&day)? {
                let relative = path.strip_prefix(&self.data_dir).unwrap_or(&path).to_string_lossy();
                let named = match event_of(&path) {
                    Some(event) => is_named(event, &relative)?,
                    None => false,
                };
                if named {
                    swept.kept_bytes += path.metadata().map_or(0, |file| file.len());
                } else {
                    self.remove(&relative);
                    swept.removed += 1;
                }
            }
        }
        Ok(swept)
    }
}

/// The event in a file's name; none is in that of an unfinished one.
fn event_of(path: &Path) -> Option<EventId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".jpg")?;
    name.rsplit_once('-')?.0.parse().ok()
}

fn write_synced(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    let unfinished = folder.join(format!("{name}.{UNFINISHED}"));
    let written = (|| {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))?;
        sync_folder(folder)
    })();
    if written.is_err() {
        // Best effort: on a full disk each byte counts, and the sweep finds what stays.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// A rename is durable once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |source| StoreError::File { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UtcMillis = UtcMillis(1_795_326_246_007);

    fn pictures(folder: &Path, min_free_bytes: u64) -> Pictures {
        Pictures::open(folder, min_free_bytes, Arc::default()).expect("a usable folder")
    }

    fn jpeg(content: &[u8]) -> Picture {
        Picture { jpeg: content.into() }
    }

    #[test]
    fn a_picture_is_filed_under_its_day_with_its_digest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let id = EventId::new(AT);
        let written = pictures(folder.path(), 0).write(id, 2, AT, &jpeg(b"abc")).expect("room");
        assert_eq!(written.path, format!("pictures/2026-11-22/{id}-2.jpg"));
        assert_eq!(written.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fs::read(folder.path().join(written.path)).expect("a file"), b"abc");
    }

    #[test]
    fn without_headroom_no_picture_is_written_and_each_refusal_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut pictures = pictures(folder.path(), u64::MAX);
        assert_eq!(pictures.write(EventId::new(AT), 1, AT, &jpeg(b"abc")), None);
        assert_eq!(pictures.write(EventId::new(AT), 1, AT, &jpeg(b"abc")), None);
        assert_eq!(pictures.telemetry.metrics.store_pictures_refused.get(), 2);
        pictures.min_free_bytes = 0;
        assert!(pictures.write(EventId::new(AT), 1, AT, &jpeg(b"abc")).is_some());
        assert_eq!(pictures.refused, 0);
    }

    #[test]
    fn what_a_crash_left_is_swept_and_what_is_named_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut pictures = pictures(folder.path(), 0);
        let kept = pictures.write(EventId::new(AT), 1, AT, &jpeg(b"kept")).expect("room");
        let lost = pictures.write(EventId::new(AT), 1, AT, &jpeg(b"lost")).expect("room");
        let unfinished = folder.path().join(format!("{}.tmp", lost.path));
        fs::write(&unfinished, b"ha").expect("writable");
        let swept = pictures.sweep(|_, path| Ok(path == kept.path)).expect("readable");
        assert_eq!(swept, Swept { removed: 2, kept_bytes: 4 });
        assert!(folder.path().join(kept.path).exists());
        assert!(!folder.path().join(lost.path).exists());
        assert!(!unfinished.exists());
    }
}
