//! The built program, running in a folder of its own.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::footage;

/// The running agent; killed when it is dropped.
pub(crate) struct Program {
    /// `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    /// `None`: taken over by whoever ended it.
    folder: Option<TempDir>,
    child: Child,
}

impl Program {
    /// A camera that plays a clip of `tests/footage` for ever, in its own time.
    pub(crate) fn camera(id: &str, clip: &str) -> String {
        format!("[[camera]]\nid = \"{id}\"\nsource = \"{}\"\nloop = true\n", footage(clip).display())
    }

    /// Starts it with these settings and variables, and waits until it answers.
    pub(crate) fn start(settings: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(folder, settings, environment, &[])
    }

    /// The same in a folder where it may have run before, and as the last argument of another command.
    pub(crate) fn start_in(
        folder: TempDir,
        settings: &str,
        environment: &[(&str, &str)],
        under: &[&str],
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let listen = free.expect("a free port");
        let text = format!(
            "{settings}\n[agent]\ndata_dir = \"data\"\n[api]\nlisten = \"{listen}\"\n[store]\nmin_free_mb = 0\n"
        );
        std::fs::write(folder.path().join("porchlight.toml"), text).expect("room on the disk");
        let log = std::fs::File::create(folder.path().join("log")).expect("room on the disk");
        let command =
            [under, &[env!("CARGO_BIN_EXE_porchlight"), "run", "--config", "porchlight.toml"]].concat();
        let child = Command::new(command[0])
            .args(&command[1..])
            .current_dir(folder.path())
            .env_remove("PORCHLIGHT_LOG")
            .env_remove("LOG_LEVEL")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program runs");
        let mut program = Self { address: format!("http://{listen}"), folder: Some(folder), child };
        let began = Instant::now();
        while TcpStream::connect(listen).is_err() {
            let ended = program.child.try_wait().expect("our child");
            assert!(ended.is_none() && began.elapsed() < Duration::from_secs(20), "{}", program.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        program
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        read(&self.folder().join("log"))
    }

    /// Where it runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it has not ended").path()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself, which must be a failure. Gives its folder and its log.
    pub(crate) fn fails(mut self) -> (TempDir, String) {
        let status = self.child.wait().expect("our child");
        let log = self.log();
        assert!(!status.success(), "{log}");
        (self.folder.take().expect("it has not ended"), log)
    }

    /// Kills it. Gives its folder.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().and_then(|()| self.child.wait()).expect("our child");
        self.folder.take().expect("it has not ended")
    }

    /// Asks it to stop, waits until it has, and gives its log.
    pub(crate) fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(id).status().expect("kill is installed");
        assert!(sent.success());
        let status = self.child.wait().expect("our child");
        assert!(status.success(), "{}", self.log());
        self.log()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.expect("the log was made at the start");
    String::from_utf8_lossy(&bytes).into_owned()
}
