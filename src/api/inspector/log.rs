//! What the inspector remembers: the newest requests, within bounds of number and size, without the secrets in their headers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::SignatureCheck;
use crate::model::UtcMillis;

/// Of all requests together.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Headers that carry secrets whoever sends them ...
const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];
/// ... and words that give others away.
const SECRET_WORDS: [&str; 5] = ["token", "secret", "password", "api-key", "apikey"];
/// Stands for a value that is not shown.
const REDACTED: &str = "***";

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Received {
    pub(in crate::api) timestamp: UtcMillis,
    pub(in crate::api) ip: IpAddr,
    /// Names in lower case, several values joined by a comma.
    pub(in crate::api) headers: BTreeMap<String, String>,
    /// As text; what is no UTF-8 is replaced.
    pub(in crate::api) body: String,
    is_json: bool,
    pub(in crate::api) body_bytes: usize,
    /// `valid`, `invalid`, `unsigned`, `unknown`.
    pub(in crate::api) signature: &'static str,
    /// Whose secret the signature fits.
    pub(in crate::api) webhook: Option<String>,
}

impl Received {
    /// The body, if it is JSON, with its keys in their order. Never as a tree: that would be many times as large.
    fn json(&self) -> Option<serde_json::Deserializer<serde_json::de::StrRead<'_>>> {
        self.is_json.then(|| serde_json::Deserializer::from_str(&self.body))
    }

    /// The body for people: JSON indented, anything else as it is.
    pub(in crate::api) fn pretty(&self) -> String {
        let mut out = Vec::new();
        let mut pretty = serde_json::Serializer::pretty(&mut out);
        let written = self.json().map(|mut json| serde_transcode::transcode(&mut json, &mut pretty).is_ok());
        match (written, String::from_utf8(out)) {
            (Some(true), Ok(text)) => text,
            _ => self.body.clone(),
        }
    }
}

impl Serialize for Received {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = self.json();
        let mut row = serializer.serialize_struct("Received", 8)?;
        row.serialize_field("timestamp", &self.timestamp)?;
        row.serialize_field("ip", &self.ip)?;
        row.serialize_field("headers", &self.headers)?;
        row.serialize_field("body", &self.body)?;
        row.serialize_field("body_json", &json.as_mut().map(serde_transcode::Transcoder::new))?;
        row.serialize_field("body_bytes", &self.body_bytes)?;
        row.serialize_field("signature", self.signature)?;
        row.serialize_field("webhook", &self.webhook)?;
        row.end()
    }
}

/// A ring of requests.
#[derive(Debug)]
pub(super) struct Log {
    keep: usize,
    secret_headers: Mutex<BTreeSet<String>>,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Oldest first.
    rows: VecDeque<Arc<Received>>,
    bytes: usize,
}

impl Log {
    /// `secret_headers`: further names, in lower case, whose values are not shown.
    pub(super) fn new(keep: usize, secret_headers: BTreeSet<String>) -> Self {
        Self { keep: keep.max(1), secret_headers: Mutex::new(secret_headers), ring: Mutex::default() }
    }

