//! What the host asks of a virtual machine: a file in its initramfs, which process 1 reads.

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::overhead::Effort;

/// Where the file is in the guest.
pub const PATH: &str = "/job.json";

/// Where fragwatch is in the guest.
pub const FRAGWATCH: &str = "/bin/fragwatch";

/// Where fragwatch's Debian package is in the guest, if the scenario installs it.
pub const PACKAGE: &str = "/fragwatch.deb";

/// Where the fragwatch is that scenario `overhead` compares with, if there is one.
pub const BEFORE: &str = "/bin/fragwatch-before";

/// Where bpftrace is in the guest, for the same scenario.
pub const BPFTRACE: &str = "/bin/bpftrace";

/// One run of one scenario, as the guest sees it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Job {
    /// A name of [`crate::scenario::SCENARIOS`].
    pub scenario: String,
    /// fragwatch's arguments.
    pub args: Vec<String>,
    /// Whether fragwatch colours its output.
    pub colour: bool,
    /// How the node's cgroups are mounted.
    pub cgroups: Cgroups,
    /// fragwatch runs as an unprivileged user with these capabilities alone, names separated by
    /// commas; as root if not set.
    pub capabilities: Option<String>,
    /// What becomes the root; the initramfs if not set.
    pub disk: Option<Disk>,
    /// How many containers each runtime starts before memory is fragmented, in scenario `runtimes`.
    pub containers: u32,
    /// How much scenarios `overhead` and `soak` measure.
    pub effort: Effort,
    /// Whether it has a network card, by which fragwatch is reached.
    pub network: bool,
}

/// How a node's cgroups are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cgroups {
    /// One hierarchy for everything.
    #[default]
    V2,
    /// One hierarchy per controller, and v2's without controllers beside them, as in systemd's
    /// hybrid mode.
    V1,
}

impl Cgroups {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
        }
    }
}
