//! The beginnings of lines that were learnt.
use crate::transport::layout::{self, Layout};

/// Beginnings remembered.
const MAX_LAYOUTS: usize = 32;
/// A beginning is looked for in this many lines after the last that had it.
const NEIGHBOURS: u64 = 300;

/// So many lines with the same beginning leave no doubt.
const SURE: u32 = 4;

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
    /// How many lines had it.
    lines: u32,
}

impl Layouts {
    /// Remembers what a line begins with. Whether lines may be read in another way now.
    pub(super) fn learn(&mut self, head: &str, key: &str, number: u64) -> bool {
        let same = |learnt: &&mut Learnt| learnt.key == key && learnt.layout.is_of(head);
        if let Some(learnt) = self.known.iter_mut().find(same) {
            let narrower = learnt.layout.narrow(head);
            let was_far = number.abs_diff(learnt.last) > NEIGHBOURS;
            learnt.last = learnt.last.max(number);
            learnt.lines = learnt.lines.saturating_add(1);
            return narrower || was_far;
        }
        let Some(layout) = Layout::of(head) else { return false };
        if self.known.len() == MAX_LAYOUTS {
            self.known.remove(0);
        }
        self.known.push(Learnt { layout, key: key.to_owned(), last: number, lines: 1 });
        true
    }

    /// Where beginnings end that neighbours have too: of the same source, if that is known. And
    /// whether that is beyond doubt.
    pub(super) fn ends_near(&self, text: &str, number: u64) -> (Vec<usize>, bool) {
        let mut places: Vec<usize> = Vec::new();
        let mut ends: Vec<(usize, bool)> = Vec::new();
        let mut lines = 0;
        for learnt in &self.known {
            if number.abs_diff(learnt.last) > NEIGHBOURS {
                continue;
            }
            let Some(end) = learnt.layout.end_in(text) else { continue };
            if !places.contains(&end) {
                places.push(end);
            }
            let same = layout::is_of_source(&text[..end], &learnt.key);
            if same {
                lines = learnt.lines;
            }
            // Another source may have more blanks there.
            let blanks = text[end..].len() - text[end..].trim_start().len();
            ends.push((if same { end } else { end + blanks }, same));
        }
        let known = ends.iter().any(|(_, same)| *same);
        let sure = places.len() == 1 && known && lines >= SURE;
        let mut ends: Vec<usize> =
            ends.into_iter().filter(|(_, same)| *same || !known).map(|(end, _)| end).collect();
        ends.sort_unstable();
        ends.dedup();
        (ends, sure)
    }
}
