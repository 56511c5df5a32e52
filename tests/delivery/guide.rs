//! The guide to webhooks: its snippets, its configuration and its example receiver, run as they stand in `config/examples`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use porchlight::config::Config;
use porchlight::model::DeliveryStatus;

use crate::agent::{Agent, SECRET, config, event};
use crate::common::Program;
use crate::receiver::{Received, Receiver, Reply};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples")
}

fn guide() -> String {
    std::fs::read_to_string(examples().join("webhooks.md")).unwrap()
}

fn script() -> PathBuf {
    examples().join("webhook_server.py")
}

/// The only block of the guide in that language.
fn snippet(language: &str) -> String {
    let guide = guide();
    let (_, after) = guide.split_once(&format!("```{language}\n")).expect("the guide has such a block");
    let (block, rest) = after.split_once("```\n").expect("it ends");
    assert!(!rest.contains(&format!("```{language}\n")), "more than one block of {language}");
    block.to_owned()
}

/// What a program answers that is given `input`.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} failed; its message is above");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A request as the agent sends it.
fn request() -> Received {
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    agent.commit(&event(), &["hook"]);
    let request = receiver.wait_for(1).remove(0);
    agent.stop();
    request
}

#[test]
fn s5_34_the_guides_snippets_verify_what_the_agent_sends() {
    let request = request();
    let signature = request.header("x-argusai-signature").unwrap().to_owned();
    let python = snippet("python")
        + "\nimport sys\nprint(is_ours(sys.argv[1], sys.stdin.buffer.read(), sys.argv[2]))\n";
    let js = snippet("js")
        + "\nconst [secret, signature] = process.argv.slice(1);\n\
           console.log(isOurs(secret, require(\"node:fs\").readFileSync(0), signature));\n";
    let tampered: Vec<u8> =
        request.body.iter().map(|byte| if *byte == b'A' { b'B' } else { *byte }).collect();
    assert_ne!(tampered, request.body);
    for (program, flags, code, yes, no) in
        [("python3", "-c", &python, "True", "False"), ("node", "-e", &js, "true", "false")]
    {
        let says = |secret: &str, body: &[u8], signature: &str| {
            run(program, &[flags, code.as_str(), secret, signature], body)
        };
        assert_eq!(says(SECRET, &request.body, &signature), yes, "{program}");
        assert_eq!(says(SECRET, &tampered, &signature), no, "{program}");
        assert_eq!(says("another", &request.body, &signature), no, "{program}");
        assert_eq!(says(SECRET, &request.body, "sha256="), no, "{program}");
    }
}

#[test]
fn s5_34_the_guide_goes_from_plan_to_scale_and_its_configuration_is_valid() {
    let guide = guide();
    let headings: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let steps = ["Plan", "Build the endpoint", "Configure", "Verify", "Test", "Monitor", "Scale"];
    for (number, step) in steps.iter().enumerate() {
        assert_eq!(headings[number], format!("{}. {step}", number + 1));
    }
    let text = snippet("toml").replace("secret_env = \"HOOK_SECRET\"", "secret = \"your-secret\"");
    let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.webhooks.len(), 1);
}

/// The example receiver; killed when dropped.
struct Server {
    child: Child,
    url: String,
    stats: String,
}

impl Server {
    fn start(script: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-B", "-u"])
            .arg(script)
            .args(["--port", "0"])
            .env("WEBHOOK_SECRET", SECRET)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok()).unwrap();
        Self {
            child,
            url: format!("http://127.0.0.1:{port}/hook"),
            stats: format!("http://127.0.0.1:{port}/stats"),
        }
    }

    fn stats(&self) -> serde_json::Value {
        let script = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
        serde_json::from_str(&run("python3", &["-c", script, &self.stats], b"")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `event` once, and gives the last status.
fn deliver(url: &str, secret: &str, event: &porchlight::model::Event, status: DeliveryStatus) -> Option<u16> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&[("hook", url)], "retry_schedule_s = [0.05]");
    config.webhooks[0].secret = Some(secret.into());
    let agent = Agent::start(folder.path(), &config);
    agent.commit(event, &["hook"]);
    let delivery = agent.delivery("hook", status);
    let code = agent.attempts(&delivery).last().and_then(|attempt| attempt.status_code);
    agent.stop();
    code
}

#[test]
fn s3_19_the_example_receiver_verifies_counts_and_answers() {
    let server = Server::start(&script());
    assert_eq!(deliver(&server.url, SECRET, &event(), DeliveryStatus::Success), Some(200));
    assert_eq!(deliver(&server.url, "another", &event(), DeliveryStatus::Failed), Some(401));
    let stats = server.stats();
    assert_eq!(stats["received"], 1);
    assert!(stats["refused"].as_u64() >= Some(1), "{stats}");
}

#[test]
fn s3_19_the_integration_example_watches_a_camera_and_counts_what_arrives() {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap().port().to_string();
    let settings = format!(
        "{}pace = \"fast\"\n[[webhook]]\nid = \"hook\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         secret = \"{SECRET}\"\nretry_schedule_s = [0.2, 0.2, 0.2, 0.2, 0.2, 0.2]\n",
        Program::camera("street", "bikes.mp4")
    );
    let program = Program::start(&settings, &[]);
    let output = Command::new("python3")
        .arg("-B")
        .arg(examples().join("webhook_integration.py"))
        .args(["--agent", &program.address, "--port", &port, "--events", "1", "--seconds", "120"])
        .env("WEBHOOK_SECRET", SECRET)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["cameras"], 1);
    assert!(lines[1]["received"]["received"].as_u64() >= Some(1), "{said}");
    program.stop();
}

#[test]
fn s3_12_the_example_receiver_takes_a_repeated_message_once() {
    let (server, event) = (Server::start(&script()), event());
    for _ in 0..2 {
        assert_eq!(deliver(&server.url, SECRET, &event, DeliveryStatus::Success), Some(200));
    }
    assert_eq!((&server.stats()["received"], &server.stats()["repeated"]), (&1.into(), &1.into()));
}

#[test]
fn s1_42_the_example_receiver_answers_before_it_works() {
    let source = std::fs::read_to_string(script()).unwrap();
    // The same receiver with work that takes longer than the test.
    let slow = source.replace("event = jobs.get()", "event = jobs.get(); __import__('time').sleep(60)");
    assert_ne!(slow, source);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("slow.py");
    std::fs::write(&script, slow).unwrap();
    let server = Server::start(&script);
    assert_eq!(deliver(&server.url, SECRET, &event(), DeliveryStatus::Success), Some(200));
}