    /// Further names; webhooks come and go, what they sent stays.
    pub(super) fn also_secret(&self, names: impl Iterator<Item = String>) {
        self.secret_headers.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// Remembers a request and forgets the oldest ones that no longer have room.
    pub(super) fn add(
        &self,
        timestamp: UtcMillis,
        ip: IpAddr,
        headers: &HeaderMap,
        body: &[u8],
        check: SignatureCheck,
    ) {
        let text = String::from_utf8_lossy(body).into_owned();
        let row = Received {
            timestamp,
            ip,
            headers: self.shown(headers),
            is_json: is_json(&text),
            body: text,
            body_bytes: body.len(),
            signature: check.as_str(),
            webhook: match check {
                SignatureCheck::Valid(webhook) => Some(webhook.to_string()),
                SignatureCheck::Invalid | SignatureCheck::Unsigned | SignatureCheck::Unknown => None,
            },
        };
        let mut ring = self.lock();
        ring.bytes += size(&row);
        ring.rows.push_back(Arc::new(row));
        while ring.rows.len() > self.keep || (ring.bytes > MAX_BYTES && ring.rows.len() > 1) {
            if let Some(oldest) = ring.rows.pop_front() {
                ring.bytes -= size(&oldest);
            }
        }
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<Received>> {
        self.lock().rows.iter().rev().cloned().collect()
    }

    pub(super) fn clear(&self) {
        *self.lock() = Ring::default();
    }

    fn shown(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::<String, String>::new();
        for (name, value) in headers {
            let name = name.as_str();
            let text = match self.is_secret(name) {
                true => REDACTED.into(),
                false => String::from_utf8_lossy(value.as_bytes()),
            };
            shown
                .entry(name.to_owned())
                .and_modify(|values| *values = format!("{values}, {text}"))
                .or_insert_with(|| text.clone().into_owned());
        }
        shown
    }

    fn is_secret(&self, name: &str) -> bool {
        SECRET.contains(&name)
            || SECRET_WORDS.iter().any(|word| name.contains(word))
            || self.secret_headers.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it can be written as JSON again, which is how it is shown. Parsing alone would pass numbers that nobody can write.
fn is_json(text: &str) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut nowhere = serde_json::Serializer::new(std::io::sink());
    serde_transcode::transcode(&mut json, &mut nowhere).is_ok() && json.end().is_ok()
}

fn size(row: &Received) -> usize {
    let headers: usize = row.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    headers + row.body.len() + size_of::<Received>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &Log, body: &[u8]) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer hunter2"),
            ("x-auth-token", "hunter2"),
            ("x-house", "hunter2"),
            ("x-seen", "one"),
            ("x-seen", "two"),
        ] {
            headers.append(name, value.parse().expect("a value"));
        }
        log.add(UtcMillis(0), IpAddr::from([127, 0, 0, 1]), &headers, body, SignatureCheck::Unsigned);
    }

    #[test]
    fn the_newest_rows_stay_within_number_and_size() {
        let log = Log::new(3, BTreeSet::new());
        for number in 0..5 {
            add(&log, number.to_string().as_bytes());
        }
        let bodies: Vec<_> = log.newest_first().iter().map(|row| row.body.clone()).collect();
        assert_eq!(bodies, ["4", "3", "2"]);

        let log = Log::new(500, BTreeSet::new());
        for _ in 0..20 {
            add(&log, &vec![b'x'; 1024 * 1024]);
        }
        assert_eq!(log.newest_first().len(), 7);
        log.clear();
        let ring = log.lock();
        assert_eq!((ring.rows.len(), ring.bytes), (0, 0));
    }

    #[test]
    fn secrets_in_headers_are_not_kept() {
        let log = Log::new(3, BTreeSet::from(["x-house".to_owned()]));
        add(&log, b"{\"a\": 1}");
        let row = log.newest_first().pop().expect("a row");
        assert!(!format!("{row:?}").contains("hunter2"), "{row:?}");
        assert_eq!(row.headers["x-seen"], "one, two");
    }

    #[test]
    fn a_body_is_shown_as_the_json_it_is() {
        let log = Log::new(3, BTreeSet::new());
        for body in [&b"not json"[..], b"\xff", br#"{"b": 1.50, "a": [null, "\u00e9"]}"#] {
            add(&log, body);
        }
        let rows = log.newest_first();
        let json = |row: &Received| serde_json::to_string(row).expect("plain data");
        assert!(json(&rows[0]).contains(r#""body_json":{"b":1.5,"a":[null,"é"]}"#), "{}", json(&rows[0]));
        assert!(rows[0].pretty().starts_with("{\n  \"b\": 1.5,"));
        assert!(json(&rows[1]).contains("\"body\":\"\u{fffd}\",\"body_json\":null,\"body_bytes\":1"));
        assert_eq!(rows[2].pretty(), "not json");
        for odd in
            ["1e999", &"[".repeat(1000), &format!("{}{}", "[".repeat(1000), "]".repeat(1000)), "{} {}", ""]
        {
            add(&log, odd.as_bytes());
            assert!(json(&log.newest_first()[0]).contains(r#""body_json":null"#), "{odd}");
        }
    }
}
