//! People whose faces are kept: enrolled, met again, named, forgotten.
//!
//! Few rows, written over a connection of their own as those of [`super::Tokens`] are, because people are also enrolled from the command
//! line beside a running agent. Who resembles whom is decided in `recognise`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{StoreError, database, handle, rows};
use crate::model::{
    Acquaintance, Embedding, EnrolledFace, KnownFace, Person, PersonId, PersonName, UtcMillis,
};

/// At most so many strangers are remembered; the one who was not seen for the longest time makes room.
const MOST_STRANGERS: usize = 500;

/// The people of a data folder. Cheap to clone; clones take turns.
#[derive(Debug, Clone)]
pub struct People(Arc<Mutex<Connection>>);

/// What is known of somebody who is enrolled.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// What it is called; who has this name already gets more faces.
    pub name: String,
    /// `None` leaves it as it is.
    pub department: Option<String>,
    /// `None` leaves it as it is.
    pub is_vip: Option<bool>,
    /// `None` leaves it as it is, `person` at first.
    pub entity_type: Option<String>,
}

/// A face that is kept.
#[derive(Debug, Clone)]
pub struct FaceRecord {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub person: PersonId,
    /// What it is.
    pub face: EnrolledFace,
    /// Somebody said that this is not the person.
    pub refutes: bool,
    /// Since when.
    pub created_at: UtcMillis,
}

impl People {
    /// Opens the database beside a running agent, or without one; then it is made if there is none.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = handle::open_beside(data_dir)?;
        // Deleting a person deletes the faces.
        connection.pragma_update(None, "foreign_keys", true)?;
        // And what is deleted is overwritten.
        connection.pragma_update(None, "secure_delete", true)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The same, unless there is no database yet.
    pub fn open_existing(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        let exists = data_dir.join(database::FILE_NAME).exists();
        exists.then(|| Self::open(data_dir)).transpose()
    }

    /// Changes with every change of people or faces.
    pub fn stamp(&self) -> Result<(i64, i64, i64), StoreError> {
        let sql =
            "SELECT count(*), coalesce(max(updated_at), 0), (SELECT count(*) FROM person_face) FROM person";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(self.lock().prepare_cached(sql)?.query_row([], row)?)
    }

    /// All people, enrolled first, by name.
    pub fn list(&self) -> Result<Vec<Person>, StoreError> {
        let sql = format!("SELECT {PERSON} FROM person ORDER BY number IS NOT NULL, name, number");
        let connection = self.lock();
        let mut statement = connection.prepare(&sql)?;
        let people = statement.query_map([], person)?.collect::<rusqlite::Result<_>>()?;
        Ok(people)
    }

    /// One of them.
    pub fn get(&self, id: PersonId) -> Result<Option<Person>, StoreError> {
        let sql = format!("SELECT {PERSON} FROM person WHERE id = ?1");
        Ok(self.lock().query_row(&sql, [id.uuid().into_bytes()], person).optional()?)
    }

    /// The one of that name, or the stranger called so.
    pub fn find(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let number = name.strip_prefix("unknown-").and_then(|number| number.parse::<u32>().ok());
        let sql = format!("SELECT {PERSON} FROM person WHERE name = ?1 OR number = ?2");
        Ok(self.lock().query_row(&sql, params![name, number], person).optional()?)
    }

    /// All kept faces, or one person's, oldest first.
    pub fn faces(&self, of: Option<PersonId>) -> Result<Vec<FaceRecord>, StoreError> {
        let sql = "SELECT id, person_id, source, picture, eye_distance, sharpness, embedder, embedding, created_at, refutes \
                   FROM person_face WHERE ?1 IS NULL OR person_id = ?1 ORDER BY id";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let of = of.map(|id| id.uuid().into_bytes());
        let faces = statement.query_map([of], face)?.collect::<rusqlite::Result<_>>()?;
        Ok(faces)
    }

