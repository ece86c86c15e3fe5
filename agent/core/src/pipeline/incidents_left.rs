//! How many incidents may still be reported.
use crate::model::incident::Incident;

/// Incidents outside creations that are reported between two ticks. Further ones are counted only, so
/// that they don't delay the reports of creations.
const MAX_INCIDENTS: u32 = 20;

/// How many incidents may be reported until the next tick. Failed allocations must not use up what there is for the
/// processes that were killed.
#[derive(PartialEq)]
pub(super) struct IncidentsLeft {
    with_kills: u32,
    others: u32,
}

impl IncidentsLeft {
    pub(super) const ALL: Self = Self { with_kills: MAX_INCIDENTS, others: MAX_INCIDENTS };

    /// How many more like this one.
    pub(super) fn of(&self, incident: &Incident) -> u32 {
        if incident.oom_kills.is_empty() { self.others } else { self.with_kills }
    }

    /// Takes one away. False if there is none.
    pub(super) fn take(&mut self, incident: &Incident) -> bool {
        let left =
            if incident.oom_kills.is_empty() { &mut self.others } else { &mut self.with_kills };
        let taken = *left != 0;
        *left = left.saturating_sub(1);
        taken
    }
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
