//! Enrolling people from photos, and what is wrong with those enrolled.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::analyst::open_reader;
use super::images::{decode_image, read_image};
use super::register::remake;
use crate::api::FaceSeer;
use crate::config::Config;
use crate::model::{
    Captured, EnrolledFace, EventId, FaceFlaw, FaceLook, KnownFace, Person, PersonId, PersonName, UtcMillis,
};
use crate::pixels::{Picture, RgbImage, View, draw_boxes, encode_rgb};
use crate::recognise::{FaceReader, Gallery, portrait};
use crate::store::{FaceRecord, NewPerson, People};
use crate::telemetry::Telemetry;

/// A face smaller than this share of the largest one in a photo is somebody in the background, who is not meant.
const IN_BACKGROUND: f32 = 0.4;
/// Two kept faces that are more alike than this are the same photo twice: two photos of one moment reach 0.97.
const SAME_PHOTO: f32 = 0.985;
/// A photo that resembles the same person's others by less may be of somebody else: the least of the same person is 0.49 for single
/// photos, 0.61 among portraits.
const ODD_PHOTO: f32 = 0.45;
/// Below this many pixels between the eyes a photo is poor.
const POOR_EYE_DISTANCE: f32 = 30.0;
/// Kept faces are at most this large, and of this JPEG quality: enough for every embedder (150 px and some room).
const KEPT_LONG_SIDE: usize = 480;
const KEPT_QUALITY: u8 = 92;

/// Why a photo does not show whom it is of.
#[derive(Debug)]
pub enum Refusal {
    /// No face in it.
    NoFace,
    /// Several, from left to right; the picture has a numbered box around each.
    Several {
        /// How many.
        faces: usize,
        /// JPEG.
        picture: Vec<u8>,
    },
    /// Not so many.
    NoSuchFace {
        /// How many there are.
        faces: usize,
    },
    /// One that nobody could be recognised by.
    Flawed(FaceFlaw),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFace => f.write_str("there is no face in it"),
            Self::Several { faces, .. } => {
                write!(f, "there are {faces} people in it; say which one with --face N")
            }
            Self::NoSuchFace { faces } => write!(f, "there are only {faces} faces in it"),
            Self::Flawed(flaw) => f.write_str(match flaw {
                FaceFlaw::TooSmall => "the face is too small: take one with more pixels",
                FaceFlaw::Blurred => "the face is blurred: take a sharper one",
                FaceFlaw::TooDark => "the face is too dark",
                FaceFlaw::TooBright => "the face is burnt out",
                FaceFlaw::TurnedAway => "the face is turned away: take one from the front",
                FaceFlaw::CutOff => "the face is cut off by the edge",
                FaceFlaw::Covered => {
                    "part of the face is covered: take one that shows both eyes and the mouth"
                }
                FaceFlaw::Uncertain => "what is there does not look enough like a face",
            }),
        }
    }
}

/// Something that `faces check` complains of.
#[derive(Debug)]
pub enum Complaint {
    /// The two most alike.
    ClosestPair {
        /// How much they resemble each other.
        similarity: f32,
        /// Whether so much that neither can be told from the other for sure.
        confusable: bool,
        /// One.
        one: String,
        /// The other.
        other: String,
    },
    /// A photo that recognises badly.
    Poor {
        /// Whose.
        person: String,
        /// Which.
        photo: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The same photo twice.
    Duplicate {
        /// Whose, and which photos.
        photos: [(String, String); 2],
    },
    /// Somebody without a face.
    NoFaces {
        /// Who.
        person: String,
    },
}

/// Enrols people of one data folder.
#[derive(Debug)]
pub struct Enrolment {
    people: People,
    reader: FaceReader,
    known_score: f32,
}

impl Enrolment {
    /// Loads the networks; kept faces that another embedder has seen are looked at anew.
    pub fn open(config: &Config) -> Result<Self> {
        let mut reader = open_reader(config, &Arc::new(Telemetry::default()))?;
        let people = People::open(&config.data_dir)?;
        remake(&people, &mut reader)?;
        Ok(Self { people, reader, known_score: config.faces.known_score })
    }

    /// The face of a photo; the `which`th from the left, from 1, if there are several.
    pub fn face_in(&mut self, photo: &Path, which: Option<usize>) -> Result<Result<EnrolledFace, Refusal>> {
        let image = read_image(photo)?;
        let source = photo.file_name().unwrap_or(photo.as_os_str()).to_string_lossy().into_owned();
        self.face_of(&image, which, source)
    }

