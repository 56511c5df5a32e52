//! The expressions of payloads: C's operators in front, `minijinja` behind.
//!
//! The language is `path`, literals, `== != < > <= >= in`, `&& || !`, `condition ? a : b` and `value | filter(…)`. It has no
//! arithmetic, functions, loops or assignments, so the work of an expression grows with its length only; what can grow (text made
//! by filters) is bounded by the filters.
//!
//! Why not another engine: JEXL is nearly this language, but its only crate (`jexl-eval`) bounds nothing, reports no positions, loses
//! the order of keys and makes every number a float; CEL has no filters and refuses absent fields; `evalexpr` is AGPL. `minijinja`
//! is small, well kept, counts its steps and gives good errors; it lacks C's operators, which this file translates: tokens in,
//! Jinja's words out. What Jinja has beyond the language is refused here, with what to write instead.

use std::sync::LazyLock;

use minijinja::value::Value;
use minijinja::{Environment, Error, UndefinedBehavior};

use super::filters;
use super::token::{Token, tokens};

/// Instructions one expression may take: more than any honest payload needs, some milliseconds at most.
const FUEL: u64 = 20_000;
/// Of the text between the braces.
const MAX_LENGTH: usize = 4096;
/// Of brackets and `?:` in each other.
const MAX_DEPTH: usize = 32;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.add_test("absent", |value: &Value| filters::is_absent(value));
    filters::add_to(&mut environment);
    environment
});

/// One compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    compiled: Box<minijinja::Expression<'static, 'static>>,
    /// As the user wrote it, for messages.
    source: String,
}

impl Expression {
    /// Compiles what `text` begins with, up to `}}`; returns also what stands behind the braces.
    pub(super) fn compile(text: &str) -> Result<(Self, &str), String> {
        let (tokens, rest) = tokens(text)?;
        let source = text[..text.len() - rest.len() - 2].trim();
        if source.len() > MAX_LENGTH {
            return Err(format!("an expression has at most {MAX_LENGTH} bytes, this one {}", source.len()));
        }
        let wrong = |message: String| format!("`{{{{ {source} }}}}`: {message}");
        let mut translation = Translation { tokens: &tokens, at: 0, out: String::new(), depth: 0 };
        translation.expression().and_then(|()| translation.end()).map_err(wrong)?;
        let compiled = ENVIRONMENT.compile_expression_owned(translation.out);
        let compiled = compiled.map_err(|error| wrong(reason(&error)))?;
        Ok((Self { compiled: Box::new(compiled), source: source.to_owned() }, rest))
    }

