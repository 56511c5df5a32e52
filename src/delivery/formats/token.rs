//! The words of expressions. What they mean is known to [`super::expression`].

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    Word(&'s str),
    Number(&'s str),
    /// With its quotes.
    Text(&'s str),
    Sign(&'static str),
}

impl<'s> Token<'s> {
    /// As it was written.
    pub(super) fn text(self) -> &'s str {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Text(text) | Self::Sign(text) => text,
        }
    }
}

const SIGNS: [&str; 21] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "?", ":", "|", ".", ",", "(", ")", "[", "]", "{", "}",
    "-",
];

/// The tokens up to the closing braces, and what follows them.
pub(super) fn tokens(text: &str) -> Result<(Vec<Token<'_>>, &str), String> {
    let (mut tokens, mut open, mut rest) = (Vec::new(), 0_usize, text);
    loop {
        rest = rest.trim_start();
        if open == 0
            && let Some(rest) = rest.strip_prefix("}}")
        {
            return Ok((tokens, rest));
        }
        let Some(first) = rest.chars().next() else {
            return Err(format!("`{{{{{}`: the closing }}}} is missing", shortened(text)));
        };
        let (token, length) = if first.is_ascii_digit() {
            let length = number(rest);
            (Token::Number(&rest[..length]), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Word(&rest[..length]), length)
        } else if first == '\'' || first == '"' {
            let length = quoted(rest, first)
                .ok_or_else(|| format!("`{{{{{}`: the closing {first} is missing", shortened(text)))?;
            (Token::Text(&rest[..length]), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            match *sign {
                "(" | "[" | "{" => open += 1,
                ")" | "]" | "}" => open = open.saturating_sub(1),
                _ => {}
            }
            (Token::Sign(sign), sign.len())
        } else {
            let hint = match first {
                '+' | '*' | '/' | '%' => "; arithmetic is done by the filters plus, times and divided_by",
                '~' => "; texts are joined as `{{ a }}{{ b }}`",
                '=' => "; to compare, write ==",
                '&' => "; write && for both",
                _ => "",
            };
            return Err(format!("`{{{{{}`: `{first}` means nothing here{hint}", shortened(text)));
        };
        tokens.push(token);
        rest = &rest[length..];
    }
}

fn shortened(text: &str) -> String {
    let text: String = text.chars().take(80).collect();
    text.trim_end().to_owned()
}

/// `12`, `1.5`, `1e6`; in `list.0.name` the dot belongs to the path.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(text);
    if text[length..].starts_with('.') && digits(&text[length + 1..]) > 0 {
        length += 1 + digits(&text[length + 1..]);
    }
    let exponent = &text[length..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let digits = digits(&exponent[1 + sign..]);
        if digits > 0 {
            length += 1 + sign + digits;
        }
    }
    length
}

fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}
