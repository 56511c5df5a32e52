//! When a request is tried again: presets, lists of pauses, growing pauses, all brought to one list.

use std::time::Duration;

use super::super::section::Section;
use super::super::value::FromToml as _;
use super::{RetryConfig, RetryOn};

/// Pauses in seconds, and how they go on when more requests are asked for: the factor from one to the next.
const PRESETS: [(&str, &[f64], f64); 5] = [
    ("argus", &[60.0, 300.0, 900.0], 1.0),
    ("webnet", &[60.0, 120.0, 240.0], 2.0),
    ("facecv", &[1.0, 2.0], 2.0),
    ("tagorun", &[1.0, 2.0], 2.0),
    ("standard", &[5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0], 1.0),
];

/// The longest pause.
const WEEK_S: f64 = 604_800.0;
/// Of one message.
const MAX_REQUESTS: u64 = 51;
/// Of growing pauses, unless set.
const REQUESTS: u32 = 4;
/// The pause at which growing pauses stop growing, unless set.
const MAX_PAUSE_S: f64 = 14_400.0;

pub(super) fn retry(section: Section<'_>) -> RetryConfig {
    let max_attempts = section.has("max_attempts").then(|| section.whole("max_attempts", 1..=MAX_REQUESTS));
    let schedule = match section.first_of(&["schedule", "backoff", "preset"]) {
        Some("schedule") => list(&section),
        Some("backoff") => Some(growing(section.section("backoff"), max_attempts)),
        Some("preset") => {
            let presets = PRESETS.map(|(name, pauses, factor)| (name, (pauses, factor)));
            let (pauses, factor) = section.choice("preset", &presets);
            let last = pauses.last().copied().unwrap_or_default();
            let more = std::iter::successors(Some(last * factor), |pause| Some(pause * factor));
            let count = max_attempts.map_or(pauses.len(), |requests: u32| requests as usize - 1);
            let pauses = pauses.iter().copied().chain(more).take(count);
            Some(pauses.map(|pause| Duration::from_secs_f64(pause.min(WEEK_S))).collect())
        }
        _ => None,
    };
    let listened_to = section.required::<bool>("respect_retry_after");
    let retry_after_max = section.seconds("retry_after_max", 1.0..=WEEK_S);
    let max_age = section.seconds("max_age", 0.0..=365.0 * 86_400.0);
    let retry = RetryConfig {
        schedule,
        max_attempts,
        jitter: section.number("jitter", 0.0..=1.0),
        on: on(&section),
        retry_after_max: listened_to.then_some(retry_after_max),
        max_age: (!max_age.is_zero()).then_some(max_age),
    };
    section.finish();
    retry
}

fn list(section: &Section<'_>) -> Option<Vec<Duration>> {
    let schedule: Vec<f64> = section.optional("schedule")?;
    if schedule.len() > 50 || schedule.iter().any(|pause| !(0.0..=WEEK_S).contains(pause)) {
        section.wrong("schedule", "must be at most 50 pauses of 0 to 604800 seconds");
        return None;
    }
    Some(schedule.into_iter().map(Duration::from_secs_f64).collect())
}

/// `initial`, then each pause `factor` times the one before, none longer than `max`.
fn growing(section: Section<'_>, max_attempts: Option<u32>) -> Vec<Duration> {
    let initial = section.number("initial", 0.0..=WEEK_S);
    let number = |key, default, range: std::ops::RangeInclusive<f64>| match section.has(key) {
        true => section.number(key, range),
        false => default,
    };
    let factor = number("factor", 2.0, 1.0..=10.0);
    let max = number("max", MAX_PAUSE_S, 0.0..=WEEK_S);
    section.finish();
    let pauses = std::iter::successors(Some(initial), |pause| Some((pause * factor).min(WEEK_S)));
    let count = max_attempts.unwrap_or(REQUESTS) as usize - 1;
    pauses.take(count).map(|pause| Duration::from_secs_f64(pause.min(max))).collect()
}

fn on(section: &Section<'_>) -> RetryOn {
    let Some(value) = section.find("on") else { return RetryOn::Default };
    let codes = value.as_array().is_some().then(|| section.optional::<Vec<u64>>("on")).flatten();
    match (value.as_str(), codes) {
        (Some("default"), _) => RetryOn::Default,
        (Some("all"), _) => RetryOn::All,
        (Some("none"), _) => RetryOn::None,
        (_, Some(codes)) => {
            let status = |code: &u64| u16::try_from(*code).ok().filter(|code| (300..=599).contains(code));
            let known: Option<Vec<u16>> = codes.iter().map(status).collect();
            known.map_or_else(
                || {
                    section.wrong("on", "must be HTTP statuses from 300 to 599");
                    RetryOn::Default
                },
                RetryOn::Codes,
            )
        }
        (_, None) => {
            let message = format!("must be default, all, none, or {}", Vec::<u64>::wanted());
            section.wrong("on", message);
            RetryOn::Default
        }
    }
}
