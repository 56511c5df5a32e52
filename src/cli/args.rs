//! All arguments, but for those about faces and about looking for cameras.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

use super::camera_args::{CamerasArgs, DiscoverArgs, ProbeArgs};
use super::face_args::{EnrollArgs, FacesArgs, PeopleArgs, VerifyFacesArgs};
use crate::config::parse_size;
use crate::model::{DeliveryId, Scope, WebhookId};

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
    /// Show the cameras: whether they deliver, what, and what decodes it
    ///
    /// Asks the running agent, at the address in the configuration, as any program on this machine may; where `api.loopback_scopes`
    /// says otherwise, give it a token that may read. Exits with 0 if the agent answered; else with 1, and shows what is configured.
    Cameras(CamerasArgs),
    /// Look at a camera: what it sends, whether this machine keeps up, and what to set
    ///
    /// Watches it as the agent would. Exits with 0 if a picture could be decoded.
    Probe(ProbeArgs),
    /// Find cameras: on the network by ONVIF, and USB cameras
    ///
    /// Prints a `[[camera]]` for each, to paste into the configuration: what was found goes to stdout, a table of it to a terminal.
    /// Cameras tell the addresses of their streams to somebody they know: give --username and a password. It is not sent; a
    /// digest of it is, to every camera that answers. Exits with 0 if a camera was found.
    Discover(DiscoverArgs),
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
    /// Find faces in pictures, and tell how usable each is
    ///
    /// JPEG, PNG, WebP and BMP; turned as their EXIF data says. Prints a table, or with --json one line a face:
    /// `{"image","box":[x1,y1,x2,y2],"landmarks":[[x,y],…],"score","quality":{…},"flaw"}`, in pixels. The five landmarks are the
    /// eye on the left of the picture, the one on the right, the tip of the nose, the left and the right corner of the mouth. A
    /// face with a flaw (too_small, blurred, too_dark, too_bright, turned_away, cut_off, uncertain) never says who somebody is;
    /// the limits are in `[faces]` of the configuration.
    Faces(FacesArgs),
    /// Make somebody's face known
    ///
    /// From one or several photos of one person, JPEG, PNG, WebP or BMP, or from folders of them; who has the name already gets more
    /// photos. A photo with several people is refused, and a picture with a number at each face is written into the current folder:
    /// say which one is meant with --face. With --folder: everybody at once, from one folder a person, called as the person is.
    /// A running agent knows the person within a second.
    Enroll(EnrollArgs),
    /// Show, rename and forget people; export when they came
    ///
    /// Enrolled people and strangers who were seen (`unknown-7`). A stranger who is renamed is enrolled; who is renamed to somebody
    /// enrolled becomes that person. Deleting forgets a person with all faces.
    People(PeopleArgs),
    /// Tell whether two photos show one person
    ///
    /// The largest face of each photo is compared. Exits with 0 when they are one person's, with 1 when not, and with 2 when that
    /// cannot be told: no face, no such file. With --json: `{"same", "similarity", "threshold"}`; the similarity is the cosine of
    /// the two embeddings. A face of poor quality is compared nevertheless, with a word about it on stderr.
    Verify(VerifyFacesArgs),
    /// List the installed models and ONNX Runtime
    Models(ModelsArgs),
    /// Show messages to webhooks: what waits, what arrived, what failed and why
    ///
    /// Reads the data folder; works while the agent runs and while it does not. With a message's ID: all its requests.
    Outbox(OutboxArgs),
    /// Show what a webhook would send, and check signatures
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Make, list and revoke tokens for the API
    ///
    /// Works on the data folder, as the user that owns it, while the agent runs and while it does not. A running agent refuses a
    /// revoked token from the next request on.
    Token(TokenArgs),
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

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Print the request that a webhook would get for an event; nothing is sent
    ///
    /// Method and host, headers (your own without their values), an empty line, and the body byte by byte.
    Render(RenderArgs),
    /// Check the signature of a request that was received
    ///
    /// Prints `valid`, or `invalid:` and why, and exits with 0 or 1. The body must be byte by byte what arrived.
    ///
    /// The official libraries of Standard Webhooks take secrets as `whsec_` and base64. For a secret that you made up, give them
    /// `whsec_` and its base64 (printf %s "$SECRET" | base64); to Porchlight both forms are the same key.
    #[command(
        after_help = "Presets: argus, webnet, tagorun, standard, standard-ed25519, github, stripe, slack, grafana.\n\
                            For example:\n  porchlight webhook verify --preset standard --secret-env SECRET \\\n    \
                            --header 'webhook-id: 0199…' --header 'webhook-timestamp: 1795326246' \\\n    \
                            --header 'webhook-signature: v1,…' body.json"
    )]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct RenderArgs {
    /// A webhook of the configuration, by its id
    pub(super) webhook: String,
    /// An event's id, a JSON file with an event, or sample:TYPE, such as sample:object.detected
    pub(super) event: String,
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    /// Print `{"method", "host", "headers", "body"}`
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("scheme").required(true).multiple(true).args(["preset", "signature_header"]))]
#[command(group = clap::ArgGroup::new("secret").required(true).args(["secret_env", "secret_file"]))]
pub(super) struct VerifyArgs {
    /// A file with the body; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) body: PathBuf,
    /// How it is signed
    #[arg(long, value_name = "NAME")]
    pub(super) preset: Option<String>,
    /// The header with the signature, where there is no preset for it
    #[arg(long, value_name = "HEADER")]
    pub(super) signature_header: Option<String>,
    /// Its value, with {hex}, {base64} and {timestamp} [default: {hex}]
    #[arg(long, value_name = "PATTERN")]
    pub(super) format: Option<String>,
    /// What is signed, with {id}, {timestamp} and {body} [default: {body}]
    #[arg(long, value_name = "PATTERN")]
    pub(super) content: Option<String>,
    /// The environment variable that holds the secret
    #[arg(long, value_name = "VARIABLE")]
    pub(super) secret_env: Option<String>,
    /// The file that holds the secret
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) secret_file: Option<PathBuf>,
    /// A header of the request, `Name: value`; may be repeated
    #[arg(long, value_name = "HEADER")]
    pub(super) header: Vec<String>,
    /// How far the sender's clock may be off
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) tolerance: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// The configuration file
    #[arg(long, short, global = true, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Show all tokens, without their secrets
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a token; it is printed once
    Create {
        /// What people call it: "home assistant"
        name: String,
        /// What it may do: read, manage, ingest, admin; several with commas between
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = Scope::parse)]
        scopes: Vec<Scope>,
        /// It sees this customer's cameras, events, webhooks and messages only
        #[arg(long, value_name = "ID")]
        customer: Option<String>,
        /// It is refused after so many days
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36500))]
        expires_days: Option<u32>,
    },
    /// Refuse a token from now on
    Revoke {
        /// Its id, the part between plt_ and the next _
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    /// Print `{"ok", "problems": [{"line","key","message"}]}`
    #[arg(long)]
    pub(super) json: bool,
    /// Also look at each camera for some seconds: whether its pictures can be decoded, and what to set
    #[arg(long)]
    pub(super) cameras: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Video files: MP4 or MKV with H.264 or H.265
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON event a line (each state of each event), instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// At the end, print one JSON object on stderr: pictures that arrived, were decoded and examined, inferences, wall and CPU
    /// seconds by stage, peak memory
    #[arg(long)]
    pub(super) stats: bool,
    /// Settings to use [default: the built-in ones]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Play the files as this camera of the configuration: its masks, zones and rate [default: a camera named as the file]
    #[arg(long, value_name = "ID")]
    pub(super) camera: Option<String>,
    /// Which pictures to decode: all, or auto as a live camera does, with the same events for less work [default: the camera's
    /// setting, so that a replay tells what the agent would have told]
    #[arg(long, value_name = "WHICH")]
    pub(super) decode: Option<DecodeArg>,
    /// Write the pictures of events here, as EVENT-SEQ.jpg
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) pictures: Option<PathBuf>,
    /// When the first frame was taken, such as 2026-11-22T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) start: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum DecodeArg {
    All,
    Auto,
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
