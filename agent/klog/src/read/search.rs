//! Looks for triggers, fast: for four bytes of each that are rare in logs, and for the phrase around
//! them where they stand.
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Span, packed};

use crate::read::trigger::TRIGGERS;

/// Every trigger holds one of these. What vector instructions look for in one pass is the faster the
/// fewer these are and the rarer in logs.
const ANCHORS: &[&str] = &[
    "lloc", "to s", "nsha", "t of", "oces", "om-k", "xc_s", "sion", "r: c", "wuid", "clon", "rErr",
    "Sand", "labl", "nfo:", "lab ", "m_ca", "te f", "te c", "e sh", "ng c", "OS t", "x_us", "ft o",
    "un c", "un f", "me e", "rk r", "ld's", "ung_", "M: t", "n fa", "up/m", "m da",
];

static SEARCH: LazyLock<Search> = LazyLock::new(Search::new);

/// Looks for any trigger.
pub(crate) enum Search {
    /// With vector instructions.
    Anchors {
        searcher: packed::Searcher,
        /// For each anchor the triggers that hold it, and where.
        triggers: Vec<Vec<(&'static [u8], usize)>>,
    },
    /// On CPUs that have none.
    Automaton(AhoCorasick),
}

impl Search {
    /// The one for all logs.
    pub(crate) fn get() -> &'static Self {
        &SEARCH
    }

    fn new() -> Self {
        let around = |anchor: &&str| {
            let found = TRIGGERS.iter().filter_map(|t| Some((t.as_bytes(), t.find(*anchor)?)));
            found.collect()
        };
        match packed::Searcher::new(ANCHORS) {
            Some(searcher) => {
                Self::Anchors { searcher, triggers: ANCHORS.iter().map(around).collect() }
            }
            #[expect(clippy::expect_used, reason = "a handful of short constants")]
            None => Self::Automaton(AhoCorasick::new(TRIGGERS).expect("it is small enough")),
        }
    }

    /// Where a trigger stands, from a place on. Lines before its line hold none; its line may hold
    /// others before it.
    pub(crate) fn find(&self, bytes: &[u8], mut at: usize) -> Option<usize> {
        let (searcher, triggers) = match self {
            Self::Anchors { searcher, triggers } => (searcher, triggers),
            Self::Automaton(automaton) => {
                return Some(at + automaton.find(&bytes[at..])?.start());
            }
        };
        loop {
            let anchor = searcher.find_in(bytes, Span { start: at, end: bytes.len() })?;
            let trigger =
                triggers[anchor.pattern().as_usize()].iter().find_map(|(trigger, place)| {
                    let start = anchor.start().checked_sub(*place)?;
                    bytes[start..].starts_with(trigger).then_some(start)
                });
            if trigger.is_some() {
                return trigger;
            }
            // Another may begin within this one.
            at = anchor.start() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_is_found() {
        let search = Search::new();
        for trigger in TRIGGERS {
            let anchor = ANCHORS.iter().any(|anchor| trigger.contains(anchor));
            assert!(anchor, "{trigger}: none of the anchors is in it; add four bytes of it");
            assert_eq!(search.find(trigger.as_bytes(), 0), Some(0), "{trigger}");
            let line = format!("{}a {trigger} b", &trigger[..trigger.len() - 1]);
            let found = search.find(line.as_bytes(), 0).expect("it is there");
            assert!(TRIGGERS.iter().any(|t| line[found..].starts_with(t)), "{line}");
        }
        assert_eq!(search.find(b"nothing of that kind", 0), None);
        assert_eq!(search.find(b"", 0), None);
    }
}
