//! The simulated camera of `tests/sim`, as a child process that ends with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running simulator.
pub(crate) struct Sim {
    child: Child,
    ready: Value,
}

impl Sim {
    /// Starts `rtsp_camera.py serve` on free ports with further arguments, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/rtsp_camera.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args(["serve", "--port", "0", "--ctl", "0", "--stdin-quit"]).args(arguments);
        Self::wait_until_ready(&mut command)
    }

    /// Starts the ONVIF camera of `tests/sim/onvif`.
    pub(crate) fn onvif(arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/onvif");
        let mut command = Command::new(folder.join("venv"));
        command.arg(folder.join("camera.py")).arg("--stdin-quit").args(arguments);
        Self::wait_until_ready(&mut command)
    }

    fn wait_until_ready(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python is installed; run `make setup`");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the simulator writes one line");
        let ready = serde_json::from_str(&line).expect("the simulator started; its errors are above");
        Self { child, ready }
    }

    /// The address of a mount.
    pub(crate) fn url(&self, mount: &str) -> String {
        format!("rtsp://127.0.0.1:{}{mount}", self.ready["port"])
    }

    /// A number of the ready line: `port`, `blackhole`, `garbage`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.ready[name].as_u64().expect("the simulator was asked for it")
    }

    /// Sends a command to the control port, and gives its answer.
    pub(crate) fn ctl(&self, command: &str) -> String {
        let port = u16::try_from(self.number("ctl")).expect("a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the simulator runs");
        writeln!(stream, "{command}").expect("the simulator reads");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("the simulator answers");
        assert!(!answer.is_empty() && !answer.starts_with("error"), "{command}: {answer}");
        answer.trim().to_owned()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Its own last resort has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
