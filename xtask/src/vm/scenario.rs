//! The scenarios there are; the guest has one file for each.

use anyhow::Result;

use crate::Usage;

/// A scenario, as the host sees it.
pub struct Scenario {
    /// What `--scenario` calls it.
    pub name: &'static str,
    /// The machine's memory.
    pub memory_mib: u32,
}

/// All scenarios.
pub const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "healthy", memory_mib: 768 },
    Scenario { name: "order6", memory_mib: 768 },
    Scenario { name: "fallback", memory_mib: 768 },
    Scenario { name: "endings", memory_mib: 768 },
    Scenario { name: "burst", memory_mib: 768 },
    Scenario { name: "flood", memory_mib: 768 },
    Scenario { name: "doctor", memory_mib: 768 },
    Scenario { name: "memcg-limit", memory_mib: 768 },
    Scenario { name: "check", memory_mib: 768 },
];

/// The scenario of that name.
pub fn find(name: &str) -> Result<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        Usage::new(format!("there is no scenario {name}; there are {}", names.join(", "))).into()
    })
}
