//! The filters of payloads: `value | filter(…)`. Each is a pure function, and none makes a text longer than [`MAX_TEXT`].
//!
//! What is absent (missing or null) passes through every filter unchanged, but for `default`: a message says less rather than failing.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::json::to_js_stable;
use crate::model::UtcMillis;

/// The longest text a filter makes.
const MAX_TEXT: usize = 1024 * 1024;

/// Registers a filter under its own name, and its name among those that are known.
macro_rules! filters {
    ($($name:literal => $function:expr,)*) => {
        const NAMES: &[&str] = &[$($name),*];

        pub(super) fn add_to(environment: &mut Environment<'_>) {
            $(environment.add_filter($name, $function);)*
        }
    };
}

filters! {
    // any value
    "default" => default,
    "json" => |value: &Value| bounded(to_text(value)?),
    "length" => length,
    // text
    "upper" => |value: &Value| of_text(value, |text| text.to_uppercase()),
    "lower" => |value: &Value| of_text(value, |text| text.to_lowercase()),
    "trim" => |value: &Value| of_text(value, |text| text.trim().to_owned()),
    "capitalize" => |value: &Value| of_text(value, capitalize),
    "replace" => |value: &Value, from: &str, to: &str| of_text(value, |text| replace(text, from, to)),
    "truncate" => |value: &Value, length: usize| of_text(value, |text| truncate(text, length)),
    "split" => split,
    "snake" => |value: &Value| of_text(value, |text| text.replace('.', "_")),
    "urlencode" => |value: &Value| of_text(value, urlencode),
    "mdescape" => |value: &Value| of_text(value, |text| escape(text, "_*`[")),
    "mrkdwn" => |value: &Value| of_text(value, mrkdwn),
    // time
    "date" => date,
    "seconds" => |value: &Value| of_time(value, UtcMillis::to_seconds_string),
    "unix" => |value: &Value| of_time(value, |time| time.0.div_euclid(1000)),
    // numbers
    "round" => |value: &Value, digits: Option<u32>| of_number(value, |number| round(number, digits)),
    "clamp" => clamp,
    "plus" => |value: &Value, other: f64| of_number(value, |number| number + other),
    "times" => |value: &Value, other: f64| of_number(value, |number| number * other),
    "divided_by" => divided_by,
    // lists and objects
    "first" => |value: &Value| item(value, 0),
    "last" => |value: &Value| item(value, -1),
    "join" => join,
    "pick" => pick,
    "omit" => omit,
    "merge" => merge,
    "in_pixels" => in_pixels,
    "bbox" => bbox,
}

/// Whether there is a filter of that name; the error says which was meant.
pub(super) fn check(name: &str) -> Result<(), String> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    let hint = match super::nearest(name, NAMES.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there is {}", NAMES.join(", ")),
    };
    Err(format!("there is no filter `{name}`; {hint}"))
}

/// Missing or null.
pub(super) fn is_absent(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn absent_or(value: &Value, wanted: &str) -> Result<Value, Error> {
    match is_absent(value) {
        true => Ok(value.clone()),
        false => Err(invalid(format!("{} is not {wanted}", value.kind()))),
    }
}

fn bounded(text: String) -> Result<Value, Error> {
    match text.len() <= MAX_TEXT {
        true => Ok(Value::from(text)),
        false => Err(invalid(format!("makes a text of more than {MAX_TEXT} bytes"))),
    }
}

fn to_text(value: &Value) -> Result<String, Error> {
    let bytes = to_js_stable(value, MAX_TEXT).map_err(invalid)?;
    Ok(String::from_utf8(bytes).expect("JSON is UTF-8"))
}

fn of_text(value: &Value, change: impl Fn(&str) -> String) -> Result<Value, Error> {
    match value.as_str() {
        // No change makes more than a dozen bytes of one, `replace` apart, which bounds itself.
        Some(text) if text.len() <= MAX_TEXT => bounded(change(text)),
        Some(_) => Err(invalid(format!("takes a text of at most {MAX_TEXT} bytes"))),
        None if value.kind() == ValueKind::Number => bounded(change(&to_text(value)?)),
        None => absent_or(value, "a text"),
    }
}

fn of_number<T: Into<Value>>(value: &Value, change: impl Fn(f64) -> T) -> Result<Value, Error> {
    match f64::try_from(value.clone()) {
        Ok(number) if value.kind() == ValueKind::Number => Ok(change(number).into()),
        Ok(_) | Err(_) => absent_or(value, "a number"),
    }
}

fn of_time<T: Into<Value>>(value: &Value, change: impl Fn(UtcMillis) -> T) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return absent_or(value, "a time") };
    let time = text.parse().map_err(|_| invalid(format!("`{}` is not a time", truncate(text, 40))))?;
    Ok(change(time).into())
}

