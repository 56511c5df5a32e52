//! What is wrong, and what is only odd, collected while a file or a request is read: each with its line and with the key as the user
//! spelled it. Reading itself belongs to `section`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::problem::Problem;

/// Collects problems while a file, or a request of the API, is read.
pub(super) struct Report<'t> {
    text: &'t str,
    /// The text is a request: it names no files and variables of this machine.
    foreign: bool,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// How the user spelled a key: by the key it stands for.
    spellings: RefCell<BTreeMap<String, String>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            foreign: false,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            spellings: RefCell::default(),
        }
    }

    /// For a request of the API.
    pub(super) fn foreign() -> Self {
        Self { foreign: true, ..Self::new("") }
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// `at` is a byte offset in the user's text.
    pub(super) fn add(&self, at: Option<usize>, key: impl Into<String>, message: impl Into<String>) {
        Self::push(&self.problems, self.problem(at, key.into(), message.into()));
    }

    /// Something that works and is probably not what was meant.
    pub(super) fn warn(&self, at: Option<usize>, key: impl Into<String>, message: impl Into<String>) {
        Self::push(&self.warnings, self.problem(at, key.into(), message.into()));
    }

    fn problem(&self, at: Option<usize>, key: String, message: String) -> Problem {
        Problem { line: at.and_then(|at| self.line(at)), key: self.spelling(key), message }
    }

    fn push(list: &RefCell<Vec<Problem>>, problem: Problem) {
        let mut list = list.borrow_mut();
        if !list.contains(&problem) {
            list.push(problem);
        }
    }

    /// From now on problems with `key`, or with a part of it, name it as the user wrote it.
    pub(super) fn spelled(&self, key: String, written: String) {
        self.spellings.borrow_mut().insert(key, written);
    }

    /// The key as the user wrote it.
    pub(super) fn spelling(&self, key: String) -> String {
        let spellings = self.spellings.borrow();
        let part = |known: &&String| {
            key.strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        match spellings.keys().filter(part).max_by_key(|known| known.len()) {
            Some(known) => format!("{}{}", spellings[known], &key[known.len()..]),
            None => key,
        }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line(&self, at: usize) -> Option<usize> {
        self.text.get(..at).map(|head| head.matches('\n').count() + 1)
    }

    /// What is only odd, or what is wrong.
    pub(super) fn into_result(self) -> Result<Vec<Problem>, Vec<Problem>> {
        let sorted = |list: RefCell<Vec<Problem>>| {
            let mut problems = list.into_inner();
            problems.sort_by_key(|p| p.line.unwrap_or(usize::MAX));
            problems
        };
        let problems = sorted(self.problems);
        if problems.is_empty() { Ok(sorted(self.warnings)) } else { Err(problems) }
    }
}
