//! USB cameras in a build without them: says so, as a camera that cannot be read does.

use tokio_util::sync::CancellationToken;

use super::{Capture, End, Failure, PacketSender};
use crate::config::UsbSource;
use crate::model::Offline;

/// Nothing ever is.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy {}

pub(super) async fn run_once(
    capture: &Capture,
    source: &UsbSource,
    _out: &PacketSender,
    _cancel: &CancellationToken,
) -> Result<End, Failure> {
    let Busy {} = capture.usb;
    let device = source.device.display();
    Err(Failure::new(Offline::Codec, format!("{device}: {}", crate::config::NO_USB)))
}
