//! Thread `capture`: everybody who waits for cameras, on a runtime of its own, so that it can sleep while all of them are quiet.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::capture::{self, Capture, Naps, PacketSender, Wait};
use crate::config::CameraConfig;
use crate::decode::MainFeed;
use crate::model::Packet;
use crate::telemetry::Telemetry;

/// All that the thread does.
#[derive(Debug, Default)]
pub(super) struct Connections {
    naps: Naps,
    captures: Vec<(Capture, PacketSender)>,
    mains: Vec<(MainFeed, mpsc::Receiver<Packet>)>,
}

impl Connections {
    /// One more stream of `camera`, and what will come of it.
    pub(super) fn open(
        &mut self,
        camera: &CameraConfig,
        capture: Capture,
        telemetry: &Arc<Telemetry>,
    ) -> mpsc::Receiver<Packet> {
        let (sender, packets) = capture::channel(camera, telemetry);
        self.captures.push((capture.with_naps(self.naps.clone()), sender));
        packets
    }

    /// Keeps the packets of a main stream.
    pub(super) fn feed(&mut self, main: MainFeed, packets: mpsc::Receiver<Packet>) {
        self.mains.push((main, packets));
    }

    /// A say in when the thread may sleep.
    pub(super) fn wait(&self) -> Wait {
        self.naps.wait()
    }

    /// Starts it. It ends when `cancel` is, after every camera has been told.
    pub(super) fn start(self, cancel: &CancellationToken) -> Result<JoinHandle<()>> {
        let naps = self.naps;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || naps.rest())
            .build()
            .context("cannot wait for cameras")?;
        let mut tasks = JoinSet::new();
        for (capture, packets) in self.captures {
            tasks.spawn_on(capture.run(packets, cancel.clone()), runtime.handle());
        }
        for (main, packets) in self.mains {
            tasks.spawn_on(main.run(packets), runtime.handle());
        }
        let body = move || runtime.block_on(async { while tasks.join_next().await.is_some() {} });
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(body)
            .context("cannot start the thread capture")
    }
}
