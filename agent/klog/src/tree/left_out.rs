//! Counts what is left out of a tree.
use std::collections::BTreeMap;

use fragwatch_core::model::left_out::LeftOut;

/// Files that were left out: for each reason how many, and the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOutCounts {
    counts: BTreeMap<LeftOut, (u64, String)>,
}

impl LeftOutCounts {
    /// Counts a file.
    pub fn add(&mut self, reason: LeftOut, name: &str) {
        let (count, _) = self.counts.entry(reason).or_insert_with(|| (0, name.to_owned()));
        *count += 1;
    }

    /// Adds those of another tree.
    pub fn merge(&mut self, other: &Self) {
        for (&reason, (more, first)) in &other.counts {
            let (count, _) = self.counts.entry(reason).or_insert_with(|| (0, first.clone()));
            *count += more;
        }
    }

    /// Each reason with how many there are and the name of the first.
    pub fn iter(&self) -> impl Iterator<Item = (LeftOut, u64, &str)> {
        self.counts.iter().map(|(&reason, (count, first))| (reason, *count, first.as_str()))
    }

    /// How many of them may have been logs.
    pub fn unread(&self) -> u64 {
        self.iter().filter(|(reason, ..)| reason.may_be_a_log()).map(|(_, count, _)| count).sum()
    }
}
