//! `porchlight enroll`, `porchlight people` and `porchlight faces check`. Works on the data folder, beside a running agent and without
//! one; a running agent knows of what is changed here within a second.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::face_args::{EnrollArgs, FacesCheckArgs, PeopleArgs, PeopleCommand};
use super::table::table;
use crate::app::{Complaint, Enrolment, Refusal};
use crate::config::Config;
use crate::model::{EventId, EventType, Person, UtcMillis};
use crate::store::{EventFilter, NewPerson, People, Reader};

const PHOTOS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// A photo that is refused is said and does not keep the others from being taken; the exit code tells.
pub(super) fn enroll(args: &EnrollArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let wanted: Vec<(String, Vec<PathBuf>)> = match (&args.folder, &args.name) {
        (Some(folder), _) => people_of(folder)?,
        (None, Some(name)) => vec![(name.clone(), photos_of(&args.photos)?)],
        (None, None) => bail!("give a name and photos, or --folder"),
    };
    let mut enrolment = Enrolment::open(&config)?;
    let photos: usize = wanted.iter().map(|(_, photos)| photos.len()).sum();
    let bar = progress(photos as u64);
    let (mut taken, mut refused) = (0, 0);
    for (name, photos) in wanted {
        let (given, mut faces) = (photos.len(), Vec::new());
        for photo in photos {
            bar.set_message(name.clone());
            match enrolment.face_in(&photo, args.face) {
                Ok(Ok(face)) => {
                    if let Some((other, score)) = enrolment.looks_like(&face, &name)? {
                        let photo = photo.display();
                        bar.suspend(|| {
                            eprintln!("{photo}: looks like {other} ({score:.2}); one of the two will not be told apart");
                        });
                    }
                    faces.push(face);
                }
                Ok(Err(refusal)) => {
                    refused += 1;
                    let more = show(&refusal, &photo)?;
                    bar.suspend(|| eprintln!("{}: {refusal}{more}", photo.display()));
                }
                Err(error) => {
                    refused += 1;
                    bar.suspend(|| eprintln!("porchlight: {error:#}"));
                }
            }
            bar.inc(1);
        }
        if faces.is_empty() {
            continue;
        }
        taken += faces.len();
        let person = NewPerson {
            name: name.clone(),
            department: args.department.clone(),
            is_vip: args.vip.then_some(true),
            entity_type: args.entity_type.clone(),
        };
        enrolment.enrol(&person, &faces)?;
        bar.suspend(|| println!("{name}: {} of {given} photos taken", faces.len()));
    }
    bar.finish_and_clear();
    Ok(if refused == 0 && taken > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A picture that shows which face has which number.
fn show(refusal: &Refusal, photo: &Path) -> anyhow::Result<String> {
    let Refusal::Several { picture, .. } = refusal else { return Ok(String::new()) };
    let stem = photo.file_stem().unwrap_or(photo.as_os_str()).to_string_lossy();
    let target = PathBuf::from(format!("{stem}-faces.jpg"));
    std::fs::write(&target, picture).with_context(|| format!("cannot write {}", target.display()))?;
    Ok(format!("; {} shows their numbers", target.display()))
}

/// A folder for each person, called as the person is.
fn people_of(folder: &Path) -> anyhow::Result<Vec<(String, Vec<PathBuf>)>> {
    let mut people = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            people.push((name, photos_of(&[path])?));
        }
    }
    if people.is_empty() {
        bail!("{} holds no folders; make one for each person, with photos in it", folder.display());
    }
    Ok(people)
}

