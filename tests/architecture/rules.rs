//! The rules, and the checker of one source file.

use std::path::Path;

use crate::tokens::{Token, tokens};

/// About a screen's worth of one responsibility; a file that outgrows it is two.
const MAX_LINES: usize = 400;
/// Files that may be longer, each with its reason.
const LONGER: [(&str, &str); 0] = [];

const STAGES: [&str; 8] = ["capture", "decode", "motion", "detect", "track", "recognise", "events", "rules"];

/// Whom a module may import. `None`: the module is unknown.
fn may_import(module: &str) -> Option<&'static [&'static str]> {
    let modules: &[&str] = match module {
        // `http` is a client of a library, set up once.
        "lib" | "model" | "http" => &[],
        "config" | "telemetry" | "pixels" => &["model"],
        // Finds cameras before there is a pipeline.
        "discover" => &["model", "config", "http"],
        // Networks are fed pictures.
        "inference" => &["model", "config", "telemetry", "pixels"],
        "store" => &["model", "config", "telemetry"],
        // Between decode and those who watch, neither of which may know the other.
        "live" => &["model", "pixels"],
        stage if STAGES.contains(&stage) => &["model", "config", "telemetry", "pixels", "inference"],
        "delivery" | "mqtt" | "web" => &["model", "config", "telemetry", "store", "pixels"],
        // Rules decide, the store commits: the only place where the two meet.
        "publish" => &["model", "config", "telemetry", "rules", "store"],
        // Where the file, the store, the rules and delivery meet about one thing: the set of webhooks.
        "webhooks" => &["model", "config", "telemetry", "store", "publish", "delivery", "rules"],
        "api" => &[
            "model",
            "config",
            "telemetry",
            "store",
            "pixels",
            "live",
            "publish",
            "delivery",
            "webhooks",
            "web",
        ],
        // The only one that sees two stages.
        "app" => &[
            "model",
            "config",
            "telemetry",
            "pixels",
            "inference",
            "live",
            "store",
            "http",
            "publish",
            "delivery",
            "webhooks",
            "mqtt",
            "web",
            "api",
            "capture",
            "decode",
            "motion",
            "detect",
            "track",
            "recognise",
            "events",
            "rules",
        ],
        "cli" => &["app", "discover", "config", "model", "telemetry", "inference", "pixels", "store"],
        "main" => &["cli"],
        _ => return None,
    };
    Some(modules)
}

/// What is wrong with a file: `src/track/mod.rs:12: …`. `path` is relative to the project, `src/…`.
pub(crate) fn check(path: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let modules = module_path(path);
    let module = modules.first().map_or("lib", |name| *name);
    if !source.trim_start().starts_with("//!") {
        problems.push(format!(
            "{path}:1: begins without `//!`: what this is, why, and what does not belong here"
        ));
    }
    let lines = source.lines().count();
    if lines > MAX_LINES && !LONGER.iter().any(|(file, _)| *file == path) {
        problems
            .push(format!("{path}:{lines}: has more than {MAX_LINES} lines: two responsibilities? split it"));
    }

    let tokens = tokens(source);
    match may_import(module) {
        None => problems.push(format!(
            "{path}:1: the module `{module}` is not in the table of {}; add it and whom it may import",
            file!()
        )),
        Some(allowed) => {
            for Token { text, line } in imports(&tokens, modules.len()) {
                if text != module && !allowed.contains(&text) {
                    problems.push(format!(
                        "{path}:{line}: `{module}` imports `{text}`; {}",
                        advice(module, text)
                    ));
                }
            }
        }
    }
    problems.extend(unbounded_queues(&tokens).map(|line| {
        format!("{path}:{line}: a queue without a bound; use one with, and say what happens when it is full")
    }));
    problems
}

fn advice(module: &str, imported: &str) -> &'static str {
    if imported == "*" {
        return "name what is imported";
    }
    match (STAGES.contains(&module), imported) {
        (true, other) if STAGES.contains(&other) => {
            "stages never import each other: what they share belongs to `model`, what joins them to `app`"
        }
        (true, _) => "a stage sees only model, config, telemetry, pixels and inference",
        (false, other) if STAGES.contains(&other) => "only `app` sees stages",
        (false, _) => "modules import only what is below them (table in tests/architecture/rules.rs)",
    }
}

