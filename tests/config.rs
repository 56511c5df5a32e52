//! The configuration as its users meet it: what `check` says to good files, bad files and the examples.
//!
//! `UPDATE_EXPECTED=1 cargo test --test config` writes what is said now to the `.expected` files, for review in the diff.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use porchlight::config::{Config, DEFAULTS};

fn project(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The TOML files of a folder of the project.
fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(project(folder)).expect("the folder is there").flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("toml")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {folder}");
    files
}

/// `porchlight check` beside the file, with the variables that fixtures name.
fn check(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porchlight"));
    command.current_dir(file.parent().expect("a file is in a folder"));
    command.args(["check", "--config"]).arg(file.file_name().expect("a file has a name"));
    command.env_remove("PORCHLIGHT_LOG");
    command.envs([("CAMERA_PASSWORD", "x"), ("WEBHOOK_SECRET", "x"), ("EMPTY_SECRET", "")]);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("messages are UTF-8")
}

#[track_caller]
fn assert_passes(output: &Output, file: &Path) {
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}: (are the models installed? `make setup`)\n{said}", file.display());
    assert!(text(&output.stdout).ends_with(": all well\n") && said.is_empty(), "{said}");
}

#[test]
fn bad_files_are_told_what_is_wrong_with_them() {
    let mut wrong = Vec::new();
    for file in toml_files("tests/fixtures/config/bad") {
        let output = check(&file).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{}", file.display());
        assert!(output.stdout.is_empty(), "{}: problems go to stderr", file.display());
        // The only place of this machine that a message names.
        let said = without_models_folder(&text(&output.stderr));
        let expected_file = file.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected_file, &said).expect("it can be written");
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n--- expected\n{expected}--- said\n{said}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `there is no model `x` in FOLDER; there are: …`: folder and list belong to the machine.
fn without_models_folder(said: &str) -> String {
    let cut = |line: &str| match line.split_once(" in /") {
        Some((head, _)) if line.contains("there is no model") => format!("{head} in MODELS"),
        _ => line.to_owned(),
    };
    said.lines().map(|line| cut(line) + "\n").collect()
}

#[test]
fn good_files_pass() {
    for file in toml_files("tests/fixtures/config/good") {
        assert_passes(&check(&file).output().expect("the program runs"), &file);
    }
}

#[test]
fn examples_pass_once_their_secrets_are_there() {
    for file in toml_files("config/examples") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let example = fs::read_to_string(&file).expect("an example is text");
        // The files with secrets are those of an installed agent: here they are in the temporary folder.
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).expect("the folder is new");
        let copied = example.replace("/etc/porchlight/secrets", &secrets.display().to_string());
        let copy = folder.path().join(file.file_name().expect("a file has a name"));
        fs::write(&copy, &copied).expect("it can be written");
        let mut command = check(&copy);
        for (key, value) in copied.lines().filter_map(|line| line.split_once(" = ")) {
            let value = value.trim_matches('"');
            if key.ends_with("_env") {
                command.env(value, "a secret");
            } else if key.ends_with("_file") {
                fs::write(value, "a secret\n").expect("it can be written");
            }
        }
        assert_passes(&command.output().expect("the program runs"), &file);
    }
}

#[test]
fn examples_lack_nothing_but_their_secrets() {
    for file in toml_files("config/examples") {
        let error = Config::load(&file).expect_err("nobody sets these secrets");
        for problem in error.problems {
            let about_secret = problem.key.ends_with("_env") || problem.key.ends_with("_file");
            assert!(about_secret, "{}: {}: {}", file.display(), problem.key, problem.message);
        }
    }
}

#[test]
fn every_key_of_the_defaults_is_read() {
    // The tables with defaults for each camera, webhook and rule are read where there is one.
    let one_each = "[[camera]]\nid = \"a\"\nsource = \"clip.mp4\"\n[[webhook]]\nid = \"b\"\nurl = \"http://c/\"\n\
                    [[rule]]\nid = \"d\"\nwebhooks = [\"b\"]\n";
    Config::parse(&format!("{DEFAULTS}\n{one_each}")).expect("the defaults are settings like any other");
}

