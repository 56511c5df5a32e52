//! Where models are, and which there are.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::{self, ConfigError, Manifest};

/// A model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No folder with models anywhere.
    #[error("there is no models folder (looked in {}); run `models/fetch`, or set models.dir", places(.0))]
    NoFolder(Vec<PathBuf>),
    /// The folder has no such model.
    #[error("there is no model `{name}` in {}; there are: {}", .folder.display(), .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where.
        folder: PathBuf,
        /// What is there.
        known: Vec<String>,
    },
    /// The manifest is there and wrong.
    #[error(transparent)]
    Manifest(#[from] ConfigError),
    /// The weights are not there.
    #[error("the weights of `{0}` are missing ({file}); run `models/fetch {0}`", file = .1.display())]
    NoWeights(String, PathBuf),
}

fn places(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The models folder.
#[derive(Debug, Clone)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// The configured folder, or the first of the usual places that exists.
    pub fn find(models: &config::Models) -> Result<Self, LibraryError> {
        let usual = || {
            let from_env = env::var_os("PORCHLIGHT_MODELS_DIR").filter(|v| !v.is_empty()).map(PathBuf::from);
            let of_user = config::user_data_dir().map(|dir| dir.join("models"));
            let of_system = ["/var/lib/porchlight/models", "/usr/share/porchlight/models"];
            from_env.into_iter().chain(of_user).chain(of_system.map(PathBuf::from)).collect()
        };
        let candidates: Vec<PathBuf> = models.dir.clone().map_or_else(usual, |dir| vec![dir]);
        match candidates.iter().find(|path| path.is_dir()) {
            Some(folder) => Ok(Self { folder: folder.clone() }),
            None => Err(LibraryError::NoFolder(candidates)),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest of that name, its weights present.
    pub fn model(&self, name: &str) -> Result<Manifest, LibraryError> {
        let path = self.folder.join(format!("{name}.toml"));
        if !path.is_file() {
            let known = self.names();
            return Err(LibraryError::Unknown { name: name.to_owned(), folder: self.folder.clone(), known });
        }
        let manifest = Manifest::load(&path)?;
        if !manifest.file.is_file() {
            return Err(LibraryError::NoWeights(name.to_owned(), manifest.file));
        }
        Ok(manifest)
    }

    /// The names of all manifests, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let manifest = |path: PathBuf| {
            let is_toml = path.extension().is_some_and(|e| e == "toml");
            is_toml.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))?
        };
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| manifest(entry.path())).collect();
        names.sort();
        names
    }
}
