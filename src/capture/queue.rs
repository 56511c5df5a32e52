//! The queue from capture to decode: bounded, one per camera.
//!
//! A decoder that cannot keep up must not make the camera's TCP connection back up (the camera would then drop what it likes, or
//! hang up). So for live sources a full queue drops packets up to the next key frame, because nothing between can be decoded
//! anyway; each is counted as `decode_behind`, and the next one sent carries [`Packet::gap`]. A file that is read as fast as
//! possible waits instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::config::{CameraConfig, Source};
use crate::model::{Camera, Packet};
use crate::telemetry::Telemetry;

/// Two seconds at 30 pictures a second: rides out a decoder thread that loses its core to an inference for a moment, and holds
/// about 2 MB at the usual 8 Mbit/s. A longer queue would only make late alerts later.
const CAPACITY: usize = 60;

/// Nobody receives any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

/// What a full queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    /// Drops up to the next key frame.
    Drop,
    /// Makes the sender wait.
    Wait,
}

/// Makes the queue of a camera.
#[must_use]
pub fn channel(config: &CameraConfig, telemetry: &Arc<Telemetry>) -> (PacketSender, mpsc::Receiver<Packet>) {
    let when_full = match &config.source {
        Source::File(file) if !file.realtime => WhenFull::Wait,
        Source::File(_) | Source::Rtsp(_) | Source::Http(_) | Source::Usb(_) => WhenFull::Drop,
    };
    with_capacity(CAPACITY, when_full, Arc::clone(&config.camera), Arc::clone(telemetry))
}

fn with_capacity(
    capacity: usize,
    when_full: WhenFull,
    camera: Arc<Camera>,
    telemetry: Arc<Telemetry>,
) -> (PacketSender, mpsc::Receiver<Packet>) {
    let (packets, receiver) = mpsc::channel(capacity);
    let state = Arc::new(State::default());
    (PacketSender { packets, when_full, camera, telemetry, state }, receiver)
}

/// The sending end. Clones are the same sender, for handing it to a thread: only one may send at a time.
#[derive(Debug, Clone)]
pub struct PacketSender {
    packets: mpsc::Sender<Packet>,
    when_full: WhenFull,
    camera: Arc<Camera>,
    telemetry: Arc<Telemetry>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to the next key frame is dropped.
    skipping: AtomicBool,
    /// Something is missing before the next packet.
    gap: AtomicBool,
    sent: AtomicU64,
}

