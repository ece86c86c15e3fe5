//! What `cargo xtask bench overhead` and `bench soak` ask of the guest, and what it measured: one
//! [`Fact`] as JSON in each line of the stream [`STREAM`].

use serde::{Deserialize, Serialize};

/// The stream of facts.
pub const STREAM: &str = "overhead";

/// Where the bpftrace script is in the guest.
pub const SCRIPT: &str = "/overhead.bt";

/// glibc's settings for `serve`, as its unit and its DaemonSet have them: no memory that each thread keeps for itself.
pub const TUNABLES: &str = "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0";

/// How much is measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Effort {
    /// How many turns each contestant has.
    pub rounds: u32,
    /// How many of each operation, in percent of the usual count.
    pub percent: u32,
    /// For how many minutes of the guest's time `soak` runs.
    pub minutes: u32,
}

impl Default for Effort {
    fn default() -> Self {
        Self { rounds: 2, percent: 100, minutes: 30 }
    }
}

impl Effort {
    /// So many, or fewer when less is to be measured.
    #[must_use]
    pub fn count(&self, usual: u32) -> u32 {
        (u64::from(usual) * u64::from(self.percent) / 100).max(1) as u32
    }
}

/// What the operations run beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// Nothing.
    Without,
    /// Another build of fragwatch.
    Before,
    /// fragwatch.
    With,
    /// bpftrace, with a script that sees the same.
    Bpftrace,
}

impl Contestant {
    /// In the order of their turns.
    pub const ALL: [Self; 4] = [Self::Without, Self::Before, Self::With, Self::Bpftrace];

    /// Its heading in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::Before => "before",
            Self::With => "fragwatch",
            Self::Bpftrace => "bpftrace",
        }
    }
}

/// Something that nodes do, which fragwatch may slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Make a network namespace and destroy it.
    Namespace,
    /// Start a container with runc, stop it, and remove it.
    Container,
    /// Make a process, which ends at once.
    Fork,
    /// Run a program, which ends at once.
    Exec,
    /// Make a cgroup and remove it.
    Cgroup,
    /// Make a pipe, fill it, and close it, in a memory cgroup with a limit.
    Pipe,
    /// Mount a file system and unmount it.
    Mount,
    /// Try for a large block, which there is none of, without waiting for one.
    FailedAllocation,
}

impl Operation {
    /// In the order in which they are measured.
    pub const ALL: [Self; 8] = [
        Self::Namespace,
        Self::Container,
        Self::Fork,
        Self::Exec,
        Self::Cgroup,
        Self::Pipe,
        Self::Mount,
        Self::FailedAllocation,
    ];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "network namespace",
            Self::Container => "container of runc",
            Self::Fork => "fork with exit",
            Self::Exec => "fork with exec and exit",
            Self::Cgroup => "cgroup",
            Self::Pipe => "full pipe in a limited cgroup",
            Self::Mount => "mount with unmount",
            Self::FailedAllocation => "failed high-order allocation",
        }
    }

    /// How often it is done in a turn.
    #[must_use]
    pub fn count(self, effort: &Effort) -> u32 {
        effort.count(match self {
            Self::Container => 10,
            Self::Fork => 500,
            Self::Exec => 200,
            Self::Namespace | Self::Cgroup | Self::Mount => 300,
            Self::Pipe => 2000,
            Self::FailedAllocation => 100_000,
        })
    }
}

/// The CPU time of one operation, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Cost {
    /// What was done.
    pub operation: Operation,
    /// Of the thread that asked for it.
    pub caller_ns: f64,
    /// Of everything on the node but the contestant's process.
    pub node_ns: f64,
    /// Of the contestant's process.
    pub process_ns: f64,
}

/// The memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Memory {
    /// All that is resident.
    pub resident: u64,
    /// Of that, its own.
    pub anon: u64,
    /// Of that, pages of files, and buffers that it shares with the kernel.
    pub file: u64,
    /// Of that, what can't be swapped out.
    pub locked: u64,
    /// Of its BPF maps, in the kernel; before 6.4 as large as they could become.
    pub maps: u64,
    /// The most that was resident so far.
    pub peak: u64,
}

