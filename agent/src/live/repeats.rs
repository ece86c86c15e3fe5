//! Steps of creations that the kernel side only counted, because there were too many alike.
use std::{cmp::Reverse, collections::HashMap, time::Duration};

use anyhow::Context as _;
use aya::{
    Ebpf, Pod,
    maps::{self, MapData},
};
use fragwatch_core::model::repeats::Repeats;
use fragwatch_ebpf::{Account, DETAILS, Step, UNKNOWN_USER, map};

use crate::live::decode::text;

/// How often repeats are reported while they go on.
const PERIOD: Duration = Duration::from_mins(1);

/// Repeats that are reported at once; further ones are added up.
const MAX_AT_ONCE: usize = 5;

/// [`Account`], as a key of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(Account);

/// [`fragwatch_ebpf::Repeats`], as a value of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(fragwatch_ebpf::Repeats);

// SAFETY: both are made of numbers alone, without padding.
unsafe impl Pod for Key {}
// SAFETY: as above.
unsafe impl Pod for Value {}

/// The counts, and what was reported of them.
pub(super) struct CountedSteps {
    map: maps::HashMap<MapData, Key, Value>,
    reported: HashMap<Account, u64>,
    /// How many there were in all when they were last reported.
    total: u64,
    /// When that was, `CLOCK_MONOTONIC` in nanoseconds; 0 if never.
    at_ns: u64,
}

impl CountedSteps {
    /// Takes the map.
    pub(super) fn take(ebpf: &mut Ebpf) -> anyhow::Result<Self> {
        let map = ebpf.take_map(map::REPEATS).context("there is no such map")?;
        Ok(Self { map: map.try_into()?, reported: HashMap::new(), total: 0, at_ns: 0 })
    }

    /// What was counted since this was last asked. `total` is how many there are in all: the map is read only
    /// if that has grown, and no more often than once in [`PERIOD`], except for the last time.
    pub(super) fn read(&mut self, total: u64, now_ns: u64, last: bool) -> Vec<Repeats> {
        let elapsed = Duration::from_nanos(now_ns.saturating_sub(self.at_ns));
        if total == self.total || !last && self.at_ns != 0 && elapsed < PERIOD {
            return Vec::new();
        }
        (self.total, self.at_ns) = (total, now_ns);
        let mut counts = HashMap::new();
        let mut new = Vec::new();
        for element in &self.map {
            // One that was replaced meanwhile ends the walk: the next one finds the others.
            let Ok((Key(account), Value(repeats))) = element else { break };
            if account.step == DETAILS || repeats.omitted == 0 {
                continue;
            }
            counts.insert(account, repeats.omitted);
            let before = self.reported.get(&account).copied().unwrap_or(0);
            // An element that was evicted counts from 0 again.
            let count = repeats.omitted.checked_sub(before).unwrap_or(repeats.omitted);
            if count != 0 {
                new.push(of(account, &repeats, count));
            }
        }
        self.reported = counts;
        most_frequent(new)
    }
}

fn of(account: Account, repeats: &fragwatch_ebpf::Repeats, count: u64) -> Repeats {
    Repeats {
        step: Step::from_number(account.step).into(),
        errno: (account.errno < 0).then(|| account.errno.saturating_neg()),
        user: (account.user != UNKNOWN_USER).then_some(account.user),
        count,
        last_ns: repeats.last_ns,
        cgroup_id: repeats.cgroup_id,
        pid: repeats.tgid,
        comm: text(&repeats.comm),
    }
}

/// The most frequent first. The rest is added to the last that is kept of its step and error, else to the last
/// of all.
fn most_frequent(mut all: Vec<Repeats>) -> Vec<Repeats> {
    all.sort_by_key(|one| (Reverse(one.count), one.last_ns, one.pid));
    let rest = all.split_off(all.len().min(MAX_AT_ONCE));
    for one in rest {
        let alike = all.iter().rposition(|kept| kept.step == one.step && kept.errno == one.errno);
        match alike {
            Some(at) => {
                all[at].count = all[at].count.saturating_add(one.count);
                all[at].user = all[at].user.filter(|user| Some(*user) == one.user);
            }
            // There are no more of these than steps and errors.
            None => all.push(one),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use fragwatch_core::model::repeats::CountedStep;

    use super::*;

    fn repeats(user: u32, errno: i32, count: u64) -> Repeats {
        Repeats {
            step: CountedStep::Namespaces,
            errno: Some(errno),
            user: Some(user),
            count,
            last_ns: 1,
            cgroup_id: 7,
            pid: user,
            comm: "unshare".to_owned(),
        }
    }

    #[test]
    fn many_users_are_a_few_lines_and_none_is_left_out() {
        let mut all: Vec<Repeats> = (0..40).map(|user| repeats(user, 28, 10)).collect();
        all.push(repeats(99, 12, 1));
        let reported = most_frequent(all);
        assert_eq!(reported.len(), MAX_AT_ONCE + 1);
        assert_eq!(reported.iter().map(|one| one.count).sum::<u64>(), 401);
        assert_eq!(reported[0].user, Some(0));
        let shared = reported.iter().find(|one| one.user.is_none()).expect("the rest of them");
        assert_eq!((shared.count, shared.errno), (360, Some(28)));
        assert_eq!(reported.last().map(|one| (one.user, one.count)), Some((Some(99), 1)));
    }

    #[test]
    fn an_account_is_decoded() {
        let account = Account { user: u32::MAX, step: 1, errno: -12, reserved: 0, cgroup: 4 };
        let counted = fragwatch_ebpf::Repeats {
            since_ns: 1,
            count: 9,
            omitted: 4,
            last_ns: 5,
            cgroup_id: 6,
            tgid: 7,
            reserved: 0,
            comm: *b"a\nb\x1b[2J\xff\0\0\0\0\0\0\0\0",
        };
        let one = of(account, &counted, 3);
        assert_eq!((one.step, one.errno, one.user), (CountedStep::Cgroup, Some(12), None));
        assert_eq!((one.count, one.pid, one.comm.as_str()), (3, 7, "a\nb\u{1b}[2J\u{fffd}"));
    }
}