/// Files as they are, and all pictures of folders.
fn photos_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for path in paths {
        if path.is_dir() {
            let is_photo = |path: &PathBuf| {
                let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
                extension.is_some_and(|extension| PHOTOS.contains(&extension.as_str()))
            };
            photos.extend(entries(path)?.into_iter().filter(is_photo));
        } else {
            photos.push(path.clone());
        }
    }
    if photos.is_empty() {
        bail!("there are no photos; give JPEG, PNG, WebP or BMP files, or a folder with some");
    }
    Ok(photos)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut paths = read().with_context(|| format!("cannot read the folder {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn progress(photos: u64) -> ProgressBar {
    if photos < 3 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(photos).with_style(style)
}

pub(super) fn people(args: &PeopleArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let people = People::open(&config.data_dir)?;
    match &args.command {
        PeopleCommand::List { json } => list(&people, *json)?,
        PeopleCommand::Rename { who, name } => {
            let person = find(&people, who)?;
            let new = NewPerson { name: name.clone(), department: None, is_vip: None, entity_type: None };
            people.describe(person.id, &new, UtcMillis::now())?;
            eprintln!("{who} is {name} from now on");
        }
        PeopleCommand::Delete { who } => {
            let person = find(&people, who)?;
            people.delete(person.id)?;
            eprintln!("{who} is forgotten, with all faces; events that were told stay as they were");
        }
        PeopleCommand::Correct { event, not, face } => {
            let person = find(&people, not)?;
            let picture = picture_of(&Reader::open(&config.data_dir)?, *event)?;
            match Enrolment::open(&config)?.correct(&person, &picture, *event, *face)? {
                Ok(()) => eprintln!("who is seen there is not {not}, and is not taken for {not} any more"),
                Err(refusal) => bail!("the picture of the event: {refusal}"),
            }
        }
        PeopleCommand::Attendance => attendance(&Reader::open(&config.data_dir)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn find(people: &People, who: &str) -> anyhow::Result<Person> {
    let by_id = match who.parse() {
        Ok(id) => people.get(id)?,
        Err(_) => None,
    };
    let person = match by_id {
        Some(person) => Some(person),
        None => people.find(who)?,
    };
    person.with_context(|| format!("there is nobody called {who}; `porchlight people list` lists all"))
}

fn picture_of(reader: &Reader, id: EventId) -> anyhow::Result<Vec<u8>> {
    let event = reader.event(id)?.with_context(|| format!("there is no event {id}"))?;
    reader.picture_of(&event)?.with_context(|| format!("the event {id} has no picture, or no longer"))
}

fn list(people: &People, json: bool) -> anyhow::Result<()> {
    let mut table = table(["name", "department", "vip", "type", "photos", "last seen", "id"]);
    for person in people.list()? {
        let photos = people.count_faces(person.id)?;
        if json {
            println!(
                "{}",
                json!({"id": person.id.to_string(), "name": person.name.to_string(), "enrolled": person.name.is_known(),
                       "department": person.department, "is_vip": person.is_vip, "entity_type": person.entity_type,
                       "faces": photos, "created_at": person.created_at, "last_seen_at": person.last_seen_at})
            );
        } else {
            table.add_row([
                person.name.to_string(),
                person.department.unwrap_or_default(),
                if person.is_vip { "yes".to_owned() } else { String::new() },
                person.entity_type,
                photos.to_string(),
                person.last_seen_at.map_or_else(String::new, |at| at.to_string()),
                person.id.to_string(),
            ]);
        }
    }
    if !json {
        println!("{table}");
    }
    Ok(())
}

/// CSV as RFC 4180 has it, oldest first.
fn attendance(reader: &Reader) -> anyhow::Result<()> {
    const PAGE: usize = 500;
    let mut events = Vec::new();
    let mut filter = EventFilter { kind: Some(EventType::ATTENDANCE_RECORDED), ..EventFilter::default() };
    loop {
        let page = reader.events(&filter, PAGE)?.items;
        let Some(last) = page.last() else { break };
        filter.before = Some(last.id);
        events.extend(page);
    }
    println!("time,camera,name,direction,department");
    for event in events.into_iter().rev() {
        let text = |pointer: &str| {
            let found = serde_json::Value::Object(event.data.clone());
            found.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        let camera = event.camera.as_ref().map_or_else(String::new, |camera| camera.id.clone());
        let fields = [
            event.occurred_at.to_string(),
            camera,
            text("/person/name"),
            text("/direction"),
            text("/person/department"),
        ];
        println!("{}", fields.map(|field| quoted(&field)).join(","));
    }
    Ok(())
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

pub(super) fn check(args: &FacesCheckArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let complaints = Enrolment::open(&config)?.check()?;
    let mut bad = false;
    for complaint in &complaints {
        bad |= !matches!(complaint, Complaint::ClosestPair { confusable: false, .. });
        match complaint {
            _ if args.json => println!("{}", complaint_json(complaint)),
            Complaint::ClosestPair { similarity, confusable: false, one, other } => {
                println!("most alike are {one} and {other}: {similarity:.2}, which is far enough apart");
            }
            Complaint::ClosestPair { similarity, confusable: true, one, other } => {
                println!("{one} and {other} may be confused: {similarity:.2}; add clear photos of both");
            }
            Complaint::Poor { person, photo, reason } => println!("{person}: {photo}: {reason}"),
            Complaint::Duplicate { photos: [(one, photo), (other, same)] } => {
                println!("{one}: {photo} is the same picture as {same} of {other}");
            }
            Complaint::NoFaces { person } => println!("{person} has no photo, and cannot be recognised"),
        }
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn complaint_json(complaint: &Complaint) -> serde_json::Value {
    match complaint {
        Complaint::ClosestPair { similarity, confusable, one, other } => json!({
            "closest_pair": [one, other], "similarity": (f64::from(*similarity) * 1e4).round() / 1e4, "confusable": confusable,
        }),
        Complaint::Poor { person, photo, reason } => {
            json!({"poor_photo": photo, "person": person, "reason": reason})
        }
        Complaint::Duplicate { photos: [(one, photo), (other, same)] } => {
            json!({"duplicate": [{"person": one, "photo": photo}, {"person": other, "photo": same}]})
        }
        Complaint::NoFaces { person } => json!({"no_faces": person}),
    }
}
