//! The people that recognition knows: from the store while the agent runs; in a replay, which writes nothing, strangers are remembered
//! in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::enrol::look_at_crop;
use crate::config::Config;
use crate::model::{Acquaintance, EnrolledFace, Person, PersonId, PersonName, UtcMillis};
use crate::recognise::{FaceReader, Gallery};
use crate::store::{People, StoreError};

/// How often the store is asked whether somebody was enrolled or forgotten.
const CHECK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Register {
    people: Option<People>,
    /// Whether strangers are kept for ever after, not only in memory.
    lasting: bool,
    embedder: String,
    known_score: f32,
    stamp: Option<(i64, i64, i64)>,
    checked: Option<Instant>,
    /// In memory only ...
    strangers: Vec<Acquaintance>,
    /// ... and the number that the last one got.
    last_number: u32,
}

impl Register {
    /// Of the running agent.
    pub(crate) fn of_agent(config: &Config, people: People, reader: &mut FaceReader) -> Result<Self> {
        remake(&people, reader)?;
        Ok(Self::new(config, Some(people), true, reader.embedder()))
    }

    /// Of a replay: the people enrolled in the configuration's data folder, if there is one.
    pub(crate) fn of_replay(config: &Config, reader: &mut FaceReader) -> Result<Self> {
        let people = People::open_existing(&config.data_dir)?;
        if let Some(people) = &people {
            remake(people, reader)?;
        }
        Ok(Self::new(config, people, false, reader.embedder()))
    }

    fn new(config: &Config, people: Option<People>, lasting: bool, embedder: &str) -> Self {
        Self {
            people,
            lasting,
            embedder: embedder.to_owned(),
            known_score: config.faces.known_score,
            stamp: None,
            checked: None,
            strangers: Vec::new(),
            last_number: 0,
        }
    }

    /// The people as they are now, if that is news.
    pub(crate) fn changed(&mut self) -> Result<Option<Gallery>, StoreError> {
        if self.checked.is_some_and(|last| last.elapsed() < CHECK) {
            return Ok(None);
        }
        self.checked = Some(Instant::now());
        let stamp = match &self.people {
            Some(people) => people.stamp()?,
            None => (0, 0, 0),
        };
        if self.stamp == Some(stamp) {
            return Ok(None);
        }
        self.stamp = Some(stamp);
        self.gallery().map(Some)
    }

    /// The people as they are now.
    pub(crate) fn gallery(&self) -> Result<Gallery, StoreError> {
        let mut all = match &self.people {
            Some(people) => people.acquaintances(&self.embedder)?,
            None => Vec::new(),
        };
        if !self.lasting {
            all.retain(|acquaintance| acquaintance.person.name.is_known());
            all.extend(self.strangers.iter().cloned());
        }
        Ok(Gallery::new(all, self.known_score))
    }

    /// A stranger who was never here before gets a number.
    pub(crate) fn remember(&mut self, face: EnrolledFace, at: UtcMillis) -> Result<Arc<Person>, StoreError> {
        if let Some(people) = self.people.as_ref().filter(|_| self.lasting) {
            self.checked = None;
            return people.remember(&[face], at).map(Arc::new);
        }
        self.last_number = self.last_number.saturating_add(1);
        let person = Arc::new(Person {
            id: PersonId::new(at),
            name: PersonName::Unknown(self.last_number),
            department: None,
            is_vip: false,
            entity_type: "unknown".to_owned(),
            created_at: at,
            last_seen_at: Some(at),
        });
        self.strangers.push(Acquaintance {
            person: Arc::clone(&person),
            faces: vec![face.face],
            others: Vec::new(),
        });
        (self.stamp, self.checked) = (None, None);
        Ok(person)
    }

    /// Somebody who was taken for a stranger is none.
    pub(crate) fn forget(&mut self, stranger: PersonId) -> Result<(), StoreError> {
        if let Some(people) = self.people.as_ref().filter(|_| self.lasting) {
            return people.delete(stranger).map(|_| ());
        }
        self.strangers.retain(|acquaintance| acquaintance.person.id != stranger);
        (self.stamp, self.checked) = (None, None);
        Ok(())
    }

    /// Somebody was seen.
    pub(crate) fn seen(&self, person: PersonId, at: UtcMillis) -> Result<(), StoreError> {
        match self.people.as_ref().filter(|_| self.lasting) {
            Some(people) => people.seen(person, at),
            None => Ok(()),
        }
    }
}

/// Lets the network in use look at the faces that another one has looked at.
pub(crate) fn remake(people: &People, reader: &mut FaceReader) -> Result<usize> {
    let mut remade = 0;
    for record in people.faces(None)? {
        if record.face.embedder == reader.embedder() {
            continue;
        }
        let face = look_at_crop(reader, &record.face.picture).context("a kept face cannot be looked at")?;
        if let Some(face) = face {
            people.remake(record.id, reader.embedder(), &face, UtcMillis::now())?;
            remade += 1;
        }
    }
    if remade > 0 {
        tracing::info!(
            faces = remade,
            model = reader.embedder(),
            "kept faces were looked at by another model"
        );
    }
    Ok(remade)
}
