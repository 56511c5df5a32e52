//! Failed logins, by address: how many in the last minute, and which of them are worth a word.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// Of one address in a window; further ones are not even told that they are wrong.
pub(super) const LIMIT: u32 = 10;
/// Addresses that are told apart. The failures of all others count as one's.
const MAX_ADDRESSES: usize = 1024;
/// Told in a window at most, by however many addresses: nobody fills disks and telephones by being refused.
const MAX_TOLD: u32 = 10;

/// What has failed lately.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_address: HashMap<IpAddr, Window>,
    told: Option<Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    count: u32,
}

/// What one more failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    First,
    Counted,
    LimitReached(u32),
    Limited { retry_after_s: u64 },
}

impl Failures {
    /// Counts a failure; also says whether there is still room to tell somebody.
    pub(super) fn note(&mut self, address: IpAddr, now: Instant) -> (Notice, bool) {
        let key = self.key(address, now);
        let window = self.by_address.entry(key).or_insert(Window { began: now, count: 0 });
        window.add_one(now);
        let (count, left) = (window.count, WINDOW.saturating_sub(now.duration_since(window.began)));
        let notice = match count {
            1 => Notice::First,
            LIMIT => Notice::LimitReached(count),
            count if count < LIMIT => Notice::Counted,
            _ => Notice::Limited { retry_after_s: left.as_secs().max(1) },
        };
        let tell = match notice {
            Notice::First | Notice::LimitReached(_) => {
                let told = self.told.get_or_insert(Window { began: now, count: 0 });
                told.add_one(now);
                told.count <= MAX_TOLD
            }
            Notice::Counted | Notice::Limited { .. } => false,
        };
        (notice, tell)
    }

    /// Whoever has one IPv6 address has 2^64 of them.
    fn key(&mut self, address: IpAddr, now: Instant) -> IpAddr {
        let key = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        };
        if self.by_address.len() >= MAX_ADDRESSES && !self.by_address.contains_key(&key) {
            self.by_address.retain(|_, window| now.duration_since(window.began) < WINDOW);
            if self.by_address.len() >= MAX_ADDRESSES {
                return Ipv6Addr::UNSPECIFIED.into();
            }
        }
        key
    }
}

impl Window {
    fn add_one(&mut self, now: Instant) {
        if now.duration_since(self.began) >= WINDOW {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_failure_are_told_and_a_minute_later_all_is_forgotten() {
        let (mut failures, began) = (Failures::default(), Instant::now());
        let v6 = |text: &str| IpAddr::V6(text.parse().expect("an address"));
        let notices: Vec<_> = (0..12).map(|_| failures.note(v6("fd00::1"), began).0).collect();
        assert_eq!(notices[0], Notice::First);
        assert!(notices[1..9].iter().all(|notice| *notice == Notice::Counted));
        assert_eq!(notices[9], Notice::LimitReached(10));
        assert_eq!(notices[10..], [Notice::Limited { retry_after_s: 60 }; 2]);
        assert_eq!(
            failures.note(v6("fd00::2"), began).0,
            Notice::Limited { retry_after_s: 60 },
            "one network"
        );
        assert_eq!(failures.note(v6("fd00:0:0:1::1"), began).0, Notice::First);
        assert_eq!(failures.note(v6("fd00::1"), began + WINDOW).0, Notice::First);
    }

    #[test]
    fn many_addresses_cost_no_more_than_a_table_and_ten_words() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let told = (0..5000_u32).filter(|&n| failures.note(IpAddr::V4(n.into()), now).1).count();
        assert_eq!(told, 10);
        assert!(failures.by_address.len() <= MAX_ADDRESSES + 1);
    }
}
