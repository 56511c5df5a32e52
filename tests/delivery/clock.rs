//! The wall clock is set under the running agent, as on a machine without a battery that learns the time minutes after its start.
//! The clock is libfaketime's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::Program;
use crate::damage::publish;
use crate::receiver::{Receiver, Reply};

/// What the agent's wall clock is ahead of the real one; its other clocks are left alone.
struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        clock.set("+0");
        clock
    }

    fn set(&self, ahead: &str) {
        // At once: half a line would be another time.
        let new = self.folder.path().join("new");
        std::fs::write(&new, ahead).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    fn library() -> String {
        let folder = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
        assert!(std::fs::exists(&folder).unwrap(), "faketime is installed; run `make setup`");
        folder
    }
}

/// Refuses the first message twice.
fn receiver() -> Receiver {
    let refused = AtomicUsize::new(0);
    Receiver::start(move |_, request| {
        let is_first = String::from_utf8_lossy(&request.body).contains("first");
        let refuse = is_first && refused.fetch_add(1, Ordering::Relaxed) < 2;
        Reply::Status(if refuse { 503 } else { 200 })
    })
}

/// The messages in the order of their requests.
fn names(receiver: &Receiver) -> Vec<String> {
    let name = |body: &[u8]| {
        let text = String::from_utf8_lossy(body).into_owned();
        ["first", "second", "third"].into_iter().find(|name| text.contains(name)).unwrap().to_owned()
    };
    receiver.requests().iter().map(|request| name(&request.body)).collect()
}

#[test]
fn nothing_comes_early_late_or_out_of_order_when_the_clock_is_set_three_hours_forth_and_back() {
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (clock, any, strict) = (Clock::new(), receiver(), receiver());
    let webhook = |id: &str, receiver: &Receiver, more: &str| {
        let url = &receiver.url;
        format!(
            "[[webhook]]\nid = \"{id}\"\nurl = \"{url}\"\nevents = [\"job.done\"]\nretry_schedule_s = [4, 4, 4]\n{more}\n"
        )
    };
    // A message that is three hours old is too old.
    let settings = webhook("any", &any, "retry = { max_age = 3600 }")
        + &webhook("strict", &strict, "limits = { order = \"strict\" }");
    let program = Program::start(
        &settings,
        &[
            ("LD_PRELOAD", &Clock::library()),
            ("FAKETIME_TIMESTAMP_FILE", &clock.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ],
    );
    let publish = |name: &str| assert!(publish(&program, name, 0).join().unwrap().is_success());
    publish("first");
    any.wait_for(1);
    strict.wait_for(1);
    for (ahead, name, so_far) in [("+10800", "second", 2), ("-10800", "third", 4)] {
        std::thread::sleep(Duration::from_secs(1));
        clock.set(ahead);
        let began = Instant::now();
        publish(name);
        any.wait_for(so_far);
        assert_eq!(names(&any).last().map(String::as_str), Some(name), "new ones do not wait");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        any.wait_for(so_far + 1);
    }
    strict.wait_for(5);
    assert_eq!(names(&any), ["first", "second", "first", "third", "first"]);
    assert_eq!(names(&strict), ["first", "first", "first", "second", "third"]);
    for receiver in [&any, &strict] {
        let of_first: Vec<Instant> = receiver
            .requests()
            .iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains("first"))
            .map(|request| request.at)
            .collect();
        for pause in of_first.windows(2).map(|pair| pair[1] - pair[0]) {
            assert!(pause > Duration::from_secs(3) && pause < Duration::from_secs(6), "{pause:?}");
        }
    }
    assert!(program.stop().contains("the wall clock was set"));
}
