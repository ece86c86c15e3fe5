//! From evidence to a verdict: pure functions, one file per cause. A wrong cause is worse than
//! `undetermined`.
mod fragmentation;
mod undetermined;

use crate::{
    allocation::{Allocation, Outcome},
    creation::{Creation, Incident, PernetInit},
};

/// Why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Enough free memory, but in no block that is large enough.
    Fragmentation,
    /// What was seen does not carry a cause.
    Undetermined,
}

impl Cause {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fragmentation => "fragmentation",
            Self::Undetermined => "undetermined",
        }
    }
}

/// How much of what the cause rests on was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// All of it, at the moment of the failure.
    High,
    /// The decisive part; what is missing, or speaks against it, stands in the verdict.
    Medium,
    /// Not enough for a cause.
    Low,
}

impl Confidence {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Something that can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What it does.
    pub title: &'static str,
    /// How; never run by fragwatch.
    pub command: &'static str,
    /// What it costs.
    pub risk: &'static str,
    /// It keeps the failure from coming back.
    pub durable: bool,
}

/// A cause with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// What was seen that says so, in sentences.
    pub because: Vec<String>,
    /// What was not seen, in sentences.
    pub not_seen: Vec<String>,
    /// What can be done.
    pub remedies: Vec<Remedy>,
}

/// What a diagnosis is made from.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The error that a creation ended with, as a positive errno.
    pub errno: Option<i32>,
    /// Its allocations in trouble, in time order.
    pub allocations: &'a [Allocation],
    /// The subsystem whose initialisation failed.
    pub pernet_init: Option<&'a PernetInit>,
    /// How often its memory cgroup's memory was reclaimed for it.
    pub memcg_reclaims: u64,
    /// Its beginning was not seen.
    pub no_beginning: bool,
    /// Flags of the system call, where the error may be that of anything in it.
    pub call_flags: Option<u64>,
    /// Events of it were lost.
    pub events_lost: bool,
    /// What can't be seen on this kernel at all, in sentences.
    pub blind_to: &'a [String],
}

impl<'a> Case<'a> {
    /// A creation, on a kernel where `blind_to` can't be seen.
    pub fn creation(creation: &'a Creation, blind_to: &'a [String]) -> Self {
        Self {
            errno: creation.errno,
            allocations: &creation.allocations,
            pernet_init: creation.pernet_init.as_ref(),
            memcg_reclaims: creation.memcg_reclaims.map_or(0, |reclaims| reclaims.count),
            no_beginning: creation.cgroup.is_none(),
            call_flags: creation.call_flags,
            events_lost: creation.events_lost,
            blind_to,
        }
    }

    /// Trouble outside any creation, on a kernel where `blind_to` can't be seen.
    pub fn incident(incident: &'a Incident, blind_to: &'a [String]) -> Self {
        Self {
            errno: None,
            allocations: std::slice::from_ref(&incident.allocation),
            pernet_init: None,
            memcg_reclaims: 0,
            no_beginning: false,
            call_flags: None,
            events_lost: false,
            blind_to,
        }
    }

    /// The allocation that decided it: the last one that failed without a fallback or, where the
    /// whole was no failure, the last one that failed at all.
    ///
    /// An error is never blamed on an allocation whose caller had a fallback; and when a
    /// subsystem's initialisation returned the error, on none that failed outside of it.
    fn decisive(&self) -> Option<&'a Allocation> {
        let last = |outcome| {
            self.allocations.iter().rev().find(|a| a.outcome == outcome && self.could_cause(a))
        };
        match self.errno {
            Some(_) => last(Outcome::Failed),
            None => last(Outcome::Failed).or_else(|| last(Outcome::FellBack)),
        }
    }

    fn could_cause(&self, allocation: &Allocation) -> bool {
        let (Some(init), Some(failed)) = (self.pernet_init, allocation.failed_ns) else {
            return true;
        };
        failed <= init.ended_ns && init.began_ns.is_none_or(|began| began <= failed)
    }

    /// What is missing from the story as a whole.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.no_beginning {
            gaps.push("the beginning of this creation".to_owned());
        }
        if self.events_lost {
            gaps.push("events of this creation that were lost".to_owned());
        }
        let beside = self.call_flags.map(namespaces_beside).unwrap_or_default();
        if self.errno.is_some() && !beside.is_empty() {
            gaps.push(format!(
                "which namespace the error comes from: the same system call asked for {} too",
                beside.join(", ")
            ));
        }
        gaps.extend(self.blind_to.iter().cloned());
        gaps
    }
}

/// The namespaces that a system call's flags ask for beside the network's
/// (include/uapi/linux/sched.h).
fn namespaces_beside(flags: u64) -> Vec<&'static str> {
    const FLAGS: [(i32, &str); 6] = [
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWPID, "pid"),
    ];
    let asked = FLAGS.iter().filter(|&&(flag, _)| flags & u64::from(flag.cast_unsigned()) != 0);
    asked.map(|&(_, name)| name).collect()
}

/// The verdict on a case; `page_size` in bytes.
pub fn diagnose(case: &Case, page_size: u64) -> Verdict {
    fragmentation::diagnose(case, page_size)
        .unwrap_or_else(|| undetermined::diagnose(case, page_size))
}

#[cfg(test)]
mod tests;