    /// The same for a picture.
    pub fn face_of(
        &mut self,
        image: &RgbImage,
        which: Option<usize>,
        source: String,
    ) -> Result<Result<EnrolledFace, Refusal>> {
        face_of(&mut self.reader, image, which, source)
    }

    /// Whom the face resembles as if it were that person, other than the one of this name.
    pub fn looks_like(&self, face: &EnrolledFace, name: &str) -> Result<Option<(String, f32)>> {
        let ranking = self.gallery()?.rank(&face.face.embedding);
        let other = |person: &Person| person.name != PersonName::Known(name.to_owned());
        let found = ranking.best.filter(|(person, score)| *score >= self.known_score && other(person));
        Ok(found.map(|(person, score)| (person.name.to_string(), score)))
    }

    /// Keeps faces of a person.
    pub fn enrol(&self, person: &NewPerson, faces: &[EnrolledFace]) -> Result<Person> {
        Ok(self.people.enrol(person, faces, UtcMillis::now())?)
    }

    /// What an event's picture shows is not this person.
    pub fn correct(
        &mut self,
        person: &Person,
        picture: &[u8],
        event: EventId,
        which: Option<usize>,
    ) -> Result<Result<(), Refusal>> {
        let image = decode_image(picture)?;
        Ok(match self.face_of(&image, which, format!("event:{event}"))? {
            Ok(face) => Ok(self.people.refute(person.id, &face, UtcMillis::now())?),
            Err(refusal) => Err(refusal),
        })
    }

    /// Whom the faces of a picture resemble.
    pub fn gallery(&self) -> Result<Gallery> {
        Ok(Gallery::new(self.people.acquaintances(self.reader.embedder())?, self.known_score))
    }