#[test]
fn a_key_that_is_not_among_the_defaults_is_noticed() {
    // What keeps the test above honest: the same text with any of its keys misspelled is refused.
    let one_each = "[[camera]]\nid = \"a\"\nsource = \"clip.mp4\"\n[[webhook]]\nid = \"b\"\nurl = \"http://c/\"\n\
                    [[rule]]\nid = \"d\"\nwebhooks = [\"b\"]\n";
    let keys = DEFAULTS.lines().filter(|line| !line.starts_with('#') && line.contains(" = "));
    for line in keys {
        let text = DEFAULTS.replacen(&format!("\n{line}\n"), &format!("\nx{line}\n"), 1);
        assert!(Config::parse(&format!("{text}\n{one_each}")).is_err(), "`x{line}` passed");
    }
}

#[test]
fn settings_of_all_cameras_hold_for_each_unless_it_has_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("password");
    fs::write(&file, "from the file\n").expect("it can be written");
    let text = format!(
        "[camera_defaults]\nusername = \"all\"\npassword = \"of all\"\nfps = 3\nmotion.threshold = 30\n\
         [[camera]]\nid = \"a\"\nsource = \"rtsp://a/\"\n\
         [[camera]]\nid = \"b\"\nsource = \"rtsp://b/\"\nusername = \"b\"\npassword_file = {file:?}\nfps = 9\n"
    );
    let config = Config::parse(&text).expect("both are complete");
    let of = |index: usize| {
        let camera = &config.cameras[index];
        let porchlight::config::Source::Rtsp(source) = &camera.source else { return None };
        let credentials = source.credentials.as_ref()?;
        use secrecy::ExposeSecret as _;
        let password = credentials.password.expose_secret().to_owned();
        Some((credentials.username.clone(), password, camera.fps, camera.motion.threshold))
    };
    assert_eq!(of(0), Some(("all".to_owned(), "of all".to_owned(), 3.0, 30)));
    assert_eq!(of(1), Some(("b".to_owned(), "from the file".to_owned(), 9.0, 30)));
}

#[test]
fn debug_output_shows_no_secret() {
    let text = r#"
        [[camera]]
        id = "by_key"
        source = "rtsp://192.168.1.30/stream1?channel=1&password=HIDDEN-query"
        username = "viewer"
        password = "HIDDEN-key"
        [[camera]]
        id = "by_address"
        source = "rtsp://viewer:HIDDEN-address@192.168.1.31/stream1"
        [[webhook]]
        id = "hook"
        url = "https://HIDDEN-user:HIDDEN-pass@hooks.example.org/services/HIDDEN-path?token=HIDDEN-token"
        secret = "HIDDEN-secret"
        headers = { X-Api-Key = "HIDDEN-header" }
    "#;
    let config = Config::parse(text).expect("the text is complete");
    let shown = format!("{config:?}\n{config:#?}");
    assert!(shown.contains("by_key") && shown.contains("hooks.example.org"), "{shown}");
    assert!(!shown.contains("HIDDEN"), "{shown}");
}

#[test]
fn error_messages_show_no_secret() {
    let text = r#"
        [[camera]]
        id = "by_key"
        source = "http://viewer:HIDDEN-address@192.168.1.30/stream1"
        password = ["HIDDEN-list"]
        [[camera]]
        id = "twice"
        source = "rtsp://viewer:HIDDEN-address@192.168.1.31/stream1"
        username = "viewer"
        password = "HIDDEN-key"
        [[webhook]]
        id = "hook"
        url = "https://hooks.example.org:port/services/HIDDEN-path"
        secret = "HIDDEN-secret"
        secret_env = "NOBODY_SETS_THIS"
        headers = { Authorization = "HIDDEN\nheader", Host = "HIDDEN-host" }
    "#;
    let error = Config::parse(text).expect_err("each table has a mistake");
    assert!(error.problems.len() >= 6, "{error}");
    let shown = format!("{error}\n{error:?}");
    assert!(!shown.contains("HIDDEN"), "{shown}");
}