/// What `serve` says of itself, and what its store takes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ServeState {
    /// What its files take on disk.
    pub store_bytes: u64,
    /// Events and entries that were lost or dropped so far.
    pub lost: u64,
    /// Creations that failed so far.
    pub failures: u64,
    /// Series of a scrape.
    pub series: u64,
    /// CPU time of a scrape, in nanoseconds.
    pub scrape_ns: u64,
}

/// What a process took that is there all the time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Process {
    /// CPU time until it was ready.
    pub ready_cpu_ns: u64,
    /// Time until it was ready.
    pub ready_wall_ns: u64,
    /// CPU time in a second in which nothing happens.
    pub idle_ns_per_s: f64,
    /// Memory when it was ready.
    pub ready: Memory,
    /// Memory after the operations.
    pub after: Memory,
}

/// The run time of a BPF program in one operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Program {
    /// Its name in the kernel, of 15 letters at most.
    pub name: String,
    /// How often it ran.
    pub runs: f64,
    /// All of these runs together.
    pub ns: f64,
}

/// The run times of all BPF programs of a contestant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Programs {
    /// In one of these.
    pub operation: Operation,
    /// Those that ran.
    pub programs: Vec<Program>,
}

/// Something that the guest measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// All operations beside a contestant.
    Turn {
        /// What they ran beside.
        contestant: Contestant,
        /// Of each of them.
        costs: Vec<Cost>,
        /// None without a process.
        process: Option<Process>,
    },
    /// The same with `kernel.bpf_stats_enabled`, in a turn of its own.
    Programs {
        /// Whose programs they are.
        contestant: Contestant,
        /// Of each operation.
        operations: Vec<Programs>,
        /// How many network namespaces were made before anything else.
        namespaces: u32,
        /// Memory after these.
        memory: Memory,
    },
    /// Memory of fragwatch on a node with many cgroups.
    Crowded {
        /// So many were there at the start.
        cgroups: u32,
        /// When it was ready.
        ready: Memory,
        /// So many others came and went.
        came_and_went: u32,
        /// After these.
        after: Memory,
    },
    /// Creations have failed, one after the other; their reports come before this line.
    Failures {
        /// So many.
        creations: u32,
    },
    /// Creations have failed while large blocks were tried for all the time; their reports come before
    /// this line.
    Flood {
        /// So many creations.
        creations: u32,
        /// So many allocations, outside of the creations.
        allocations: u32,
    },
    /// Large blocks were tried for at a steady rate.
    Rate {
        /// Failed allocations in a second.
        per_second: f64,
        /// Part of a processor that fragwatch took meanwhile.
        cpu: f64,
    },
    /// CPU time of `serve` in a second in which nothing happens, in nanoseconds.
    Idle {
        /// So much.
        ns_per_s: f64,
        /// Of that, each thread's.
        threads: Vec<(String, f64)>,
    },
    /// The program that counts allocations which take a block of another migratetype, while memory was
    /// fragmented.
    FallbackProgram {
        /// So many of them.
        runs: u64,
        /// Its run time in nanoseconds, all in all.
        ns: u64,
    },
    /// `serve` was ended by SIGINT.
    Ended {
        /// After this time.
        ms: u64,
    },
    /// Memory of fragwatch while containers come and go.
    Soak {
        /// The guest's time since it was ready.
        seconds: u64,
        /// So many containers so far.
        containers: u32,
        /// At this moment.
        memory: Memory,
        /// If it is `serve`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serve: Option<ServeState>,
    },
    /// A contestant can't take part.
    Absent {
        /// Which one.
        contestant: Contestant,
        /// Why not.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{Effort, Operation};

    #[test]
    fn less_effort_means_fewer_but_some() {
        let less = Effort { percent: 1, ..Effort::default() };
        assert_eq!(Operation::FailedAllocation.count(&less), 1000);
        assert_eq!(Operation::Container.count(&less), 1);
        assert_eq!(Operation::Container.count(&Effort::default()), 10);
    }
}
