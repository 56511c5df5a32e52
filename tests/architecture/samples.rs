//! Sources that break a rule on purpose, and some that look as if.

use crate::rules::check;

/// The problems of a file that begins with `//!`, without the path.
fn problems(path: &str, source: &str) -> Vec<String> {
    let strip = |problem: String| problem.strip_prefix(path).unwrap_or(&problem).to_owned();
    check(path, &format!("//! What it is.\n{source}")).into_iter().map(strip).collect()
}

#[track_caller]
fn refused(path: &str, source: &str, expected: &[&str]) {
    let found = problems(path, source);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, start) in found.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem} does not begin with {start}");
    }
}

#[track_caller]
fn accepted(path: &str, source: &str) {
    assert_eq!(problems(path, source), Vec::<String>::new());
}

#[test]
fn a_stage_imports_no_stage_and_no_store() {
    refused(
        "src/track/object.rs",
        "use crate::detect::Nms;",
        &[":2: `track` imports `detect`; stages never"],
    );
    refused("src/track/mod.rs", "use crate::store::Store;", &[":2: `track` imports `store`; a stage sees"]);
    accepted("src/track/mod.rs", "use crate::{config, model::Rect, pixels, inference, telemetry, track};");
}

#[test]
fn lower_modules_import_no_higher_ones() {
    refused("src/model/event.rs", "use crate::config::Config;", &[":2: `model` imports `config`"]);
    refused("src/store/mod.rs", "use crate::delivery::Format;", &[":2: `store` imports `delivery`"]);
    refused(
        "src/delivery/mod.rs",
        "use crate::rules::Rules;",
        &[":2: `delivery` imports `rules`; only `app`"],
    );
    refused("src/app/run.rs", "use crate::cli::main;", &[":2: `app` imports `cli`"]);
    refused("src/lib.rs", "use crate::model::Rect;", &[":2: `lib` imports `model`"]);
    accepted("src/app/run.rs", "use crate::{api, capture, detect::Nms, store::{Reader, Store}};");
    accepted("src/api/mod.rs", "use crate::{delivery, web};");
}

#[test]
fn main_sees_the_command_line_only() {
    accepted("src/main.rs", "fn main() { porchlight::cli::main() }");
    refused("src/main.rs", "use porchlight::app::run;", &[":2: `main` imports `app`"]);
}

#[test]
fn groups_are_looked_into_and_only_their_first_names_count() {
    let group =
        "use crate::{\n    model::{events, rules},\n    store::{self, Reader},\n    api as web_api,\n};";
    refused("src/track/mod.rs", group, &[":4: `track` imports `store`", ":5: `track` imports `api`"]);
}

#[test]
fn paths_in_the_middle_of_code_are_found() {
    let code = "fn f() -> crate :: store::Id { let x: Vec<crate::api::A> = crate::model::f(); }";
    refused("src/rules/mod.rs", code, &[":2: `rules` imports `store`", ":2: `rules` imports `api`"]);
}

#[test]
fn the_way_over_super_is_found() {
    refused("src/track/mod.rs", "use super::detect::Nms;", &[":2: `track` imports `detect`"]);
    refused("src/track/object.rs", "use super::super::detect::Nms;", &[":2: `track` imports `detect`"]);
    let tests = "mod tests {\n    use super::super::detect::Nms;\n}\nuse super::detect::Nms;";
    refused("src/track/mod.rs", tests, &[":3: `track` imports `detect`", ":5: `track` imports `detect`"]);
    accepted("src/track/object.rs", "use super::detect::Nms; mod tests { use super::super::detect::Nms; }");
}

#[test]
fn everything_from_the_root_is_refused() {
    refused("src/track/mod.rs", "use crate::*;", &[":2: `track` imports `*`; name what is imported"]);
}

#[test]
fn comments_and_texts_import_nothing() {
    accepted(
        "src/track/mod.rs",
        "// use crate::store;\n/// [`crate::detect`]\nconst A: &str = \"crate::api\";",
    );
}

#[test]
fn a_module_that_nobody_thought_of_is_refused() {
    refused("src/extra/mod.rs", "", &[":1: the module `extra` is not in the table"]);
}

#[test]
fn a_file_says_what_it_is() {
    let found = check("src/track/mod.rs", "use std::fmt;\n//! Too late.\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/track/mod.rs:1: begins without `//!`"), "{found:?}");
}

#[test]
fn a_file_stays_small() {
    accepted("src/track/mod.rs", &"// line\n".repeat(399));
    refused("src/track/mod.rs", &"// line\n".repeat(400), &[":401: has more than 400 lines"]);
}

#[test]
fn queues_have_bounds() {
    let unbounded = [
        "fn f() { let (a, b) = std::sync::mpsc::channel(); }",
        "fn f() { let (a, b) = mpsc::channel(); }",
        "fn f() { let (a, b) = mpsc::channel::<Vec<u8>>(); }",
        "use std::sync::mpsc::channel;",
        "use std::sync::mpsc::{Receiver, channel};",
        "fn f() { let (a, b) = tokio::sync::mpsc::unbounded_channel(); }",
        "use futures::channel::mpsc::unbounded;",
    ];
    for source in unbounded {
        refused("src/track/mod.rs", source, &[":2: a queue without a bound"]);
    }
    let bounded = [
        "fn f() { let (a, b) = tokio::sync::mpsc::channel(8); }",
        "fn f() { let (a, b) = mpsc::channel::<Vec<u8>>(8); }",
        "fn f() { let (a, b) = mpsc::sync_channel(8); }",
        "fn f() { let (a, b) = oneshot::channel(); }",
        "use std::sync::mpsc::{Receiver, SyncSender};",
        "use tokio::sync::mpsc::channel;",
    ];
    for source in bounded {
        accepted("src/track/mod.rs", source);
    }
}