/// `src/track/mod.rs` -> [track]; `src/track/object.rs` -> [track, object]; `src/lib.rs` -> [].
fn module_path(path: &str) -> Vec<&str> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let mut names: Vec<&str> = Path::new(inner).iter().filter_map(|name| name.to_str()).collect();
    if matches!(names.last(), Some(&"mod" | &"lib")) {
        names.pop();
    }
    names
}

/// The top-level modules named by `crate::a`, `crate::{a, b}`, `porchlight::a`, and by `super::` that climbs to the root
/// from a file that is `depth` modules deep.
fn imports<'s>(tokens: &[Token<'s>], depth: usize) -> Vec<Token<'s>> {
    let mut found = Vec::new();
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let colons = |at: usize| is(at, ":") && is(at + 1, ":");
    // The brace depths at which inline modules (`mod tests {`) are open: each is one step more to the root.
    let (mut braces, mut inline) = (0_usize, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        // Only the first segment of a path: not the `crate` of `other::crate`.
        let first_segment = !(at >= 2 && colons(at - 2));
        match token.text {
            "{" => {
                braces += 1;
                if at >= 2 && is(at - 2, "mod") {
                    inline.push(braces);
                }
            }
            "}" => {
                inline.pop_if(|open| *open == braces);
                braces = braces.saturating_sub(1);
            }
            "crate" | "porchlight" if first_segment && colons(at + 1) => {
                found.extend(first_names(tokens, at + 3));
            }
            "super" if first_segment => {
                let steps = (0..).take_while(|step| is(at + 3 * step, "super")).count();
                let after = at + 3 * steps;
                if steps == depth + inline.len() && colons(after - 2) {
                    found.extend(first_names(tokens, after));
                }
            }
            _ => {}
        }
    }
    found
}

/// The name at `at`, or the first name of each branch if a group `{a, b::{c, d}}` begins there.
fn first_names<'s>(tokens: &[Token<'s>], at: usize) -> Vec<Token<'s>> {
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![*first];
    }
    let (mut names, mut depth, mut expected) = (Vec::new(), 0_usize, false);
    for token in &tokens[at..] {
        match token.text {
            "{" => {
                depth += 1;
                expected = depth == 1;
            }
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 => expected = true,
            _ if expected => {
                names.push(*token);
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// The lines of std's `mpsc::channel`, which takes no bound, and of everything called unbounded.
fn unbounded_queues(tokens: &[Token<'_>]) -> impl Iterator<Item = usize> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let is_unbounded = |at: usize| match text(at) {
        "unbounded_channel" | "unbounded" => true,
        // Tokio's has the same name and takes a bound, so the one with nothing in its brackets is std's.
        "channel" => {
            let of_mpsc = at >= 3 && text(at - 3) == "mpsc";
            let call = after_turbofish(tokens, at + 1);
            of_mpsc && text(call) == "(" && text(call + 1) == ")"
        }
        // `use std::sync::mpsc::channel` and `use std::sync::mpsc::{channel, …}`.
        "mpsc" if at >= 6 && text(at - 3) == "sync" && text(at - 6) == "std" && text(at + 1) == ":" => {
            let call = after_turbofish(tokens, at + 4);
            first_names(tokens, at + 3).iter().any(|name| name.text == "channel") && text(call) != "("
        }
        _ => false,
    };
    let lines: Vec<usize> =
        tokens.iter().enumerate().filter(|(at, _)| is_unbounded(*at)).map(|(_, token)| token.line).collect();
    lines.into_iter()
}

/// Where the tokens go on after `::<…>`, if it begins at `at`.
fn after_turbofish(tokens: &[Token<'_>], at: usize) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    if (text(at), text(at + 1), text(at + 2)) != (":", ":", "<") {
        return at;
    }
    let (mut depth, mut end) = (0_usize, at + 2);
    while end < tokens.len() {
        match text(end) {
            "<" => depth += 1,
            ">" if depth == 1 => return end + 1,
            ">" => depth -= 1,
            _ => {}
        }
        end += 1;
    }
    end
}
