//! How many incidents may still be reported.
use crate::model::incident::Incident;

/// Incidents outside creations that are reported between two ticks. Further ones are counted only, so
/// that they don't delay the reports of creations.
const MAX_INCIDENTS: u32 = 20;

/// How many incidents may be reported until the next tick. Failed allocations must not use up what there is for the
/// processes that were killed.
#[derive(PartialEq)]
pub(super) struct IncidentsLeft([u32; 2]);

impl IncidentsLeft {
    pub(super) const ALL: Self = Self([MAX_INCIDENTS; 2]);

    /// How many more like this one.
    pub(super) fn of(&self, incident: &Incident) -> u32 {
        self.0[has_kills(incident)]
    }

    /// Takes one away. False if there is none.
    pub(super) fn take(&mut self, incident: &Incident) -> bool {
        let left = &mut self.0[has_kills(incident)];
        let taken = *left != 0;
        *left = left.saturating_sub(1);
        taken
    }
}

/// Which of the two numbers counts for an incident.
fn has_kills(incident: &Incident) -> usize {
    usize::from(!incident.oom_kills.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, model::event::OomKill};

    #[test]
    fn a_flood_of_failures_leaves_room_for_kills() {
        let mut left = IncidentsLeft::ALL;
        let failure = Incident { oom_kills: Vec::new(), ..fixtures::incident() };
        let kill = Incident { oom_kills: vec![OomKill::default()], ..fixtures::incident() };
        assert_eq!((0..100).filter(|_| left.take(&failure)).count(), MAX_INCIDENTS as usize);
        assert_eq!(left.of(&failure), 0);
        assert_eq!((0..100).filter(|_| left.take(&kill)).count(), MAX_INCIDENTS as usize);
    }
}
