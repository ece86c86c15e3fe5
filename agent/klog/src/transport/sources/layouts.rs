//! The beginnings of lines that were learnt.
use crate::transport::layout::{self, Layout};

/// Beginnings remembered.
const MAX_LAYOUTS: usize = 32;
/// A beginning is looked for in this many lines after the last that had it.
const NEIGHBOURS: u64 = 300;

/// Beginnings of lines, each of its source.
#[derive(Default)]
pub(super) struct Layouts {
    known: Vec<Learnt>,
}

struct Learnt {
    layout: Layout,
    /// The source that it was learnt of.
    key: String,
    /// The number of the last line with it.
    last: u64,
}

impl Layouts {
    /// Remembers what a line begins with.
    pub(super) fn learn(&mut self, head: &str, number: u64) {
        let Some(layout) = Layout::of(head) else { return };
        let key = layout::source(head);
        let same = |learnt: &&mut Learnt| learnt.key == key && learnt.layout.is_like(&layout);
        let known = self.known.iter_mut().find(same);
        if let Some(learnt) = known {
            learnt.layout.narrow(&layout);
            learnt.last = number;
            return;
        }
        if self.known.len() == MAX_LAYOUTS {
            self.known.remove(0);
        }
        self.known.push(Learnt { layout, key, last: number });
    }

    /// Where beginnings end that neighbours have too: of the same source, if that is known.
    pub(super) fn ends_near(&self, text: &str, number: u64) -> Vec<usize> {
        let mut keys: Vec<(usize, String)> = Vec::new();
        let mut ends: Vec<(usize, bool)> = Vec::new();
        for learnt in &self.known {
            if number.abs_diff(learnt.last) > NEIGHBOURS {
                continue;
            }
            let Some(end) = learnt.layout.end_in(text) else { continue };
            if !keys.iter().any(|(known, _)| *known == end) {
                keys.push((end, layout::source(&text[..end])));
            }
            let same = keys.iter().any(|(known, key)| *known == end && *key == learnt.key);
            // Another source may have more blanks there.
            let blanks = text[end..].len() - text[end..].trim_start().len();
            ends.push((if same { end } else { end + blanks }, same));
        }
        let known = ends.iter().any(|(_, same)| *same);
        let mut ends: Vec<usize> =
            ends.into_iter().filter(|(_, same)| *same || !known).map(|(end, _)| end).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}