    /// How many faces of somebody are kept, without those that are not of that person.
    pub fn count_faces(&self, of: PersonId) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM person_face WHERE person_id = ?1 AND NOT refutes";
        let of = of.uuid().into_bytes();
        Ok(self.lock().prepare_cached(sql)?.query_row([of], |row| row.get(0))?)
    }

    /// Everybody with the faces that this model has seen: what a gallery is made of.
    pub fn acquaintances(&self, embedder: &str) -> Result<Vec<Acquaintance>, StoreError> {
        let people = self.list()?.into_iter();
        let nobody =
            |person| Acquaintance { person: Arc::new(person), faces: Vec::new(), others: Vec::new() };
        let mut known: BTreeMap<PersonId, Acquaintance> =
            people.map(|person| (person.id, nobody(person))).collect();
        let sql = "SELECT person_id, eye_distance, embedding, refutes FROM person_face WHERE embedder = ?1";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([embedder])?;
        while let Some(row) = rows.next()? {
            let embedding = embedding(row, 2)?;
            match known.get_mut(&rows::id(row, 0)?) {
                Some(whose) if row.get(3)? => whose.others.push(embedding),
                Some(whose) => {
                    whose.faces.push(KnownFace { embedding, eye_distance: row.get::<_, f64>(1)? as f32 });
                }
                None => {}
            }
        }
        Ok(known.into_values().filter(|acquaintance| !acquaintance.faces.is_empty()).collect())
    }

    /// Keeps faces of somebody, who is made if nobody has that name.
    pub fn enrol(
        &self,
        new: &NewPerson,
        faces: &[EnrolledFace],
        now: UtcMillis,
    ) -> Result<Person, StoreError> {
        self.change(|transaction| {
            let sql = "SELECT id FROM person WHERE name = ?1";
            let known = transaction.query_row(sql, [&new.name], |row| rows::id(row, 0)).optional()?;
            let id = known.unwrap_or_else(|| PersonId::new(now));
            if known.is_none() {
                let sql = "INSERT INTO person (id, name, entity_type, created_at, updated_at) \
                           VALUES (?1, ?2, 'person', ?3, ?3)";
                transaction.execute(sql, params![id.uuid().into_bytes(), new.name, now.0])?;
            }
            describe(transaction, id, new, now)?;
            faces.iter().try_for_each(|face| keep(transaction, id, face, false, now))?;
            read(transaction, id)
        })
    }

    /// Remembers a stranger, who gets the next number.
    pub fn remember(&self, faces: &[EnrolledFace], now: UtcMillis) -> Result<Person, StoreError> {
        self.change(|transaction| {
            let sql = "DELETE FROM person WHERE id IN (SELECT id FROM person WHERE number IS NOT NULL \
                       ORDER BY coalesce(last_seen_at, created_at) DESC LIMIT -1 OFFSET ?1)";
            transaction.execute(sql, [MOST_STRANGERS - 1])?;
            let id = PersonId::new(now);
            // Numbers are not used again: who was unknown-7 yesterday is not somebody else today.
            let sql = "INSERT INTO person (id, number, entity_type, created_at, updated_at, last_seen_at) \
                       SELECT ?1, 1 + max(coalesce((SELECT max(number) FROM person), 0), \
                           (SELECT coalesce(max(last), 0) FROM stranger_number)), 'unknown', ?2, ?2, ?2";
            transaction.execute(sql, params![id.uuid().into_bytes(), now.0])?;
            let sql = "INSERT OR REPLACE INTO stranger_number (id, last) SELECT 1, number FROM person WHERE id = ?1";
            transaction.execute(sql, [id.uuid().into_bytes()])?;
            faces.iter().try_for_each(|face| keep(transaction, id, face, false, now))?;
            read(transaction, id)
        })
    }

    /// More faces of somebody.
    pub fn add_faces(&self, id: PersonId, faces: &[EnrolledFace], now: UtcMillis) -> Result<(), StoreError> {
        self.change(|transaction| faces.iter().try_for_each(|face| keep(transaction, id, face, false, now)))
    }

    /// This is somebody else: a visitor who looks so is not taken for that person any more. Until the same event's face is enrolled.
    pub fn refute(&self, id: PersonId, face: &EnrolledFace, now: UtcMillis) -> Result<(), StoreError> {
        self.change(|transaction| keep(transaction, id, face, true, now))
    }

    /// Somebody was seen. No change of the gallery, but strangers who come back are remembered for longer.
    pub fn seen(&self, id: PersonId, at: UtcMillis) -> Result<(), StoreError> {
        let sql = "UPDATE person SET last_seen_at = ?2 WHERE id = ?1";
        self.lock().prepare_cached(sql)?.execute(params![id.uuid().into_bytes(), at.0])?;
        Ok(())
    }

    /// Says who somebody is and what else is known of him or her. A stranger who gets the name of somebody enrolled becomes that
    /// person, faces and all. `None`: there is nobody with this id.
    pub fn describe(
        &self,
        id: PersonId,
        new: &NewPerson,
        now: UtcMillis,
    ) -> Result<Option<Person>, StoreError> {
        self.change(|transaction| {
            let bytes = id.uuid().into_bytes();
            if !transaction.prepare("SELECT 1 FROM person WHERE id = ?1")?.exists([bytes])? {
                return Ok(None);
            }
            let sql = "SELECT id FROM person WHERE name = ?1 AND id <> ?2";
            let same: Option<PersonId> =
                transaction.query_row(sql, params![new.name, bytes], |row| rows::id(row, 0)).optional()?;
            let kept = same.unwrap_or(id);
            if let Some(same) = same {
                let sql = "UPDATE person_face SET person_id = ?2 WHERE person_id = ?1";
                transaction.execute(sql, params![bytes, same.uuid().into_bytes()])?;
                transaction.execute("DELETE FROM person WHERE id = ?1", [bytes])?;
            } else {
                let sql = "UPDATE person SET name = ?2, number = NULL, \
                           entity_type = iif(number IS NULL, entity_type, 'person') WHERE id = ?1";
                transaction.execute(sql, params![bytes, new.name])?;
            }
            describe(transaction, kept, new, now)?;
            read(transaction, kept).map(Some)
        })
    }

    /// Forgets a person and all faces. `false`: there was nobody.
    pub fn delete(&self, id: PersonId) -> Result<bool, StoreError> {
        let bytes = id.uuid().into_bytes();
        let deleted =
            self.change(|transaction| transaction.execute("DELETE FROM person WHERE id = ?1", [bytes]))?;
        Ok(deleted > 0)
    }

    /// What another network makes of a kept face.
    pub fn remake(
        &self,
        id: i64,
        embedder: &str,
        face: &KnownFace,
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            let sql = "UPDATE person_face SET embedder = ?2, embedding = ?3 WHERE id = ?1";
            transaction.execute(sql, params![id, embedder, bytes_of(&face.embedding)])?;
            let sql = "UPDATE person SET updated_at = ?2 WHERE id = (SELECT person_id FROM person_face WHERE id = ?1)";
            transaction.execute(sql, params![id, now.0])
        })?;
        Ok(())
    }

    fn change<T>(&self, body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = body(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`person`] reads, in its order.
const PERSON: &str = "id, name, number, department, is_vip, entity_type, created_at, last_seen_at";

fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    let name: Option<String> = row.get(1)?;
    Ok(Person {
        id: rows::id(row, 0)?,
        name: match name {
            Some(name) => PersonName::Known(name),
            None => PersonName::Unknown(row.get(2)?),
        },
        department: row.get(3)?,
        is_vip: row.get(4)?,
        entity_type: row.get(5)?,
        created_at: UtcMillis(row.get(6)?),
        last_seen_at: row.get::<_, Option<i64>>(7)?.map(UtcMillis),
    })
}

