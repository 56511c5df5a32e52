//! All arguments.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

use crate::config::parse_size;
use crate::model::{DeliveryId, WebhookId};

/// Camera-side edge agent: sees people, vehicles and animals, and tells your webhooks, durably and signed.
#[derive(Debug, Parser)]
#[command(name = "porchlight", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Start with `porchlight check --config FILE`; it names everything that is wrong, with key and line."
)]
pub(super) struct Args {
    /// Log level: error, warn, info, debug, trace; one area louder: "info,delivery=debug"; else LOG_LEVEL is asked
    #[arg(long, global = true, value_name = "LEVEL", env = "PORCHLIGHT_LOG")]
    pub(super) log: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the agent
    ///
    /// Watches all cameras of the configuration, keeps events and pictures in the data folder, tells the webhooks. Stops on
    /// SIGTERM or Ctrl-C after everything under way is stored (at most 10 seconds); a second signal stops at once.
    Run(RunArgs),
    /// Check a configuration and the models it names
    ///
    /// Prints every problem at once, one a line, as FILE:LINE: KEY: what is wrong. Exits with 0 when there is none, else
    /// with 1. The service unit runs it before the agent starts.
    Check(CheckArgs),
    /// Play video files through the whole pipeline and print the events
    ///
    /// Every frame is examined that would be in real time, as fast as this machine can; nothing is sent anywhere. Times are
    /// the video's own, counted from --start.
    Replay(ReplayArgs),
    /// Find objects in pictures
    ///
    /// JPEG, PNG, WebP and BMP; turned as their EXIF data says. Prints a table, or with --json one line a box:
    /// `{"image","label","class_id","score","box":[x1,y1,x2,y2]}`, the box in pixels (it may reach beyond the picture
    /// where the object does), class_id the COCO index 0-79.
    Detect(DetectArgs),
    /// List the installed models and ONNX Runtime
    Models(ModelsArgs),
    /// Show messages to webhooks: what waits, what arrived, what failed and why
    ///
    /// Reads the data folder; works while the agent runs and while it does not. With a message's ID: all its requests.
    Outbox(OutboxArgs),
    /// Print a completion script for your shell
    ///
    /// For example: porchlight completions bash > /etc/bash_completion.d/porchlight
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// An existing folder for porchlight.1 and a page for each command
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct OutboxArgs {
    /// Show all requests of this message
    #[arg(value_name = "ID")]
    pub(super) id: Option<DeliveryId>,
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    /// Only messages in this state
    #[arg(long, value_name = "STATE", value_parser = ["pending", "retrying", "success", "failed"])]
    pub(super) status: Option<String>,
    /// Only messages to this webhook
    #[arg(long, value_name = "ID", value_parser = WebhookId::parse)]
    pub(super) webhook: Option<WebhookId>,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    /// Print `{"ok", "problems": [{"line","key","message"}]}`
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Video files: MP4 or MKV with H.264
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON event a line (each state of each event), instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// At the end, print one JSON object on stderr: frames, inferences, wall and CPU seconds by stage, peak memory
    #[arg(long)]
    pub(super) stats: bool,
    /// Settings to use [default: the built-in ones]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Play the files as this camera of the configuration: its masks, zones and rate [default: a camera named as the file]
    #[arg(long, value_name = "ID")]
    pub(super) camera: Option<String>,
    /// Write the pictures of events here, as EVENT-SEQ.jpg
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) pictures: Option<PathBuf>,
    /// When the first frame was taken, such as 2026-11-22T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) start: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DetectArgs {
    /// Pictures
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(super) images: Vec<PathBuf>,
    /// Print one JSON object a box
    #[arg(long)]
    pub(super) json: bool,
    /// Leave out boxes below this score, 0 to 1 [default: the model's]
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub(super) min_score: Option<f32>,
    /// Boxes of one class that overlap by more than this (intersection over union) are one [default: the model's]
    #[arg(long, value_name = "IOU", value_parser = share)]
    pub(super) nms: Option<f32>,
    /// Model to use [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Input size of the network [default: the picture's shape, 640 on its long side]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub(super) size: Option<(u32, u32)>,
    /// Write the pictures with boxes drawn here
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) draw: Option<PathBuf>,
    /// Settings to use [default: the built-in ones]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Settings to use [default: the built-in ones]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

fn share(text: &str) -> Result<f32, String> {
    text.parse::<f32>()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
