//! Which events and pictures have to go. Pure: what is on the disk and the time are arguments; the doing is in `prune`.

use std::time::Duration;

use crate::config;
use crate::model::{EventId, UtcMillis};

/// An event that might go, oldest first in every list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OldEvent {
    pub(super) id: EventId,
    pub(super) recorded_at: UtcMillis,
    /// A message about it is still to be sent.
    pub(super) live: bool,
    pub(super) picture_bytes: u64,
    /// The picture is of a face.
    pub(super) face: bool,
}

/// What to do about a piece of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) remove: Vec<EventId>,
    /// Whether what comes after the piece may have to go, too.
    pub(super) go_on: bool,
}

/// Events go by age, and by size while the database holds `used_bytes`; never one with a message still to be sent.
pub(super) fn events(piece: &[OldEvent], limits: &config::Store, used_bytes: u64, now: UtcMillis) -> Cut {
    let too_big = used_bytes > limits.max_database_bytes;
    let goes = |event: &OldEvent| too_big || is_older(event, limits.keep, now);
    let remove = piece.iter().filter(|event| goes(event) && !event.live).map(|event| event.id).collect();
    Cut { remove, go_on: piece.last().is_some_and(goes) }
}

/// Pictures go by age, those of faces earlier if that is wanted, and by size while there are `total_bytes` of them; never for their
/// size while a message about their event is still to be sent, because its body must not change between two attempts. How many of
/// these there can be is up to the queue, and to the room that new pictures leave on the disk. (An alert is an event of its own: its
/// messages do not hold the picture that it shows.)
pub(super) fn pictures(piece: &[OldEvent], limits: &config::Store, total_bytes: u64, now: UtcMillis) -> Cut {
    let shortest = limits.pictures_keep.min(limits.face_pictures_keep);
    let mut left = total_bytes;
    let mut remove = Vec::new();
    for event in piece {
        let keep = if event.face { shortest } else { limits.pictures_keep };
        let too_many = left > limits.max_pictures_bytes && !event.live;
        let goes = too_many || is_older(event, keep, now);
        if goes && event.picture_bytes > 0 {
            left = left.saturating_sub(event.picture_bytes);
            remove.push(event.id);
        }
    }
    let old_to_the_end = piece.last().is_some_and(|event| is_older(event, shortest, now));
    let go_on = !piece.is_empty() && (left > limits.max_pictures_bytes || old_to_the_end);
    Cut { remove, go_on }
}

fn is_older(event: &OldEvent, keep: Duration, now: UtcMillis) -> bool {
    now.since(event.recorded_at) > keep
}

/// Free pages to give back to the file system. Moving pages wears the card, so what new events will fill again soon (an eighth
/// of the file) stays.
pub(super) fn pages_to_give_back(pages: u64, free_pages: u64) -> u64 {
    const PIECE: u64 = 256;
    let spare = (pages / 8).max(PIECE);
    free_pages.saturating_sub(spare).min(PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: UtcMillis = UtcMillis(1_795_326_246_007);

    fn limits() -> config::Store {
        config::Store {
            keep: 30 * DAY,
            max_database_bytes: 1000,
            pictures_keep: 14 * DAY,
            face_pictures_keep: 7 * DAY,
            strangers_keep: 30 * DAY,
            max_pictures_bytes: 100,
            min_free_bytes: 0,
            durability: config::Durability::Strict,
            queue: config::QueueLimits {
                max_rows: 10,
                max_bytes: 10_000,
                when_full: config::QueueFull::Reject,
            },
        }
    }

    fn event(days_old: u32, live: bool) -> OldEvent {
        let recorded_at = UtcMillis(NOW.0 - i64::from(days_old) * 86_400_000);
        OldEvent { id: EventId::new(recorded_at), recorded_at, live, picture_bytes: 60, face: false }
    }

    #[test]
    fn old_events_go_unless_a_message_about_them_waits() {
        let piece = [event(40, false), event(35, true), event(20, false)];
        let cut = events(&piece, &limits(), 0, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[0].id], go_on: false });
    }

    #[test]
    fn a_database_that_is_too_big_loses_its_oldest_events() {
        let piece = [event(2, true), event(1, false)];
        let cut = events(&piece, &limits(), 1001, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[1].id], go_on: true });
        assert_eq!(events(&piece, &limits(), 1000, NOW), Cut { remove: vec![], go_on: false });
        assert_eq!(events(&[], &limits(), 1001, NOW), Cut { remove: vec![], go_on: false });
    }

    #[test]
    fn pictures_go_by_size_until_the_rest_fits() {
        let piece = [event(3, false), event(2, false), event(1, false)];
        let cut = pictures(&piece, &limits(), 200, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[0].id, piece[1].id], go_on: false });
        assert!(pictures(&piece, &limits(), 1000, NOW).go_on);
    }

    #[test]
    fn a_picture_that_a_message_waits_to_show_goes_by_age_only() {
        let piece = [event(15, true), event(3, true), event(2, false)];
        let cut = pictures(&piece, &limits(), 1000, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[0].id, piece[2].id], go_on: true });
    }

    #[test]
    fn pictures_go_by_age() {
        let piece = [event(20, false), event(13, false), event(5, false)];
        let cut = pictures(&piece, &limits(), 60, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[0].id], go_on: false });
    }

    #[test]
    fn pictures_of_faces_go_earlier() {
        let face = |days_old| OldEvent { face: true, ..event(days_old, false) };
        let piece = [face(10), event(9, false), face(8), face(6)];
        let cut = pictures(&piece, &limits(), 60, NOW);
        assert_eq!(cut, Cut { remove: vec![piece[0].id, piece[2].id], go_on: false });
        assert!(
            pictures(&piece[..3], &limits(), 60, NOW).go_on,
            "the next one may be a face of that age, too"
        );
    }

    #[test]
    fn a_clock_that_jumped_back_removes_nothing() {
        let piece = [event(0, false)];
        let before = UtcMillis(0);
        assert!(events(&piece, &limits(), 0, before).remove.is_empty());
    }

    #[test]
    fn space_is_given_back_only_when_much_is_free() {
        assert_eq!(pages_to_give_back(10_000, 1000), 0);
        assert_eq!(pages_to_give_back(10_000, 1300), 50);
        assert_eq!(pages_to_give_back(10_000, 9000), 256);
        assert_eq!(pages_to_give_back(100, 90), 0);
    }
}
