//! The whole program on a new data folder: the first token, and the command line beside the running agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

struct Agent {
    child: Child,
    folder: tempfile::TempDir,
    base: String,
}

impl Agent {
    fn start(folder: tempfile::TempDir) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listen = free.local_addr().expect("bound");
        drop(free);
        let settings = format!(
            "[agent]\ndata_dir = {:?}\n[api]\nlisten = \"{listen}\"\nloopback_scopes = []\n",
            folder.path().join("data")
        );
        fs::write(folder.path().join("c.toml"), settings).expect("written");
        let log =
            fs::File::options().create(true).append(true).open(folder.path().join("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_porchlight"))
            .args(["run", "--log", "trace", "--config"])
            .arg(folder.path().join("c.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program runs");
        Self { child, folder, base: format!("http://{listen}") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    async fn ready(&mut self) {
        let began = Instant::now();
        while self.get("/readyz", "").await != Some(StatusCode::OK) {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended:\n{}", self.log());
            assert!(began.elapsed() < Duration::from_secs(60), "not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str, token: &str) -> Option<StatusCode> {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("{}{path}", self.base)).bearer_auth(token).send().await;
        answer.ok().map(|answer| answer.status())
    }

    fn token(&self, arguments: &[&str]) -> Output {
        self.command("token", arguments)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_porchlight"));
        command.arg(name).args(arguments).arg("--config").arg(self.path("c.toml"));
        command.output().expect("the program runs")
    }

    fn stop(mut self) -> tempfile::TempDir {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.child.wait().expect("it ends").success(), "{}", self.log());
        self.folder
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8").trim().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_the_first_start_makes_a_token_and_the_command_line_makes_others() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut agent = Agent::start(tempfile::tempdir().expect("a temporary folder"));
    agent.ready().await;
    let file = agent.path("data/first-admin-token");
    let admin = text(&fs::read(&file).expect("the first token"));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&agent.path("data/picture-links.key")), 0o600);
    assert!(agent.log().contains("first-admin-token"), "{}", agent.log());
    assert_eq!(agent.get("/api/v1/events", "").await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(agent.get("/api/v1/tokens", &admin).await, Some(StatusCode::OK));

    let made = agent.token(&[
        "create",
        "grafana",
        "--scope",
        "read,ingest",
        "--customer",
        "1",
        "--expires-days",
        "7",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let token = text(&made.stdout);
    assert_eq!(agent.get("/api/v1/events", &token).await, Some(StatusCode::OK), "the running agent knows it");
    let listed = agent.token(&["list", "--json"]);
    let rows: Vec<Value> =
        text(&listed.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["first admin", "grafana"]);
    assert_eq!((&rows[1]["customer"], rows[1]["scopes"].as_array().map(Vec::len)), (&"1".into(), Some(2)));
    assert!(text(&agent.token(&["list"]).stdout).contains("grafana"));

    // Other commands that ask the agent bring a token where this machine's programs may do nothing without.
    let refused = agent.command("cameras", &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("wants a token") && text(&refused.stderr).contains("--token-file")
    );
    assert!(agent.command("cameras", &["--token-file", file.to_str().expect("a path")]).status.success());

    let id = rows[1]["id"].as_str().expect("an id").to_owned();
    assert!(agent.token(&["revoke", &id]).status.success());
    assert_eq!(agent.get("/api/v1/events", &token).await, Some(StatusCode::UNAUTHORIZED));
    let again = agent.token(&["revoke", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("`porchlight token list` lists them"), "{}", text(&again.stderr));
    let wrong = agent.token(&["create", "x", "--scope", "write"]);
    assert!(text(&wrong.stderr).contains("`write` is not one of read, manage, ingest, admin"));

    // A second start makes no second token, and the first one still holds. No log ever says it.
    fs::remove_file(&file).expect("taken");
    let mut agent = Agent::start(agent.stop());
    agent.ready().await;
    assert!(!agent.path("data/first-admin-token").exists());
    assert_eq!(agent.get("/api/v1/tokens", &admin).await, Some(StatusCode::OK));
    for token in [&admin, &token] {
        let secret = token.rsplit('_').next().expect("a secret");
        assert!(!agent.log().contains(secret));
    }
    agent.stop();
}

#[test]
fn s2_19_without_authentication_only_loopback_is_listened_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("c.toml");
    fs::write(&file, "[api]\nlisten = \"0.0.0.0:0\"\nauth = \"none\"\n").expect("written");
    for command in ["check", "run"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_porchlight")).args([command, "--config"]).arg(&file).output();
        let output = output.expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = text(&output.stderr);
        assert!(said.contains("c.toml:3: api.auth: everybody who reaches 0.0.0.0:0 could"), "{said}");
    }
}

#[test]
fn s2_19_tokens_can_be_made_before_the_first_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("c.toml");
    fs::write(&file, format!("[agent]\ndata_dir = {:?}\n", folder.path().join("data"))).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_porchlight"));
    let output =
        command.args(["token", "create", "early", "--scope", "admin", "--config"]).arg(&file).output();
    let output = output.expect("the program runs");
    assert!(text(&output.stdout).starts_with("plt_"), "{}", text(&output.stderr));
}
