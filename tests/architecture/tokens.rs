//! A small lexer for Rust: names and punctuation with their lines; comments and literals are left out.
//!
//! Not a parser: it knows just enough that a path in a comment or a string is not taken for an import.

/// A name or a punctuation character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) text: &'s str,
    /// From 1.
    pub(crate) line: usize,
}

/// The tokens of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match skipped(rest) {
            Some(length) => length,
            None => {
                let length = name(rest).unwrap_or(first.len_utf8());
                let line = source[..source.len() - rest.len()].matches('\n').count() + 1;
                tokens.push(Token { text: &rest[..length], line });
                length
            }
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the white space, comment, literal or lifetime that `text` begins with.
fn skipped(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if first.is_whitespace() {
        return Some(first.len_utf8());
    }
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    // The letters before a quote: b"", c"", r"", br"", and r#""#.
    let prefix = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let (letters, quoted) = text.split_at(prefix);
    match letters {
        "r" | "br" | "cr" => raw_string(quoted).map(|length| prefix + length),
        "" | "b" | "c" if quoted.starts_with('"') => Some(prefix + string(quoted)),
        "" | "b" if quoted.starts_with('\'') => Some(prefix + char_or_lifetime(quoted)),
        _ => None,
    }
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// `#*"` … `"#*`; `None` for what is a raw name such as `r#type`, or no literal at all.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.find(|c| c != '#')?;
    let inside = text[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", &text[..hashes]);
    Some(inside.find(&end).map_or(text.len(), |at| hashes + 1 + at + end.len()))
}

/// `'x'` and `'\n'` are literals; `'static` is a lifetime.
fn char_or_lifetime(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        // The character after the backslash is never the end.
        Some((at, '\\')) => text[at + 2..].find('\'').map_or(text.len(), |end| at + 2 + end + 1),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1 + name(&text[1..]).unwrap_or(0),
        },
        None => text.len(),
    }
}

fn name(text: &str) -> Option<usize> {
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        assert_eq!(texts("a // crate::x\nb /* c /* d */ e */ f //! g"), ["a", "b", "f"]);
        assert_eq!(texts(r##"a "crate::x \" y" b r#"c " d"# e b"f" g"##), ["a", "b", "e", "g"]);
        assert_eq!(texts(r"a 'b' '\'' '\\' '\u{1f}' c 'ö' &'static d"), ["a", "c", "&", "d"]);
    }

    #[test]
    fn names_and_punctuation_have_lines() {
        let found = tokens("use crate::\n  {model};");
        let expected =
            [("use", 1), ("crate", 1), (":", 1), (":", 1), ("{", 2), ("model", 2), ("}", 2), (";", 2)];
        assert_eq!(found, expected.map(|(text, line)| Token { text, line }));
    }

    #[test]
    fn names_that_begin_like_a_literal_are_names() {
        assert_eq!(texts("r b br raw bytes"), ["r", "b", "br", "raw", "bytes"]);
        assert_eq!(texts("r#type"), ["r", "#", "type"]);
    }
}