    /// What is wrong with those enrolled.
    pub fn check(&self) -> Result<Vec<Complaint>> {
        let people = self.people.list()?;
        let faces = self.people.faces(None)?;
        let name = |id: PersonId| {
            people.iter().find(|person| person.id == id).map_or_else(String::new, |p| p.name.to_string())
        };
        let enrolled = |record: &&FaceRecord| {
            !record.refutes
                && people.iter().any(|person| person.id == record.person && person.name.is_known())
        };
        let faces: Vec<&FaceRecord> = faces.iter().filter(enrolled).collect();
        let mut complaints = Vec::new();
        if let Some((similarity, one, other)) = self.gallery()?.closest_pair() {
            let (one, other) = (one.name.to_string(), other.name.to_string());
            let confusable = similarity >= self.known_score;
            complaints.push(Complaint::ClosestPair { similarity, confusable, one, other });
        }
        for person in people.iter().filter(|person| person.name.is_known()) {
            if !faces.iter().any(|record| record.person == person.id) {
                complaints.push(Complaint::NoFaces { person: person.name.to_string() });
            }
        }
        for (index, record) in faces.iter().enumerate() {
            let alike = |other: &&&FaceRecord| {
                record.face.face.embedding.similarity(&other.face.face.embedding) > SAME_PHOTO
            };
            if let Some(other) = faces[..index].iter().find(alike) {
                let photo = |record: &FaceRecord| (name(record.person), record.face.source.clone());
                complaints.push(Complaint::Duplicate { photos: [photo(other), photo(record)] });
            }
            if let Some(reason) = poor(record, &faces) {
                let (person, photo) = (name(record.person), record.face.source.clone());
                complaints.push(Complaint::Poor { person, photo, reason });
            }
        }
        Ok(complaints)
    }
}

fn poor(record: &FaceRecord, all: &[&FaceRecord]) -> Option<String> {
    let eyes = record.face.face.eye_distance;
    if eyes < POOR_EYE_DISTANCE {
        return Some(format!("{eyes:.0} pixels between the eyes; {POOR_EYE_DISTANCE:.0} are better"));
    }
    let others = all.iter().filter(|other| other.person == record.person && other.id != record.id);
    let alike: Vec<f32> =
        others.map(|other| other.face.face.embedding.similarity(&record.face.face.embedding)).collect();
    let best = alike.iter().copied().fold(-1.0, f32::max);
    (!alike.is_empty() && best < ODD_PHOTO)
        .then(|| format!("resembles the person's other photos by {best:.2} at most; is it somebody else?"))
}

/// Finds the face of a photo for the API. The networks are loaded for each photo: that takes a fifth of a second, and people are seldom
/// enrolled.
#[must_use]
pub fn face_seer(config: Config) -> FaceSeer {
    FaceSeer::new(move |photo, which, source| {
        let image = match decode_image(photo) {
            Ok(image) => image,
            Err(error) => return Ok(Err(format!("this is no picture: {error:#}"))),
        };
        let mut reader = open_reader(&config, &Arc::new(Telemetry::default()))?;
        Ok(face_of(&mut reader, &image, which, source)?.map_err(|refusal| match refusal {
            Refusal::Several { faces, .. } => {
                format!("there are {faces} people in it; say which one, from the left, as face")
            }
            Refusal::NoFace | Refusal::NoSuchFace { .. } | Refusal::Flawed(_) => refusal.to_string(),
        }))
    })
}

/// The face of a picture, and the part of the picture that is kept.
pub(crate) fn face_of(
    reader: &mut FaceReader,
    image: &RgbImage,
    which: Option<usize>,
    source: String,
) -> Result<Result<EnrolledFace, Refusal>> {
    let mut looks = look(reader, image)?;
    let largest = looks.iter().map(|look| look.face.rect.width()).fold(0.0, f32::max);
    looks.retain(|look| look.face.rect.width() >= IN_BACKGROUND * largest);
    if looks.iter().any(|look| look.embedding.is_ok()) {
        // Beside a face, what is hardly one is none.
        looks.retain(|look| look.embedding.as_ref().err() != Some(&FaceFlaw::Uncertain));
    }
    looks.sort_by(|a, b| a.face.rect.x1.total_cmp(&b.face.rect.x1));
    let look = match (which, looks.as_slice()) {
        (_, []) => return Ok(Err(Refusal::NoFace)),
        (None, [one]) => one,
        (None, several) => {
            let picture = numbered(image.clone(), several)?;
            return Ok(Err(Refusal::Several { faces: several.len(), picture }));
        }
        (Some(which), all) => match which.checked_sub(1).and_then(|index| all.get(index)) {
            Some(look) => look,
            None => return Ok(Err(Refusal::NoSuchFace { faces: all.len() })),
        },
    };
    let embedding = match &look.embedding {
        Ok(embedding) => embedding.clone(),
        Err(flaw) => return Ok(Err(Refusal::Flawed(*flaw))),
    };
    let cut = smaller(portrait(Picture::Rgb(image), look, (image.width, image.height)).image);
    Ok(Ok(EnrolledFace {
        source,
        picture: encode_rgb(&cut, KEPT_QUALITY)?.into(),
        face: KnownFace { embedding, eye_distance: look.quality.eye_distance },
        sharpness: look.quality.sharpness,
        embedder: reader.embedder().to_owned(),
    }))
}

/// What the network in use makes of a kept face; `None` if it cannot make it out.
pub(crate) fn look_at_crop(reader: &mut FaceReader, jpeg: &[u8]) -> Result<Option<KnownFace>> {
    let image = decode_image(jpeg).context("a kept picture cannot be read")?;
    let looks = look(reader, &image)?;
    // The face that was meant is in the middle.
    let off_center = |look: &FaceLook| {
        let (x, y) = look.face.rect.center();
        (x - 0.5).hypot(y - 0.5)
    };
    let meant = looks.into_iter().min_by(|a, b| off_center(a).total_cmp(&off_center(b)));
    Ok(meant.and_then(|look| {
        let eye_distance = look.quality.eye_distance;
        look.embedding.ok().map(|embedding| KnownFace { embedding, eye_distance })
    }))
}

fn look(reader: &mut FaceReader, image: &RgbImage) -> Result<Vec<FaceLook>> {
    let mut looks = reader.look(&[View::whole(Picture::Rgb(image))], Captured::now())?;
    Ok(looks.pop().unwrap_or_default())
}

fn numbered(mut image: RgbImage, looks: &[FaceLook]) -> Result<Vec<u8>> {
    let numbers: Vec<String> = (1..=looks.len()).map(|number| number.to_string()).collect();
    draw_boxes(
        &mut image,
        looks.iter().zip(&numbers).map(|(look, number)| (look.face.rect, number.as_str())),
    );
    Ok(encode_rgb(&image, KEPT_QUALITY)?)
}

fn smaller(image: RgbImage) -> RgbImage {
    let long = image.width.max(image.height);
    if long <= KEPT_LONG_SIDE {
        return image;
    }
    let scaled = |side: usize| ((side * KEPT_LONG_SIDE + long / 2) / long).max(1);
    let size = (scaled(image.width), scaled(image.height));
    crate::pixels::Resizer::default().smooth(&image, size)
}
