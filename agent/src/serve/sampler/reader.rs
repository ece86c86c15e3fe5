//! What is read of the node for each sample. Of what the kernel needs long for, or shows under a lock, an
//! older state is taken: /proc/zoneinfo has lists of every CPU, and is written with the zone's lock held.
use std::path::Path;

use fragwatch_core::model::{
    node::NodeFacts,
    sample::{MemoryPressure, VmCounters},
};
use fragwatch_states::zones;

use super::{counters, kept_file::KeptFile};
use crate::host::{clock, node};

/// Reads the node's facts and counters.
pub(super) struct NodeReader {
    buddyinfo: KeptFile,
    vmstat: KeptFile,
    pressure: KeptFile,
    buffer: Vec<u8>,
    facts: NodeFacts,
}

/// What was read at one moment.
pub(super) struct Reading {
    pub(super) facts: NodeFacts,
    pub(super) vm: Option<VmCounters>,
    pub(super) pressure: Option<MemoryPressure>,
}

impl NodeReader {
    pub(super) fn open() -> Self {
        Self {
            buddyinfo: KeptFile::open("/proc/buddyinfo"),
            vmstat: KeptFile::open("/proc/vmstat"),
            pressure: KeptFile::open("/proc/pressure/memory"),
            buffer: Vec::new(),
            facts: NodeFacts::default(),
        }
    }

    /// Reads again what changes from second to second: free blocks, counters and pressure. With `all`
    /// everything else too: watermarks, memory cgroups, and what is only reported.
    pub(super) fn read(&mut self, all: bool) -> Reading {
        if all {
            self.facts = node::read(Path::new("/"));
        } else if let Some(buddyinfo) = self.buddyinfo.read(&mut self.buffer) {
            self.facts.time_ns = clock::monotonic_ns();
            zones::update(&mut self.facts.zones, buddyinfo);
        }
        Reading {
            facts: self.facts.clone(),
            vm: self.vmstat.read(&mut self.buffer).map(counters::vmstat),
            pressure: self.pressure.read(&mut self.buffer).and_then(counters::pressure),
        }
    }
}
