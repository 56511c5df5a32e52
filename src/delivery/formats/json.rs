//! JSON as JavaScript prints it, so that a receiver that parses and prints a body again gets the same bytes and the same
//! signature: `JSON.stringify(JSON.parse(body)) === body`.
//!
//! That means: no spaces, `1` for 1.0, exponents as in ECMA-262 `Number::toString`, no `\u` escapes but for control characters,
//! and integer-like keys first, ascending. Undefined values are `null`.

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// Of objects and lists in each other.
const MAX_DEPTH: usize = 128;

/// A template's value as a body of at most `max_bytes`.
pub(super) fn to_js_stable(value: &Value, max_bytes: usize) -> Result<Vec<u8>, String> {
    let mut writer = Writer { out: String::new(), max_bytes, depth: 0 };
    writer.write(value)?;
    Ok(writer.out.into_bytes())
}

struct Writer {
    out: String,
    max_bytes: usize,
    depth: usize,
}

impl Writer {
    fn write(&mut self, value: &Value) -> Result<(), String> {
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => write_number(value, &mut self.out),
            ValueKind::String => write_string(value.as_str().unwrap_or_default(), &mut self.out),
            ValueKind::Seq | ValueKind::Iterable => self.nested(value, Self::write_array)?,
            ValueKind::Map => self.nested(value, Self::write_object)?,
            // A mistake in the template. The enum is open: what is new has no form here either.
            other @ (ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _) => {
                return Err(format!("{other} has no JSON form"));
            }
        }
        match self.out.len() <= self.max_bytes {
            true => Ok(()),
            false => Err(format!("makes more than {} bytes", self.max_bytes)),
        }
    }

    fn nested(
        &mut self,
        value: &Value,
        write: fn(&mut Self, &Value) -> Result<(), String>,
    ) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH}"));
        }
        write(self, value)?;
        self.depth -= 1;
        Ok(())
    }

    fn write_array(&mut self, value: &Value) -> Result<(), String> {
        self.out.push('[');
        for (index, item) in value.try_iter().map_err(text)?.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.write(&item)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn write_object(&mut self, value: &Value) -> Result<(), String> {
        let mut entries = Vec::new();
        for key in value.try_iter().map_err(text)? {
            let item = value.get_item(&key).map_err(text)?;
            entries.push((key, item));
        }
        // A stable sort: other keys keep their order.
        entries.sort_by_cached_key(|(key, _)| integer_key(key));
        self.out.push('{');
        for (index, (key, item)) in entries.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            match key.as_str() {
                Some(key) => write_string(key, &mut self.out),
                None => write_string(&key.to_string(), &mut self.out),
            }
            self.out.push(':');
            self.write(item)?;
        }
        self.out.push('}');
        Ok(())
    }
}

fn text(error: Error) -> String {
    error.to_string()
}

/// What ECMA-262 calls an array index (`0`, `17`, below 2^32 - 1), or the largest number for all other keys.
fn integer_key(key: &Value) -> u32 {
    let text = key.to_string();
    // Most keys are words.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return u32::MAX;
    }
    text.parse().ok().filter(|index: &u32| index.to_string() == text).unwrap_or(u32::MAX)
}

fn write_number(value: &Value, out: &mut String) {
    match value.as_i64() {
        Some(integer) if value.is_integer() && (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&integer) => {
            out.push_str(&integer.to_string());
        }
        // An integer beyond a float's range is as good as infinite.
        _ => out.push_str(&js_number(f64::try_from(value.clone()).unwrap_or(f64::INFINITY))),
    }
}

/// ECMA-262 `Number::toString`: the shortest digits that read back as the same number, placed as JavaScript does.
fn js_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` prints an exponent");
    let digits: String = mantissa.chars().filter(|&c| c != '.').collect();
    let count = i32::try_from(digits.len()).expect("at most 17 digits");
    // The number is 0.digits * 10^point.
    let point = exponent.parse::<i32>().expect("an exponent is a number") + 1;
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let at = |n: i32| usize::try_from(n).unwrap_or(0);
    let text = match point {
        point if count <= point && point <= 21 => digits + &zeros(point - count),
        point if 0 < point && point <= 21 => format!("{}.{}", &digits[..at(point)], &digits[at(point)..]),
        point if -6 < point && point <= 0 => format!("0.{}{digits}", zeros(-point)),
        point => {
            let fraction = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
            format!("{}{fraction}e{:+}", &digits[..1], point - 1)
        }
    };
    if number < 0.0 { format!("-{text}") } else { text }
}

/// `serde_json` escapes what `JSON.stringify` escapes, and in the same way.
fn write_string(text: &str, out: &mut String) {
    let plain = !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("any text is a JSON string"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: impl Into<Value>) -> String {
        String::from_utf8(to_js_stable(&value.into(), usize::MAX).expect("a JSON value")).expect("UTF-8")
    }

    #[test]
    fn numbers_are_printed_as_javascript_prints_them() {
        for (number, text) in [
            (1.0, "1"),
            (-0.0, "0"),
            (0.92, "0.92"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (1e16, "10000000000000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e21, "1.25e+21"),
            (123_456.789, "123456.789"),
            (-2.5, "-2.5"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(printed(number), text);
        }
        assert_eq!(printed(9_007_199_254_740_993_u64), "9007199254740992");
        assert_eq!(printed(42_u8), "42");
    }

    #[test]
    fn text_is_escaped_no_more_than_needed() {
        assert_eq!(printed("Tür \"1\" \\ / \u{2028}\u{7f}"), "\"Tür \\\"1\\\" \\\\ / \u{2028}\u{7f}\"");
        assert_eq!(printed("\n\u{8}\u{c}\u{1}"), "\"\\n\\b\\f\\u0001\"");
    }

    #[test]
    fn s5_14_what_is_too_long_or_too_deep_is_refused() {
        let list = |inner: Value| Value::from(vec![inner.clone(), inner]);
        // Eight doublings in memory that is shared, 256 texts on paper.
        let bomb = (0..8).fold(Value::from("x".repeat(1000)), |value, _| list(value));
        assert_eq!(to_js_stable(&bomb, 100_000).expect_err("long"), "makes more than 100000 bytes");
        let deep = (0..200).fold(Value::from(1), |value, _| Value::from(vec![value]));
        assert_eq!(to_js_stable(&deep, usize::MAX).expect_err("deep"), "is nested deeper than 128");
    }

    #[test]
    fn integer_like_keys_come_first_and_ascending() {
        let value = Value::from_pairs([("b", 1), ("10", 2), ("a", 3), ("2", 4), ("01", 5)]);
        assert_eq!(printed(value), r#"{"2":4,"10":2,"b":1,"a":3,"01":5}"#);
    }
}