fn face(row: &Row<'_>) -> rusqlite::Result<FaceRecord> {
    let picture: Vec<u8> = row.get(3)?;
    Ok(FaceRecord {
        id: row.get(0)?,
        person: rows::id(row, 1)?,
        face: EnrolledFace {
            source: row.get(2)?,
            picture: picture.into(),
            face: KnownFace { embedding: embedding(row, 7)?, eye_distance: row.get::<_, f64>(4)? as f32 },
            sharpness: row.get::<_, f64>(5)? as f32,
            embedder: row.get(6)?,
        },
        refutes: row.get(9)?,
        created_at: UtcMillis(row.get(8)?),
    })
}

fn embedding(row: &Row<'_>, column: usize) -> rusqlite::Result<Embedding> {
    let bytes: Vec<u8> = row.get(column)?;
    let values = bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let wrong =
        || rusqlite::Error::InvalidColumnType(column, "embedding".to_owned(), rusqlite::types::Type::Blob);
    Embedding::new(values.collect()).ok_or_else(wrong)
}

fn read(transaction: &Transaction<'_>, id: PersonId) -> rusqlite::Result<Person> {
    let sql = format!("SELECT {PERSON} FROM person WHERE id = ?1");
    transaction.query_row(&sql, [id.uuid().into_bytes()], person)
}

/// What is given, and nothing else.
fn describe(
    transaction: &Transaction<'_>,
    id: PersonId,
    new: &NewPerson,
    now: UtcMillis,
) -> rusqlite::Result<()> {
    let sql = "UPDATE person SET department = coalesce(?2, department), is_vip = coalesce(?3, is_vip), \
                   entity_type = coalesce(?4, entity_type), updated_at = max(?5, updated_at + 1) WHERE id = ?1";
    let values = params![id.uuid().into_bytes(), new.department, new.is_vip, new.entity_type, now.0];
    transaction.execute(sql, values)?;
    Ok(())
}

/// What was said before of the same event's face was wrong.
fn keep(
    transaction: &Transaction<'_>,
    id: PersonId,
    face: &EnrolledFace,
    refutes: bool,
    now: UtcMillis,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM person_face WHERE person_id = ?1 AND source = ?2 AND source LIKE 'event:%' AND refutes <> ?3";
    transaction.prepare_cached(sql)?.execute(params![id.uuid().into_bytes(), face.source, refutes])?;
    let sql = "UPDATE person SET updated_at = max(?2, updated_at + 1) WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![id.uuid().into_bytes(), now.0])?;
    let sql = "INSERT INTO person_face (person_id, source, picture, eye_distance, sharpness, embedder, embedding, created_at, refutes) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    transaction.prepare_cached(sql)?.execute(params![
        id.uuid().into_bytes(),
        face.source,
        &*face.picture,
        f64::from(face.face.eye_distance),
        f64::from(face.sharpness),
        face.embedder,
        bytes_of(&face.face.embedding),
        now.0,
        refutes,
    ])?;
    Ok(())
}

fn bytes_of(embedding: &Embedding) -> Vec<u8> {
    embedding.values().iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