/// `name | default('nobody')`: instead of what is absent.
fn default(value: &Value, other: &Value) -> Value {
    if is_absent(value) { other.clone() } else { value.clone() }
}

fn length(value: &Value) -> Result<Value, Error> {
    match value.as_str().map(|text| text.chars().count()).or(value.len()) {
        Some(length) => Ok(Value::from(length)),
        None => absent_or(value, "a text or a list"),
    }
}

fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn replace(text: &str, from: &str, to: &str) -> String {
    // An empty text is found between any two letters, which nobody means.
    let found = if from.is_empty() { 0 } else { text.matches(from).count() };
    let length = found.saturating_mul(to.len()).saturating_add(text.len());
    match found {
        0 => text.to_owned(),
        // One byte too many, so that `bounded` says so.
        _ if length > 2 * MAX_TEXT => " ".repeat(MAX_TEXT + 1),
        _ => text.replace(from, to),
    }
}

/// At most so many letters; the last is `…` if there were more.
fn truncate(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some(_) => text.chars().take(length.saturating_sub(1)).chain(['…']).take(length).collect(),
    }
}

fn split(value: &Value, separator: &str) -> Result<Value, Error> {
    match value.as_str() {
        Some(_) if separator.is_empty() => Err(invalid("split needs what to split at")),
        Some(text) => Ok(text.split(separator).map(Value::from).collect()),
        None => absent_or(value, "a text"),
    }
}

fn urlencode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn escape(text: &str, special: &str) -> String {
    let escaped = |c| special.contains(c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}

/// Slack's three.
fn mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `event.timestamp | date('%d.%m.%Y %H:%M', 'Europe/Berlin')`: as `strftime`, in UTC unless a time zone is given.
fn date(value: &Value, format: Option<&str>, zone: Option<&str>) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return absent_or(value, "a time") };
    let time: jiff::Timestamp =
        text.parse().map_err(|_| invalid(format!("`{}` is not a time", truncate(text, 40))))?;
    let time = time.in_tz(zone.unwrap_or("UTC")).map_err(|error| invalid(error.to_string()))?;
    let format = format.unwrap_or("%Y-%m-%d %H:%M:%S");
    if format.len() > 200 {
        return Err(invalid("the format of a date has at most 200 bytes"));
    }
    let shown = jiff::fmt::strtime::format(format, &time).map_err(|error| invalid(error.to_string()))?;
    bounded(shown)
}

/// Away from zero at .5, as people round.
fn round(number: f64, digits: Option<u32>) -> f64 {
    // Beyond, a float has no digits left to round.
    let scale = 10_f64.powi(i32::try_from(digits.unwrap_or(0).min(15)).unwrap_or(0));
    let scaled = number * scale;
    if scaled.is_finite() { scaled.round() / scale } else { number }
}

/// `score | clamp(0, 1)`.
fn clamp(value: &Value, low: f64, high: f64) -> Result<Value, Error> {
    if low > high {
        return Err(invalid(format!("clamp({low}, {high}): the first must not be the larger")));
    }
    of_number(value, |number| number.max(low).min(high))
}

fn divided_by(value: &Value, other: f64) -> Result<Value, Error> {
    if other == 0.0 {
        return Err(invalid("division by zero"));
    }
    of_number(value, |number| number / other)
}

