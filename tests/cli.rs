//! The built program from outside: what it prints, where, and with which exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[path = "cli/cameras.rs"]
mod cameras;
mod common;
#[path = "cli/discover.rs"]
mod discover;
#[path = "cli/faces.rs"]
mod faces;
#[path = "cli/precision.rs"]
mod precision;

use common::footage;

/// The program in a folder of its own, with the installed models and nothing else of the user's.
fn porchlight(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_porchlight"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("PORCHLIGHT_LOG")
        .output()
        .expect("the program runs")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

/// Exit code 1, nothing on stdout, and one message that names all of `parts`; no panic, no source line.
#[track_caller]
fn assert_refused(output: &Output, parts: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
    assert!(!said.contains("panicked") && !said.contains(".rs:"), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}

#[test]
fn without_a_command_it_says_what_there_is() {
    let output = porchlight(folder().path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for command in [
        "run",
        "cameras",
        "check",
        "discover",
        "replay",
        "detect",
        "faces",
        "verify",
        "models",
        "outbox",
        "token",
        "webhook",
        "completions",
        "man",
    ] {
        assert!(said.lines().any(|line| line.trim_start().starts_with(command)), "{command}:\n{said}");
    }
}

#[test]
fn help_of_each_command_names_what_matters_there() {
    let expected: [(&str, &[&str]); 12] = [
        ("run", &["--config", "/etc/porchlight/porchlight.toml", "SIGTERM"]),
        ("cameras", &["--token-file", "--json", "Exits with 0"]),
        ("check", &["--config", "--json", "Exits with 0"]),
        ("replay", &["MP4 or MKV", "--json", "--stats", "--pictures", "--start", "nothing is sent"]),
        ("detect", &["JPEG", "--min-score", "--draw", "class_id"]),
        ("faces", &["landmarks", "turned_away", "--draw", "--embeddings", "[faces]"]),
        ("verify", &["Exits with 0", "with 2", "--json", "threshold"]),
        ("models", &["--json", "--config"]),
        ("outbox", &["--status", "--webhook", "--json"]),
        ("webhook", &["render", "verify"]),
        ("completions", &["bash", "zsh", "fish"]),
        ("man", &["folder"]),
    ];
    let folder = folder();
    for (command, parts) in expected {
        let output = porchlight(folder.path(), &[command, "--help"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{command}");
        let text = stdout(&output);
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in the help of {command}:\n{text}");
        }
    }
}

#[test]
fn a_misspelled_command_or_option_is_answered_with_the_right_one() {
    let folder = folder();
    for (arguments, part) in [(vec!["chek"], "'check'"), (vec!["check", "--jsno"], "'--json'")] {
        let output = porchlight(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = porchlight(folder().path(), &["--version"]);
    assert_eq!(stdout(&output).trim(), format!("porchlight {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_says_all_well_or_what_is_not() {
    let folder = folder();
    fs::write(folder.path().join("good.toml"), "[api]\nlisten = \"127.0.0.1:8420\"\n").expect("written");
    fs::write(folder.path().join("bad.toml"), "[api]\nlissten = 3\n").expect("written");

    let good = porchlight(folder.path(), &["check", "--config", "good.toml"]);
    assert!(good.status.success(), "{}", stderr(&good));
    assert_eq!(stdout(&good), "good.toml: all well\n");

    let bad = porchlight(folder.path(), &["check", "--config", "bad.toml"]);
    assert_refused(&bad, &["bad.toml:2: api.lissten: unknown key; did you mean `listen`?"]);

    let missing = porchlight(folder.path(), &["check", "--config", "missing.toml"]);
    assert_refused(&missing, &["missing.toml: cannot read: No such file"]);
}

#[test]
fn check_says_what_is_odd_and_succeeds() {
    let folder = folder();
    let hook = "[[webhook]]\nid = \"far\"\nurl = \"http://receiver.example.com/hook\"\n";
    fs::write(folder.path().join("c.toml"), hook).expect("written");
    let said = porchlight(folder.path(), &["check", "--config", "c.toml"]);
    assert!(said.status.success(), "{}", stderr(&said));
    let warning = "c.toml:3: webhook[1].url: goes unencrypted over the internet; use https";
    assert_eq!(stderr(&said).trim(), format!("warning: {warning}"));
    assert_eq!(stdout(&said), "c.toml: all well\n");
    let said = porchlight(folder.path(), &["check", "--json", "--config", "c.toml"]);
    let said: Value = serde_json::from_str(&stdout(&said)).expect("one JSON object");
    assert_eq!((&said["ok"], &said["warnings"][0]["key"]), (&Value::Bool(true), &"webhook[1].url".into()));
}

#[test]
fn check_for_programs_prints_one_object() {
    let folder = folder();
    fs::write(folder.path().join("good.toml"), "").expect("written");
    fs::write(folder.path().join("bad.toml"), "[api]\nlissten = 3\n").expect("written");

    let good = porchlight(folder.path(), &["check", "--json", "--config", "good.toml"]);
    let said: Value = serde_json::from_str(&stdout(&good)).expect("one JSON object");
    assert!(good.status.success());
    assert_eq!(said, serde_json::json!({"ok": true, "problems": [], "warnings": []}));

    let bad = porchlight(folder.path(), &["check", "--json", "--config", "bad.toml"]);
    let said: Value = serde_json::from_str(&stdout(&bad)).expect("one JSON object");
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.stderr.is_empty(), "{}", stderr(&bad));
    let message = "unknown key; did you mean `listen`?";
    let problem = serde_json::json!({"line": 2, "key": "api.lissten", "message": message});
    assert_eq!(said, serde_json::json!({"ok": false, "problems": [problem], "warnings": []}));
}

#[test]
fn check_looks_at_the_cameras_when_asked() {
    let folder = folder();
    let odd = folder.path().join("odd.mkv");
    let arguments = "-i {in} -frames:v 3 -an -c:v libx265 -x265-params log-level=none -pix_fmt yuv422p {out}";
    common::ffmpeg(arguments, &footage("bikes.mp4"), &odd);
    let camera = |id: &str, source: &str| format!("[[camera]]\nid = \"{id}\"\nsource = \"{source}\"\n");
    let text = camera("good", &footage("bikes.mp4").display().to_string())
        + &camera("odd", "odd.mkv")
        + &camera("gone", "rtsp://127.0.0.1:1/cam");
    fs::write(folder.path().join("c.toml"), text).expect("room");
    let plain = porchlight(folder.path(), &["check", "--config", "c.toml"]);
    assert!(plain.status.success(), "it asks nobody: {}", stderr(&plain));
    let said = porchlight(folder.path(), &["check", "--config", "c.toml", "--cameras"]);
    assert_eq!(said.status.code(), Some(1));
    let said = stderr(&said);
    for part in [
        "camera[2].source: odd: the video uses general_profile_idc 4",
        "set it to H.264, progressive, 8 bit",
        "camera[3].source: gone: nobody listens at that address",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.lines().any(|line| line.contains("camera[1]") && !line.starts_with("warning")), "{said}");
}

#[test]
fn check_looks_at_both_streams_of_a_camera() {
    let folder = folder();
    for (name, clip, size) in [("small", "bikes.mp4", "640:272"), ("main", "pedestrians.mp4", "1600:1200")] {
        let arguments = format!(
            "-i {{in}} -t 8 -vf fps=20,scale={size} -an -c:v libx264 -preset ultrafast -bf 0 -g 20 -pix_fmt yuv420p {{out}}"
        );
        common::ffmpeg(&arguments, &footage(clip), &folder.path().join(format!("{name}.mkv")));
    }
    let mount = |name: &str| format!("/{name}={}", folder.path().join(format!("{name}.mkv")).display());
    let sim = common::Sim::start(&["--mount", &mount("small"), "--mount", &mount("main")]);
    let camera = |id: &str, main: &str| {
        let (source, main) = (sim.url("/small"), sim.url(main));
        format!("[[camera]]\nid = \"{id}\"\nsource = \"{source}\"\nmain = \"{main}\"\n")
    };
    let text = camera("odd", "/main") + &camera("gone", "/nothing");
    fs::write(folder.path().join("c.toml"), text).expect("room");
    let said = stderr(&porchlight(folder.path(), &["check", "--config", "c.toml", "--cameras"]));
    assert!(said.contains("camera[1].main: odd: the main stream has another shape than source"), "{said}");
    assert!(said.contains("camera[1].source: odd: 20 pictures a second are more than needed"), "{said}");
    assert!(said.contains("camera[2].main: gone: ") && said.contains("check the path"), "{said}");
    assert!(!said.contains("larger than the detector") && !said.contains("main: 20 pictures"), "{said}");
}

#[cfg(not(feature = "usb"))]
#[test]
fn a_build_without_usb_cameras_says_so() {
    let folder = folder();
    fs::write(folder.path().join("c.toml"), "[[camera]]\nid = \"desk\"\nsource = \"usb:0\"\n").expect("room");
    let said = porchlight(folder.path(), &["check", "--config", "c.toml"]);
    assert_refused(
        &said,
        &["c.toml: camera[1].source: this build cannot read USB cameras; use one made with"],
    );
}

#[test]
fn check_finds_missing_models() {
    let folder = folder();
    fs::write(folder.path().join("c.toml"), "[models]\ndir = \"/nowhere\"\n").expect("written");
    let output = porchlight(folder.path(), &["check", "--config", "c.toml"]);
    assert_refused(&output, &["c.toml: models.dir: there is no models folder", "/nowhere", "models/fetch"]);
}

#[test]
fn completions_are_for_the_shell() {
    let output = porchlight(folder().path(), &["completions", "bash"]);
    let script = stdout(&output);
    assert!(output.status.success() && script.contains("_porchlight()") && script.contains("--config"));
    let mut bash = Command::new("bash");
    let check = bash.arg("-n").arg("-c").arg(&script).status().expect("bash is everywhere");
    assert!(check.success());
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = folder();
    let output = porchlight(folder.path(), &["man", "."]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    for page in [
        "porchlight.1",
        "porchlight-cameras.1",
        "porchlight-check.1",
        "porchlight-replay.1",
        "porchlight-outbox.1",
    ] {
        let text = fs::read_to_string(folder.path().join(page)).expect(page);
        assert!(text.contains(".TH porchlight"), "{page}:\n{text}");
    }
    assert_refused(&porchlight(folder.path(), &["man", "nowhere"]), &["nowhere"]);
}

#[test]
fn detect_goes_on_after_a_picture_that_cannot_be_read() {
    let folder = folder();
    fs::write(folder.path().join("garbage.jpg"), b"\xff\xd8\xff\xe0 no picture").expect("written");
    let output = porchlight(folder.path(), &["detect", "--json", "missing.jpg", "garbage.jpg"]);
    assert_refused(&output, &["cannot read the picture missing.jpg: No such file", "picture garbage.jpg"]);
}

#[test]
fn replay_of_a_missing_file_says_so() {
    let output = porchlight(folder().path(), &["replay", "missing.mp4"]);
    assert_refused(&output, &["porchlight: cannot replay missing.mp4", "no such file"]);
}

#[test]
fn replay_of_what_is_no_video_says_so() {
    let folder = folder();
    let noise: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for name in ["noise.mp4", "noise.mkv"] {
        fs::write(folder.path().join(name), &noise).expect("written");
        assert_refused(&porchlight(folder.path(), &["replay", name]), &["cannot replay", name]);
    }
    fs::write(folder.path().join("empty.mp4"), b"").expect("written");
    assert_refused(&porchlight(folder.path(), &["replay", "empty.mp4"]), &["cannot replay empty.mp4"]);
    assert_refused(&porchlight(folder.path(), &["replay", "."]), &["cannot replay ."]);
}

#[test]
fn replay_of_a_file_without_its_index_says_so() {
    // Cut in the middle, as by a full disk or a broken copy: the index of this clip stands at its end or beyond the cut.
    let folder = folder();
    let clip = fs::read(footage("pedestrians.mp4")).expect("the clip can be read");
    let index = clip.windows(4).position(|four| four == b"moov").expect("an MP4 has an index");
    fs::write(folder.path().join("cut.mp4"), &clip[..index + 200]).expect("written");
    assert_refused(&porchlight(folder.path(), &["replay", "cut.mp4"]), &["cannot replay cut.mp4"]);
}

#[test]
fn replay_of_a_file_that_ends_early_plays_what_is_there() {
    let folder = folder();
    let clip = fs::read(footage("carphone.mp4")).expect("the clip can be read");
    let (mkv, cut) = (folder.path().join("whole.mkv"), folder.path().join("cut.mkv"));
    let whole = folder.path().join("whole.mp4");
    fs::write(&whole, clip).expect("written");
    common::ffmpeg("-i {in} -c copy {out}", &whole, &mkv);
    let bytes = fs::read(&mkv).expect("ffmpeg wrote it");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let output = porchlight(folder.path(), &["replay", "--json", "--stats", "cut.mkv"]);
    let said = stderr(&output);
    assert!(output.status.success() && !said.contains("panicked"), "{said}");
    let stats: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).expect("statistics");
    let frames = stats["frames"].as_u64().expect("a number");
    assert!((10..120).contains(&frames), "{frames} of 120 frames:\n{said}");
}

#[test]
fn models_for_programs_prints_one_object() {
    let output = porchlight(folder().path(), &["models", "--json"]);
    assert!(output.status.success(), "run `make setup`\n{}", stderr(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert!(said["onnxruntime"]["build"].is_string() && said["folder"].is_string(), "{said}");
    let models = said["models"].as_array().expect("a list");
    let in_use: Vec<&Value> = models.iter().filter(|model| model["in_use"] == true).collect();
    assert_eq!(in_use.len(), 1, "{said}");
    assert_eq!((&in_use[0]["name"], &in_use[0]["job"]), (&"nanodet".into(), &"objects".into()));
}

#[test]
fn run_refuses_a_bad_configuration_as_check_does() {
    let folder = folder();
    fs::write(folder.path().join("bad.toml"), "[api]\nlissten = 3\n").expect("written");
    let output = porchlight(folder.path(), &["run", "--config", "bad.toml"]);
    assert_refused(&output, &["bad.toml:2: api.lissten: unknown key; did you mean `listen`?"]);
}

#[test]
fn outbox_without_an_agents_data_says_where_it_looked() {
    let folder = folder();
    let text = format!("[agent]\ndata_dir = {:?}\n", folder.path().join("data"));
    fs::write(folder.path().join("c.toml"), text).expect("written");
    let output = porchlight(folder.path(), &["outbox", "--config", "c.toml"]);
    assert_refused(&output, &["data"]);
}

const WEBHOOK: &str = r#"
[store]
min_free_mb = 0
[[webhook]]
id = "hook"
url = "http://receiver.example/path-secret?token=query-secret"
secret = "signing-secret"
[webhook.headers]
Authorization = "Bearer header-secret"
"#;

#[test]
fn a_webhooks_request_can_be_looked_at_without_sending_it() {
    let folder = folder();
    fs::write(folder.path().join("p.toml"), WEBHOOK).expect("written");
    let render = |event: &str, more: &[&str]| {
        let arguments = [&["webhook", "render", "hook", event, "--config", "p.toml"], more].concat();
        porchlight(folder.path(), &arguments)
    };
    let output = render("sample:object.detected", &[]);
    let said = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    let (head, body) = said.split_once("\n\n").expect("head and body");
    assert!(head.starts_with("POST to receiver.example\n"), "{head}");
    for line in ["Authorization: (hidden)", "content-type: application/json", "x-argusai-signature: sha256="]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(!said.contains("-secret"), "{said}");
    let body: Value = serde_json::from_str(body).expect("the body alone");
    assert_eq!(
        (&body["event_type"], &body["event"]["camera_name"]),
        (&"alert_triggered".into(), &"Front Door".into())
    );

    let json: Value =
        serde_json::from_str(&stdout(&render("sample:object.detected", &["--json"]))).expect("JSON");
    assert_eq!((&json["method"], &json["headers"]["Authorization"]), (&"POST".into(), &"(hidden)".into()));
    let inner: Value = serde_json::from_str(json["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(inner["rule"]["name"], "Hook");
    fs::write(folder.path().join("bad.json"), "{}").expect("written");
    assert_refused(&render("bad.json", &[]), &["bad.json does not hold an event"]);
    assert_refused(
        &render("nothing", &[]),
        &["neither a file nor the id of an event", "sample:object.detected"],
    );
    let unknown = ["webhook", "render", "hoak", "sample:a.b", "--config", "p.toml"];
    assert_refused(&porchlight(folder.path(), &unknown), &["no webhook `hoak`", "there is hook"]);
}

#[test]
fn s4_21_a_received_signature_can_be_checked() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).expect("written");
    write("body", r#"{"test": 2432232314}"#);
    write("tampered", r#"{"test": 1}"#);
    write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let verify = |body: &str, more: &[&str]| {
        let headers = [
            "--header=webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
            "--header=webhook-timestamp: 1614265330",
            "--header=webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "--secret-file=secret",
        ];
        let output = porchlight(folder.path(), &[&["webhook", "verify", body], &headers[..], more].concat());
        (output.status.code(), stdout(&output).trim().to_owned(), stderr(&output))
    };
    let long_ago = ["--preset=standard", "--tolerance=10000000000"];
    assert_eq!(verify("body", &long_ago), (Some(0), "valid".to_owned(), String::new()));
    let (code, said, _) = verify("tampered", &long_ago);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("invalid: the signature in webhook-signature was not made"), "{said}");
    let (code, said, _) = verify("body", &["--preset=standard"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(" s ago, and more than 300 s are not believed; compare the clocks"), "{said}");
    let (code, said, _) = verify("body", &["--preset=webnet"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "invalid: there is no signature: none of the headers x-webhook-signature")
    );
    let own = ["--signature-header=webhook-signature", "--format=v1,{base64}", "--content={id}.{body}"];
    assert!(verify("body", &own).1.starts_with("invalid: the signature in"));
    let (code, said, error) = verify("body", &["--preset=standrad"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(error.contains("did you mean `standard`?"), "{error}");
    let help = stdout(&porchlight(folder.path(), &["webhook", "verify", "--help"]));
    assert!(
        help.contains("whsec_") && help.contains("base64") && help.contains("exits with 0 or 1"),
        "{help}"
    );
}

#[test]
fn probe_tells_what_a_camera_sends_and_what_to_set() {
    let folder = folder();
    let clip = folder.path().join("clip.mkv");
    let arguments = "-i {in} -vf fps=20,scale=640:360 -an -c:v libx264 -preset fast -bf 0 -g 20 -sc_threshold 0 \
                     -pix_fmt yuv420p {out}";
    common::ffmpeg(arguments, &footage("bikes.mp4"), &clip);
    let mount = format!("/cam={}", clip.display());
    let sim = common::Sim::start(&["--mount", &mount, "--auth", "digest", "--user", "viewer:s3cret"]);
    let probe = |url: &str, more: &[&str]| {
        let arguments = [&["probe", url, "--seconds", "3", "--json"], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_porchlight"))
            .args(arguments)
            .current_dir(folder.path())
            .env("PASSWORD", "s3cret")
            .output()
            .expect("the program runs");
        let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert!(!format!("{output:?}").contains("s3cret"));
        (output.status.code(), said)
    };
    let login = ["--username", "viewer", "--password-env", "PASSWORD", "--picture", "seen.jpg"];
    let (code, said) = probe(&sim.url("/cam"), &login);
    assert_eq!((code, &said["ok"], &said["codec"]), (Some(0), &true.into(), &"H.264".into()), "{said}");
    assert_eq!((&said["width"], &said["height"]), (&640.into(), &360.into()));
    let near = |key: &str, expected: f64| {
        let value = said[key].as_f64().expect("a number");
        assert!((value - expected).abs() < expected / 10.0, "{key}: {said}");
    };
    near("fps", 20.0);
    near("key_frame_interval_s", 1.0);
    let bytes = fs::metadata(&clip).expect("it is there").len() as f64;
    assert!(
        (said["kbit_per_s"].as_f64().expect("a number") / (bytes * 8e-3 / 10.0) - 1.0).abs() < 0.5,
        "{said}"
    );
    assert!(said["advice"].to_string().contains("set it to 10"), "{said}");
    assert!(fs::read(folder.path().join("seen.jpg")).expect("written").starts_with(&[0xff, 0xd8]));

    let (code, said) = probe(&sim.url("/cam"), &[]);
    assert_eq!((code, &said["ok"], &said["reason"]), (Some(1), &false.into(), &"auth".into()), "{said}");
    let (code, said) = probe("rtsp://127.0.0.1:1/cam", &[]);
    assert_eq!((code, &said["reason"]), (Some(1), &"refused".into()), "{said}");
}
