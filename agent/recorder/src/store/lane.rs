//! The lanes.

/// A part of the store with a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Entries of what failed, a second time, and triggers.
    Incidents,
    /// Every entry but samples.
    Creations,
    /// Samples.
    Samples,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Incidents, Self::Creations, Self::Samples];

    /// Its directory's name, and its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Creations => "creations",
            Self::Samples => "samples",
        }
    }
}
