//! Who may import whom, checked on the source: data moves one way, and no module knows one above it.
//!
//! [`rules`] holds the table, [`samples`] breaks every rule on purpose.

mod rules;
mod samples;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_source_keeps_to_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = rust_files(&root.join("src"));
    assert!(files.len() > 50, "found only {} files", files.len());
    let mut problems = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).expect("a source file is UTF-8 text");
        let name = file.strip_prefix(root).expect("it is inside").to_string_lossy();
        problems.extend(rules::check(&name, &source));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src/ is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
