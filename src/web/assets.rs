//! The files of the page, in the program itself.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// An embedded file.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    /// `text/css; charset=utf-8`, …
    pub content_type: &'static str,
    /// The file.
    pub content: &'static str,
    version: String,
}

/// The file of that name.
#[must_use]
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Where a file is. Changes with its content, so that browsers may keep it for ever.
pub(super) fn address(name: &str) -> String {
    let version = asset(name).map_or("", |asset| asset.version.as_str());
    format!("/assets/{name}?v={version}")
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
        ("page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
        ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ]
    .map(|(name, content_type, content)| {
        let mut version = hex::encode(Sha256::digest(content));
        version.truncate(12);
        Asset { name, content_type, content, version }
    })
});
