//! From a payload's value to the bytes of a request: form, multipart, and packed.
//!
//! `reqwest` could make a multipart body too, but with a random boundary: a repeated request would not repeat its bytes. Here the
//! boundary follows from what is sent.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use minijinja::value::{Value, ValueKind};
use sha2::{Digest as _, Sha256};

use super::filters::is_absent;
use super::json::to_js_stable;

/// Shorter bodies are not worth packing.
const MIN_GZIP: usize = 1024;

/// A file in a multipart body.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) field: &'a str,
    pub(super) name: &'a str,
    pub(super) content: &'a [u8],
}

/// The fields of an object: texts as they are, other values as JSON, nulls left out.
pub(super) fn fields(value: &Value, max_bytes: usize) -> Result<Vec<(String, Vec<u8>)>, String> {
    if value.kind() != ValueKind::Map {
        return Err("a form is made of an object".to_owned());
    }
    let mut fields = Vec::new();
    for key in value.try_iter().map_err(|error| error.to_string())? {
        let item = value.get_item(&key).map_err(|error| error.to_string())?;
        let content = match item.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None if is_absent(&item) => continue,
            None => to_js_stable(&item, max_bytes)?,
        };
        fields.push((key.to_string(), content));
    }
    Ok(fields)
}

/// `application/x-www-form-urlencoded`.
pub(super) fn form(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, content) in fields {
        form.append_pair(name, &String::from_utf8_lossy(content));
    }
    form.finish().into_bytes()
}

/// `multipart/form-data`: content type and body. A field without a type is text; `json` names the one that is JSON.
pub(super) fn multipart(
    fields: &[(String, Vec<u8>)],
    json: Option<&str>,
    files: &[File<'_>],
) -> (String, Vec<u8>) {
    let boundary = boundary(fields, files);
    let mut body = Vec::new();
    for (name, content) in fields {
        let kind = if json == Some(name) { "\r\nContent-Type: application/json" } else { "" };
        part(&mut body, &boundary, &format!("name=\"{}\"{kind}", quoted(name)), content);
    }
    for File { field, name, content } in files {
        let (field, name) = (quoted(field), quoted(name));
        let head = format!("name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: image/jpeg");
        part(&mut body, &boundary, &head, content);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn part(body: &mut Vec<u8>, boundary: &str, head: &str, content: &[u8]) {
    let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n");
}

/// A digest of all that is sent cannot occur in it but by intent that would have to know the digest.
fn boundary(fields: &[(String, Vec<u8>)], files: &[File<'_>]) -> String {
    let mut digest = Sha256::new();
    for (name, content) in fields {
        digest.update(name);
        digest.update(content);
    }
    files.iter().for_each(|file| digest.update(file.content));
    format!("porchlight-{}", hex::encode(&digest.finalize()[..16]))
}

/// As browsers write names.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// `None`: too short. The same bytes for the same body: no time, no name in the header.
pub(super) fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < MIN_GZIP {
        return None;
    }
    let mut packer = GzBuilder::new().write(Vec::new(), Compression::default());
    packer.write_all(body).ok()?;
    packer.finish().ok()
}
