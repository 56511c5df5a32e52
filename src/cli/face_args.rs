//! The arguments of the commands about faces and people.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use crate::model::EventId;

#[derive(Debug, clap::Args)]
pub(super) struct EnrollArgs {
    /// Who it is
    #[arg(required_unless_present = "folder")]
    pub(super) name: Option<String>,
    /// Photos, or folders with photos
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(super) photos: Vec<PathBuf>,
    /// A folder that holds a folder with photos for each person
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["name", "photos", "face"])]
    pub(super) folder: Option<PathBuf>,
    /// Where there are several faces: which one, from the left, from 1
    #[arg(long, value_name = "N")]
    pub(super) face: Option<usize>,
    /// Which department
    #[arg(long, value_name = "NAME")]
    pub(super) department: Option<String>,
    /// Mark as important
    #[arg(long)]
    pub(super) vip: bool,
    /// What kind of person, in your own word [default: person]
    #[arg(long = "type", value_name = "WORD")]
    pub(super) entity_type: Option<String>,
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct PeopleArgs {
    /// The configuration file
    #[arg(long, short, global = true, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: PeopleCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PeopleCommand {
    /// Show everybody who is known by face
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Give somebody another name, or a stranger the first one
    Rename {
        /// Name or id
        who: String,
        /// The new name
        name: String,
    },
    /// Forget somebody, with all faces
    Delete {
        /// Name or id
        who: String,
    },
    /// Say that an event named the wrong person: who looks so is not taken for that person any more
    Correct {
        /// The event: `face.recognized`, or another one whose picture shows the face
        event: EventId,
        /// Who it is not: name or id
        #[arg(long = "not", value_name = "WHO")]
        not: String,
        /// Where there are several faces: which one, from the left, from 1
        #[arg(long, value_name = "N")]
        face: Option<usize>,
    },
    /// Print attendance as CSV: time, camera, name, direction, department
    Attendance,
}

#[derive(Debug, Subcommand)]
pub(super) enum FacesCommand {
    /// Look for what makes recognition worse among those enrolled
    ///
    /// Names the two people who are most alike, poor photos, and pictures that are there twice. Exits with 1 if something should be
    /// done about it.
    Check(FacesCheckArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct FacesCheckArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// The configuration file
    #[arg(long, short, value_hint = ValueHint::FilePath, default_value = "/etc/porchlight/porchlight.toml")]
    pub(super) config: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct FacesArgs {
    #[command(subcommand)]
    pub(super) command: Option<FacesCommand>,
    /// Pictures
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(super) images: Vec<PathBuf>,
    /// Print one JSON object a face
    #[arg(long)]
    pub(super) json: bool,
    /// Print what each face looks like as numbers, too: `"embedding"`, a vector of length 1
    #[arg(long, requires = "json")]
    pub(super) embeddings: bool,
    /// Write the pictures with boxes and landmarks drawn here
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) draw: Option<PathBuf>,
    /// Settings to use, and whose people are looked for [default: the built-in ones, and nobody]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyFacesArgs {
    /// A photo
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) a: PathBuf,
    /// Another one
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) b: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Settings to use [default: the built-in ones]
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}
