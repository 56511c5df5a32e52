//! What is made of a tracked object's pictures: the best shot as a JPEG, and who a face is.
//!
//! ```text
//! leads ─▶ visitors (whom to look at) ─▶ faces (networks) ─▶ verdict (with the gallery) ─▶ visitors (what to tell)
//! ```
//!
//! Runs on the thread `analyse`, away from the detector: an encoder at work must not keep a camera waiting.

mod best_shot;
mod faces;
mod gallery;
mod leads;
mod verdict;
mod visitors;

pub use best_shot::{Photographer, Settings, portrait};
pub use faces::{FaceReader, VERIFICATION_THRESHOLD};
pub use gallery::{Gallery, Ranking};
pub use leads::{Lead, LeadSender, Leads, Next};
pub use verdict::{Doubt, Looks, Verdict};
pub use visitors::{Insight, Portrait, Visitors};