impl PacketSender {
    /// Sends or drops, and never waits.
    pub(super) fn offer(&self, mut packet: Packet) -> Result<(), Closed> {
        if self.state.skipping.load(Ordering::Relaxed) {
            if !packet.key {
                self.count_dropped();
                return Ok(());
            }
            packet.gap = true;
        }
        packet.gap |= self.state.gap.load(Ordering::Relaxed);
        match self.packets.try_send(packet) {
            Ok(()) => {
                self.state.skipping.store(false, Ordering::Relaxed);
                self.count_sent();
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                self.state.skipping.store(true, Ordering::Relaxed);
                self.count_dropped();
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(Closed),
        }
    }

    /// For the threads of files: waits for room if the file is read as fast as possible, drops otherwise.
    pub(super) fn send_from_thread(&self, mut packet: Packet) -> Result<(), Closed> {
        match self.when_full {
            WhenFull::Drop => self.offer(packet),
            WhenFull::Wait => {
                packet.gap |= self.state.gap.load(Ordering::Relaxed);
                self.packets.blocking_send(packet).map_err(|_| Closed)?;
                self.count_sent();
                Ok(())
            }
        }
    }

    /// Something is missing before the next packet: a session ended.
    pub(super) fn mark_gap(&self) {
        self.state.gap.store(true, Ordering::Relaxed);
    }

    /// Packets sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Ends when nobody receives any more.
    pub(super) async fn closed(&self) {
        self.packets.closed().await;
    }

    /// Waits until the receiver has taken everything, but no longer than `limit`.
    pub(super) async fn wait_until_drained(&self, limit: Duration) {
        let drained = async {
            while !self.packets.is_closed() && self.packets.capacity() < self.packets.max_capacity() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Too long is no error: the board is then right one picture later.
        let _ = tokio::time::timeout(limit, drained).await;
    }

    fn count_sent(&self) {
        self.state.gap.store(false, Ordering::Relaxed);
        self.state.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn count_dropped(&self) {
        self.telemetry.metrics.dropped(self.camera.slug.as_str(), "decode_behind", false);
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Captured, Codec};

    fn camera() -> Arc<Camera> {
        Camera::for_tests("front_door", "Front Door")
    }

    fn packet(number: u8, key: bool) -> Packet {
        Packet {
            camera: camera(),
            captured: Captured::now(),
            pts: Duration::from_millis(u64::from(number) * 40),
            codec: Codec::H264,
            key,
            gap: false,
            data: vec![number],
        }
    }

    fn queue(when_full: WhenFull) -> (PacketSender, mpsc::Receiver<Packet>, Arc<Telemetry>) {
        let telemetry = Arc::new(Telemetry::default());
        let (sender, receiver) = with_capacity(2, when_full, camera(), Arc::clone(&telemetry));
        (sender, receiver, telemetry)
    }

    fn received(receiver: &mut mpsc::Receiver<Packet>) -> Vec<(u8, bool)> {
        std::iter::from_fn(|| receiver.try_recv().ok()).map(|packet| (packet.data[0], packet.gap)).collect()
    }

    #[test]
    fn a_full_queue_drops_to_the_next_key_frame_and_says_so() {
        let (sender, mut receiver, telemetry) = queue(WhenFull::Drop);
        for (number, key) in [(0, true), (1, false), (2, false)] {
            sender.offer(packet(number, key)).expect("open");
        }
        assert_eq!(received(&mut receiver), [(0, false), (1, false)]);
        // There is room again, but 3 needs 2.
        for (number, key) in [(3, false), (4, true), (5, false)] {
            sender.offer(packet(number, key)).expect("open");
        }
        assert_eq!(received(&mut receiver), [(4, true), (5, false)]);
        assert!(telemetry.render_metrics().contains(
            "porchlight_pipeline_dropped_total{camera=\"front_door\",reason=\"decode_behind\",intentional=\"false\"} 2"
        ));
        assert_eq!(sender.sent(), 4);
    }

    #[test]
    fn a_key_frame_that_finds_the_queue_full_is_dropped_too() {
        let (sender, mut receiver, _telemetry) = queue(WhenFull::Drop);
        for (number, key) in [(0, true), (1, false), (2, true)] {
            sender.offer(packet(number, key)).expect("open");
        }
        assert_eq!(received(&mut receiver).len(), 2);
        sender.offer(packet(3, false)).expect("open");
        sender.offer(packet(4, true)).expect("open");
        assert_eq!(received(&mut receiver), [(4, true)]);
    }

    #[test]
    fn a_file_read_fast_waits_for_the_decoder() {
        let (sender, mut receiver, _telemetry) = queue(WhenFull::Wait);
        let thread = std::thread::spawn(move || {
            for number in 0..50 {
                sender.send_from_thread(packet(number, number == 0)).expect("open");
            }
        });
        let numbers: Vec<u8> =
            std::iter::from_fn(|| receiver.blocking_recv()).map(|packet| packet.data[0]).collect();
        thread.join().expect("the sender ends");
        assert_eq!(numbers, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn the_first_packet_of_a_new_session_carries_the_gap() {
        let (sender, mut receiver, _telemetry) = queue(WhenFull::Drop);
        sender.mark_gap();
        sender.offer(packet(0, true)).expect("open");
        sender.offer(packet(1, false)).expect("open");
        assert_eq!(received(&mut receiver), [(0, true), (1, false)]);
    }

    #[test]
    fn a_closed_queue_is_noticed() {
        let (sender, receiver, _telemetry) = queue(WhenFull::Drop);
        drop(receiver);
        assert_eq!(sender.offer(packet(0, true)), Err(Closed));
    }
}