    /// Its value.
    pub(super) fn eval(&self, context: &Value) -> Result<Value, String> {
        self.compiled.eval(context.clone()).map_err(|error| format!("`{{{{ {self} }}}}`: {}", reason(&error)))
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

/// Without the engine's name of the template and its line, which mean nothing to the user.
fn reason(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// Walks the tokens once and writes Jinja. Whether operands and operators follow each other sensibly is left to Jinja's parser.
struct Translation<'t, 's> {
    tokens: &'t [Token<'s>],
    at: usize,
    out: String,
    depth: usize,
}

type Translated = Result<(), String>;

impl<'s> Translation<'_, 's> {
    fn peek(&self) -> Option<Token<'s>> {
        self.tokens.get(self.at).copied()
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(next)) if next == sign)
    }

    /// Takes the sign if it comes next.
    fn skip(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn end(&self) -> Translated {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(format!("`{}` is out of place", token.text())),
        }
    }

    /// `condition ? a : b`, or just the condition.
    fn expression(&mut self) -> Translated {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH}"));
        }
        let begin = self.out.len();
        self.operators()?;
        if self.skip("?") {
            let condition = self.out.split_off(begin);
            self.out.push_str("((");
            self.expression()?;
            if !self.skip(":") {
                return Err("a `?` needs a `:` after it, as in `a ? b : c`".to_owned());
            }
            self.out.push_str(") if (");
            self.out.push_str(&condition);
            self.out.push_str(") else (");
            self.expression()?;
            self.out.push_str("))");
        }
        self.depth -= 1;
        Ok(())
    }

    /// Operands and operators, up to what ends them.
    fn operators(&mut self) -> Translated {
        let begin = self.at;
        let mut operand_before = false;
        while let Some(token) = self.peek() {
            let absent = self.null_follows();
            match token {
                Token::Sign("?" | ":" | "," | ")" | "]" | "}") => break,
                Token::Sign("&&") => self.take(" and "),
                Token::Sign("||") => self.take(" or "),
                // Absent and null are the same to whoever compares.
                Token::Sign("==") if self.null_follows() => self.take_both(" is absent"),
                Token::Sign("!=") if self.null_follows() => self.take_both(" is not absent"),
                Token::Sign(sign @ ("==" | "!=" | "<=" | ">=" | "<" | ">")) => self.take(sign),
                Token::Word(word @ ("and" | "or" | "not" | "in" | "if" | "else" | "is")) => {
                    self.out.push(' ');
                    self.take(word);
                    self.out.push(' ');
                }
                Token::Sign("-") if operand_before => {
                    return Err(
                        "`-` is only a sign here; arithmetic is done by the filters plus, times and \
                                divided_by"
                            .to_owned(),
                    );
                }
                token if operand_before => return Err(format!("`{}` is out of place", token.text())),
                Token::Sign(_) | Token::Word(_) | Token::Number(_) | Token::Text(_) => {
                    self.operand()?;
                    operand_before = true;
                    continue;
                }
            }
            operand_before = absent;
        }
        if self.at == begin {
            return Err("a value is missing".to_owned());
        }
        Ok(())
    }

    fn take(&mut self, as_text: &str) {
        self.at += 1;
        self.out.push_str(as_text);
    }

    fn null_follows(&self) -> bool {
        self.tokens.get(self.at + 1) == Some(&Token::Word("null"))
    }

    fn take_both(&mut self, as_text: &str) {
        self.at += 1;
        self.take(as_text);
    }

    /// A value with its signs before and its path and filters behind.
    fn operand(&mut self) -> Translated {
        if self.skip("!") {
            // `!a == b` compares the opposite of a, as in C; Jinja's `not` would take all of it.
            self.out.push_str("(not ");
            self.nested(Self::operand)?;
            self.out.push(')');
            return Ok(());
        }
        if self.skip("-") {
            self.out.push('-');
        }
        match self.peek() {
            Some(Token::Word("null")) => self.take("none"),
            Some(Token::Word(word)) => self.take(word),
            Some(Token::Number(text) | Token::Text(text)) => self.take(text),
            Some(Token::Sign(open @ ("(" | "[" | "{"))) => self.group(open)?,
            Some(token @ Token::Sign(_)) => return Err(format!("`{}` is out of place", token.text())),
            None => return Err("a value is missing".to_owned()),
        }
        loop {
            if self.skip(".") {
                match self.peek() {
                    Some(Token::Word(text)) => self.take(&format!(".{text}")),
                    // `faces.0.1` is two steps of a path, and looks like a number.
                    Some(Token::Number(text)) => self.take(&format!("[{}]", text.replace('.', "]["))),
                    Some(Token::Text(_) | Token::Sign(_)) | None => {
                        return Err("after `.` a name is missing".to_owned());
                    }
                }
            } else if self.is("[") {
                self.group("[")?;
            } else if self.is("(") {
                return Err("there are no functions, only filters: `value | filter(…)`".to_owned());
            } else if self.skip("|") {
                self.filter()?;
            } else {
                return Ok(());
            }
        }
    }

    fn filter(&mut self) -> Translated {
        let Some(Token::Word(name)) = self.peek() else {
            return Err("after `|` the name of a filter is missing".to_owned());
        };
        filters::check(name)?;
        self.out.push('|');
        self.take(name);
        if self.is("(") { self.group("(") } else { Ok(()) }
    }

    /// Values between brackets, separated by commas; in braces with keys.
    fn group(&mut self, open: &'static str) -> Translated {
        let close = match open {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        self.take(open);
        while !self.is(close) {
            self.nested(Self::expression)?;
            if open == "{" {
                if !self.skip(":") {
                    return Err("in braces a key and a `:` come before each value".to_owned());
                }
                self.out.push(':');
                self.nested(Self::expression)?;
            }
            if !self.skip(",") {
                break;
            }
            self.out.push(',');
        }
        if !self.skip(close) {
            return Err(format!("the closing `{close}` is missing"));
        }
        self.out.push_str(close);
        Ok(())
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Translated) -> Translated {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH}"));
        }
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
