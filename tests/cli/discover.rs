//! `porchlight discover` against an ONVIF service that nobody of this project wrote, on loopback.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use porchlight::config::{Config, Source};
use serde_json::Value;

use crate::common::Sim;
use crate::{folder, stderr, stdout};

const PASSWORD: &str = "Fl0wer+p0t&c4t";
const USER: &str = "viewer:Fl0wer+p0t&c4t";
const LOGIN: [&str; 4] = ["--username", "viewer", "--password-env", "DISCOVER_TEST_PASSWORD"];

fn discover(password: &str, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_porchlight"))
        .arg("discover")
        .args(arguments)
        .env("DISCOVER_TEST_PASSWORD", password)
        .env("PORCHLIGHT_LOG", "trace")
        .current_dir(folder().path())
        .output()
        .expect("the program runs");
    for text in [stdout(&output), stderr(&output)] {
        assert!(!text.contains(password) && !text.contains("panicked"), "{text}");
    }
    output
}

/// What one camera tells, asked directly.
fn asked(camera: &[&str], password: &str, login: &[&str]) -> Value {
    let sim = Sim::onvif(camera);
    let address = format!("127.0.0.1:{}", sim.number("port"));
    let output = discover(password, &[&["--address", &address, "--json"], login].concat());
    let mut said: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    let camera = said["network"][0].take();
    assert_eq!(output.status.success(), camera["views"] != serde_json::json!([]), "{camera}");
    camera
}

fn problem(camera: &[&str], password: &str, login: &[&str]) -> String {
    let camera = asked(camera, password, login);
    camera["problem"].as_str().expect("it has a problem").to_owned()
}

#[test]
fn cameras_that_answer_are_printed_as_they_stand_in_a_configuration() {
    let _gate = Sim::onvif(&["--announce", "--user", USER, "--name", "Gate"]);
    let _yard = Sim::onvif(&["--announce", "--user", USER, "--name", "Gate", "--host", "0.0.0.0"]);
    let output = discover(PASSWORD, &[&["--interface", "lo", "--timeout", "2"], &LOGIN[..]].concat());
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("gives its streams the host 0.0.0.0"), "{}", stderr(&output));
    // In the environment of this test the variable is not set; the agent's own would have it.
    let config =
        Config::parse(&text.replace("password_env = \"DISCOVER_TEST_PASSWORD\"", "password = \"x\""));
    let config = config.expect("a good configuration");
    let found: Vec<(String, String, String)> = config
        .cameras
        .iter()
        .filter_map(|camera| match &camera.source {
            Source::Rtsp(source) => {
                let main = camera.main.as_ref().map(|main| main.url.to_string());
                Some((camera.slug().to_string(), source.url.to_string(), main.unwrap_or_default()))
            }
            Source::Http(_) | Source::Usb(_) | Source::File(_) => None,
        })
        .collect();
    let (small, main) = ("rtsp://127.0.0.1:8554/sub", "rtsp://127.0.0.1:8554/main?a=1&b=2");
    let camera = |id: &str| (id.to_owned(), small.to_owned(), main.to_owned());
    assert_eq!(found, [camera("gate"), camera("gate_2")], "{text}");
    assert!(text.contains("1920x1080 H264, 25 pictures a second"), "{text}");
}

#[test]
fn a_cameras_wrong_clock_does_not_keep_it_from_believing_the_password() {
    for (clock, told) in [
        ("-31536000", "its clock is 365 days behind; switch its NTP on"),
        ("7300", "its clock is 2 hours ahead; switch its NTP on"),
    ] {
        let camera = asked(&["--user", USER, "--clock", clock], PASSWORD, &LOGIN);
        assert_eq!(camera["views"][0]["streams"][0]["width"], 1920, "{camera}");
        assert_eq!(camera["remarks"], serde_json::json!([told]));
    }
    let camera = asked(&["--user", USER], PASSWORD, &LOGIN);
    assert_eq!((&camera["remarks"], &camera["problem"]), (&serde_json::json!([]), &Value::Null));
}

#[test]
fn a_login_that_is_missing_wrong_or_unsafe_is_named() {
    assert!(problem(&["--user", USER], "x-y-z", &[]).contains("asks for a user; give --username"));
    assert!(problem(&["--user", USER], "wrong-one", &LOGIN).contains("refuses user or password"));
    assert!(problem(&["--user", USER, "--digest"], "wrong-one", &LOGIN).contains("refuses user or password"));
    assert!(problem(&["--user", USER, "--basic"], PASSWORD, &LOGIN).contains("wants the password itself"));
    assert_eq!(asked(&["--user", USER, "--digest"], PASSWORD, &LOGIN)["problem"], Value::Null);
    let output = discover(PASSWORD, &["--username", "viewer"]);
    assert!(stderr(&output).contains("--password-env"), "{}", stderr(&output));
}

#[test]
fn each_lens_of_a_camera_is_one_camera() {
    let sim = Sim::onvif(&["--user", USER, "--media2"]);
    let address = format!("127.0.0.1:{}", sim.number("port"));
    let output = discover(PASSWORD, &[&["--address", &address], &LOGIN[..]].concat());
    let text = stdout(&output);
    assert_eq!(text.matches("[[camera]]").count(), 2, "{text}");
    for part in [
        "id = \"pythoncam_virtualcam_1_1\"",
        "source = \"rtsp://127.0.0.1/l1s\"",
        "main = \"rtsp://127.0.0.1/l1m\"",
        "source = \"rtsp://127.0.0.1/l2\"",
        "H265",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn answers_that_are_none_end_in_a_sentence() {
    let began = Instant::now();
    for (answer, told) in [
        ("huge", "answers with more than 1 MB"),
        ("bomb", "does not answer as an ONVIF camera does"),
        ("html", "does not answer as an ONVIF camera does"),
        ("deep", "does not answer as an ONVIF camera does"),
        ("drip", "does not answer within 5 s"),
    ] {
        let problem = problem(&["--answer", answer], PASSWORD, &LOGIN);
        assert!(problem.contains(told), "{answer}: {problem}");
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    let camera = asked(&["--host", "192.0.2.7"], PASSWORD, &[]);
    assert!(
        camera["remarks"][0].as_str().unwrap_or_default().contains("at 192.0.2.7; if nothing answers there"),
        "{camera}"
    );
}

#[test]
fn nothing_found_says_what_to_try() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let output = discover(PASSWORD, &["--address", &closed.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("# does not answer over HTTP: Connection refused"),
        "{}",
        stdout(&output)
    );
    let output = discover(PASSWORD, &["--interface", "nonesuch0"]);
    assert!(stderr(&output).contains("no network interface nonesuch0; there are: lo"), "{}", stderr(&output));
    let output = discover(PASSWORD, &["--address", "http://camera/x"]);
    assert!(stderr(&output).contains("is not an address; expected HOST or HOST:PORT"), "{}", stderr(&output));
}
