//! Cameras at this machine: what the kernel says of them, without opening one, which would fail while an agent uses it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A USB camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbCamera {
    /// As the kernel calls it.
    pub name: String,
    /// `/dev/video0`; may be another one after a restart.
    pub device: PathBuf,
    /// The name of its link that stays the same, as `usb:NAME` takes it.
    pub id: Option<String>,
}

impl UsbCamera {
    /// What stands in `source`.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.id {
            Some(id) => format!("usb:{id}"),
            None => self.device.display().to_string(),
        }
    }
}

/// `class`: `/sys/class/video4linux`; `links`: `/dev/v4l/by-id`.
pub(super) fn cameras(class: &Path, links: &Path) -> Vec<UsbCamera> {
    let ids: BTreeMap<PathBuf, String> = entries(links)
        .into_iter()
        .filter_map(|link| Some((file_name(&std::fs::read_link(&link).ok()?)?.into(), file_name(&link)?)))
        .collect();
    let mut found: Vec<UsbCamera> = entries(class)
        .into_iter()
        .filter_map(|node| {
            let device = file_name(&node).filter(|name| name.starts_with("video"))?;
            // A camera's further nodes carry metadata. What has no USB under it is a decoder or a board's own sensor.
            let index = std::fs::read_to_string(node.join("index")).unwrap_or_default();
            let subsystem = std::fs::canonicalize(node.join("device/subsystem")).ok()?;
            if !matches!(index.trim(), "" | "0") || file_name(&subsystem)? != "usb" {
                return None;
            }
            let name = std::fs::read_to_string(node.join("name")).unwrap_or_default();
            let name = name.chars().filter(|letter| !letter.is_control()).collect::<String>();
            let id = ids.get(Path::new(&device)).cloned();
            Some(UsbCamera { name: name.trim().to_owned(), device: Path::new("/dev").join(device), id })
        })
        .collect();
    found.sort_by(|a, b| a.device.cmp(&b.device));
    found
}

/// A folder that is not there has none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn cameras_are_told_by_their_lasting_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (class, links, buses) =
            (folder.path().join("class"), folder.path().join("by-id"), folder.path().join("bus"));
        for bus in ["usb", "platform"] {
            fs::create_dir_all(buses.join(bus)).expect("made");
        }
        for (node, index, name, bus) in [
            ("video2", "0\n", "Webcam C270\n", "usb"),
            ("video3", "1\n", "Webcam C270\n", "usb"),
            ("video10", "0\n", "codec\n", "platform"),
            ("video0", "0\n", "Plain\n", "usb"),
        ] {
            let device = class.join(node).join("device");
            fs::create_dir_all(&device).expect("made");
            fs::write(class.join(node).join("index"), index).expect("written");
            fs::write(class.join(node).join("name"), name).expect("written");
            symlink(buses.join(bus), device.join("subsystem")).expect("linked");
        }
        fs::create_dir_all(&links).expect("made");
        symlink("../../video2", links.join("usb-C270-video-index0")).expect("linked");
        let sources: Vec<String> = cameras(&class, &links).iter().map(UsbCamera::source).collect();
        assert_eq!(sources, ["/dev/video0", "usb:usb-C270-video-index0"]);
        assert!(cameras(Path::new("/nowhere"), &links).is_empty());
    }
}