fn item(value: &Value, at: i64) -> Result<Value, Error> {
    match is_list(value) {
        true => value.get_item(&Value::from(at)),
        false => absent_or(value, "a list"),
    }
}

fn join(value: &Value, separator: Option<&str>) -> Result<Value, Error> {
    if !is_list(value) {
        return absent_or(value, "a list");
    }
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(separator.unwrap_or(", "));
        }
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None => joined.push_str(&to_text(&item)?),
        }
        if joined.len() > MAX_TEXT {
            break;
        }
    }
    bounded(joined)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

/// Applies `change` to one object, or to each of a list.
fn of_objects(value: &Value, change: impl Fn(&Value) -> Result<Value, Error>) -> Result<Value, Error> {
    if is_list(value) {
        value.try_iter()?.map(|item| change(&item)).collect()
    } else if value.kind() == ValueKind::Map {
        change(value)
    } else {
        absent_or(value, "a list or an object")
    }
}

/// `matches | pick('id', 'name')`: these keys of an object, in this order, null where absent.
fn pick(value: &Value, keys: Rest<String>) -> Result<Value, Error> {
    of_objects(value, |object| {
        let entry = |key: &String| Ok((key.clone(), object.get_item(&Value::from(key.as_str()))?));
        keys.iter().map(entry).collect::<Result<Vec<_>, Error>>().map(Value::from_pairs)
    })
}

fn entries(object: &Value) -> Result<Vec<(String, Value)>, Error> {
    object.try_iter()?.map(|key| Ok((key.to_string(), object.get_item(&key)?))).collect()
}

/// `data | omit('user')`: all but these keys.
fn omit(value: &Value, keys: Rest<String>) -> Result<Value, Error> {
    of_objects(value, |object| {
        let mut entries = entries(object)?;
        entries.retain(|(key, _)| !keys.contains(key));
        Ok(Value::from_pairs(entries))
    })
}

/// `matches | merge({'bbox': event.box})`: with these keys added or replaced.
fn merge(value: &Value, more: &Value) -> Result<Value, Error> {
    if more.kind() != ValueKind::Map {
        return absent_or(more, "an object").map(|_| value.clone());
    }
    of_objects(value, |object| {
        // A map keeps the place of a key that is there already.
        Ok(Value::from_pairs(entries(object)?.into_iter().chain(entries(more)?)))
    })
}

/// The four numbers of a box.
fn corners(value: &Value) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = value.try_iter().ok()?.map(f64::try_from).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

/// `box | in_pixels(thumbnail)`: corners 0..1 as pixels of a picture with `width` and `height`.
fn in_pixels(value: &Value, picture: &Value) -> Result<Value, Error> {
    let side = |name| picture.get_attr(name).ok().and_then(|side| f64::try_from(side).ok());
    let (Some([x1, y1, x2, y2]), Some(width), Some(height)) = (corners(value), side("width"), side("height"))
    else {
        return Ok(Value::from(()));
    };
    let pixels = [x1 * width, y1 * height, x2 * width, y2 * height].map(f64::round);
    Ok(Value::from_iter(pixels))
}

/// `box | bbox('xywh')`: corners as asked for, `xyxy` or `xywh`. Of objects, their key `bbox`.
fn bbox(value: &Value, style: &str) -> Result<Value, Error> {
    match style {
        "xyxy" => return Ok(value.clone()),
        "xywh" => {}
        other => return Err(invalid(format!("bbox: `{}` is neither xyxy nor xywh", truncate(other, 20)))),
    }
    if let Some([x1, y1, x2, y2]) = corners(value) {
        // Sizes as exact as the corners were.
        return Ok(Value::from_iter([x1, y1, round(x2 - x1, Some(4)), round(y2 - y1, Some(4))]));
    }
    of_objects(value, |object| match object.get_attr("bbox")? {
        corners if is_absent(&corners) => Ok(object.clone()),
        corners => merge(object, &Value::from_pairs([("bbox", bbox(&corners, style)?)])),
    })
}
