//! The arguments about looking for cameras and at them.

use std::path::PathBuf;

use clap::ValueHint;

#[derive(Debug, clap::Args)]
pub(super) struct CamerasArgs {
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    /// The environment variable that holds a token for the agent
    #[arg(long, value_name = "VARIABLE", group = "token")]
    pub(super) token_env: Option<String>,
    /// The file that holds a token for the agent
    #[arg(long, value_name = "FILE", group = "token", value_hint = ValueHint::FilePath)]
    pub(super) token_file: Option<PathBuf>,
    /// Print one JSON object a camera
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ProbeArgs {
    /// What would stand in the configuration: rtsp://…, http://…, /dev/video0, usb:NAME, or a file
    #[arg(value_name = "URL|DEVICE", value_hint = ValueHint::AnyPath)]
    pub(super) source: String,
    /// The camera's user
    #[arg(long, value_name = "NAME", requires = "password_env")]
    pub(super) username: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", requires = "username")]
    pub(super) password_env: Option<String>,
    /// auto, tcp or udp
    #[arg(long, value_name = "WAY")]
    pub(super) transport: Option<String>,
    /// How long to watch
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Write a picture here, as JPEG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) picture: Option<PathBuf>,
    /// Print one JSON object: `ok`, and what the table shows, or `reason` and `detail`
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiscoverArgs {
    /// Ask this camera only; it may be behind a router, where nobody hears a question to all
    #[arg(long, value_name = "HOST[:PORT]", value_hint = ValueHint::Hostname)]
    pub(super) address: Option<String>,
    /// Ask only in the network of this interface, such as eth0 [default: all]
    #[arg(long, value_name = "NAME", conflicts_with = "address")]
    pub(super) interface: Option<String>,
    /// A user of the cameras
    #[arg(long, value_name = "NAME", requires = "password")]
    pub(super) username: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", group = "password", requires = "username")]
    pub(super) password_env: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE", group = "password", requires = "username", value_hint = ValueHint::FilePath)]
    pub(super) password_file: Option<PathBuf>,
    /// How long to wait for answers
    #[arg(long, value_name = "SECONDS", default_value_t = 4.0, value_parser = seconds)]
    pub(super) timeout: f64,
    /// Print one JSON object: `{"network": […], "usb": […]}`
    #[arg(long)]
    pub(super) json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|value| (0.5..=3600.0).contains(value))
        .ok_or_else(|| "must be from 0.5 to 3600".to_owned())
}
