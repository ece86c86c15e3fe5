//! The OOM killer (mm/oom_kill.c `dump_header`, `oom_kill_process`; mm/memcontrol.c
//! `mem_cgroup_print_oom_info`).
//!
//! ```text
//! runc invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0             oom_adj= up to 2.6.35
//! runc invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), nodemask=(null), order=0, oom_score_adj=0
//! Task in /docker/64be killed as a result of limit of /docker/64be             up to 4.18
//! memory: usage 512000kB, limit 512000kB, failcnt 7
//! Memory cgroup stats for /docker/64be: cache:32KB rss:507732KB …
//! oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=t,pid=1,uid=0   4.19
//! Memory cgroup out of memory: Kill process 7 (t) score 1 or sacrifice child   up to 5.0
//! Killed process 7 (t) total-vm:9kB, …
//! Memory cgroup out of memory: Killed process 7 (t) total-vm:9kB, …            5.1
//! Tasks in /a are going to be killed due to memory.oom.group set               4.19
//! ```
use crate::parse::{
    allocation::ORDER_MAX,
    field::{self, Mask},
};

/// What was said about an OOM kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oom {
    /// The heading.
    Invoked {
        /// Who asked for memory. It comes from outside.
        comm: String,
        /// gfp mask; 0 if a page fault came back with "no memory".
        mask: Option<Mask>,
        /// Order; −1 is a request by hand (sysrq).
        order: Option<i32>,
    },
    /// A memory cgroup was at its limit.
    TaskIn {
        /// The memory cgroup of the task.
        task: String,
        /// The one whose limit it was.
        limit_of: String,
    },
    /// What a memory cgroup uses.
    Usage {
        /// Of what.
        what: Counter,
        /// In bytes.
        usage: u64,
        /// In bytes.
        limit: u64,
    },
    /// What a memory cgroup's memory is used for.
    Stats {
        /// Its path.
        memcg: String,
        /// What its tasks and its page cache hold, in bytes, if the line says it.
        held: Option<u64>,
    },
    /// The line that sums up.
    Summary(Summary),
    /// The victim's line.
    Victim {
        /// Its process id.
        pid: u32,
        /// Its name, from outside.
        comm: String,
        /// The line says that a memory cgroup ran out, or that the node did; `None` if it doesn't
        /// say.
        memcg: Option<bool>,
    },
    /// All tasks of a cgroup are going to be killed: `memory.oom.group`.
    Group {
        /// Its path.
        memcg: String,
    },
    /// No task was left to be killed.
    NoVictim {
        /// In a memory cgroup.
        memcg: bool,
    },
}

/// What of a memory cgroup is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// All memory.
    Memory,
    /// The kernel's share of it (cgroup v1).
    Kmem,
    /// Memory and swap together (cgroup v1).
    MemorySwap,
    /// Swap alone (cgroup v2).
    Swap,
}

/// `oom-kill:`, 4.19 and later (some distributions have it earlier).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What bounded the search for memory; `None` if the field is empty.
    pub constraint: Option<Constraint>,
    /// The line says `global_oom`.
    pub global: bool,
    /// The cpuset of the task that asked for memory, by the last part of its cgroup's path.
    pub cpuset: Option<String>,
    /// The nodes that this cpuset allows.
    pub mems_allowed: Option<String>,
    /// The nodes that the allocation was bound to, as by a memory policy.
    pub nodemask: Option<String>,
    /// The memory cgroup that ran out.
    pub oom_memcg: Option<String>,
    /// The victim's memory cgroup.
    pub task_memcg: Option<String>,
    /// The victim's name, from outside.
    pub comm: Option<String>,
    /// The victim's process id.
    pub pid: Option<u32>,
}

/// `enum oom_constraint` (include/linux/oom.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Nothing.
    None,
    /// A cpuset.
    Cpuset,
    /// A memory policy.
    MemoryPolicy,
    /// A memory cgroup.
    Memcg,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Oom> {
    if let Some((comm, rest)) = text.rsplit_once(" invoked oom-killer: ") {
        if !rest.starts_with("gfp") {
            return None;
        }
        let order =
            field::signed(rest, "order=").filter(|&n| (-1..=ORDER_MAX.cast_signed()).contains(&n));
        return Some(Oom::Invoked {
            comm: field::comm(comm).to_owned(),
            mask: field::mask(rest, "gfp_mask="),
            order: order.map(|order| order as i32),
        });
    }
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("Task in ") {
        let (task, limit_of) = rest.split_once(" killed as a result of limit of ")?;
        return Some(Oom::TaskIn { task: task.to_owned(), limit_of: limit_of.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("Tasks in ") {
        let (memcg, _) = rest.split_once(" are going to be killed due to memory.oom.group")?;
        return Some(Oom::Group { memcg: memcg.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("oom-kill:") {
        // The words alone are a log monitor's pattern.
        return Some(summary(rest)).filter(|found| *found != Summary::default()).map(Oom::Summary);
    }
    if let Some(rest) = text.strip_prefix("Memory cgroup stats for ") {
        return Some(stats(rest));
    }
    usage(text).or_else(|| victim(text))
}

fn usage(text: &str) -> Option<Oom> {
    let (what, rest) = text.split_once(": usage ")?;
    let what = match what {
        "memory" => Counter::Memory,
        "kmem" => Counter::Kmem,
        "memory+swap" => Counter::MemorySwap,
        "swap" => Counter::Swap,
        _ => return None,
    };
    let (usage, rest) = field::leading_number(rest)?;
    let limit = field::number(rest, "limit ")?;
    Some(Oom::Usage { what, usage: usage.saturating_mul(1024), limit: limit.saturating_mul(1024) })
}

fn stats(rest: &str) -> Oom {
    let (memcg, counters) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
    let kib = |key: &str| {
        let mut words = counters.split_ascii_whitespace();
        words.find_map(|word| field::leading_number(word.strip_prefix(key)?).map(|(n, _)| n))
    };
    let held = kib("cache:").zip(kib("rss:")).map(|(cache, rss)| cache.saturating_add(rss));
    Oom::Stats { memcg: memcg.to_owned(), held: held.map(|kib| kib.saturating_mul(1024)) }
}

/// Paths and names may hold commas: a value ends where the next key that can follow it begins.
fn summary(text: &str) -> Summary {
    const KEYS: [&str; 9] = [
        ",nodemask=",
        ",cpuset=",
        ",mems_allowed=",
        ",global_oom",
        ",oom_memcg=",
        ",task_memcg=",
        ",task=",
        ",pid=",
        ",uid=",
    ];
    let value = |key: &str| {
        let rest = field::after(text, key)?;
        let end = KEYS.iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
        let value = &rest[..end];
        (!value.is_empty()).then(|| value.to_owned())
    };
    let constraint = match value("constraint=").as_deref() {
        Some("CONSTRAINT_NONE") => Some(Constraint::None),
        Some("CONSTRAINT_CPUSET") => Some(Constraint::Cpuset),
        Some("CONSTRAINT_MEMORY_POLICY") => Some(Constraint::MemoryPolicy),
        Some("CONSTRAINT_MEMCG") => Some(Constraint::Memcg),
        _ => None,
    };
    Summary {
        constraint,
        global: text.contains(",global_oom"),
        cpuset: value(",cpuset="),
        mems_allowed: value(",mems_allowed="),
        nodemask: value(",nodemask=").filter(|nodes| nodes != "(null)"),
        oom_memcg: value(",oom_memcg="),
        task_memcg: value(",task_memcg="),
        comm: value(",task="),
        pid: value(",pid=").and_then(|pid| pid.parse().ok()),
    }
}

fn victim(text: &str) -> Option<Oom> {
    let memcg = if text.starts_with("Memory cgroup out of memory") {
        Some(true)
    } else if text.starts_with("Out of memory")
        || text.starts_with("System is deadlocked on memory")
    {
        Some(false)
    } else {
        None
    };
    if let Some(memcg) = memcg
        && text.contains("no killable processes")
    {
        return Some(Oom::NoVictim { memcg });
    }
    let said = |verb: &str| text.split_once(verb);
    let (before, rest) = said("Killed process ")
        .or_else(|| said("Kill process "))
        .or_else(|| said("kill process "))?;
    // Only the kernel's own line: a program that quotes it has other words before.
    if !(before.is_empty() || memcg.is_some()) {
        return None;
    }
    let (pid, rest) = field::leading_number(rest)?;
    let comm = rest.split_once('(')?.1;
    // A name may hold a bracket: it ends before what the kernel prints next.
    let end = ["(", ") total-vm", ") score", ") vsz", "), "]
        .iter()
        .skip(1)
        .filter_map(|end| comm.find(end))
        .min()
        .or_else(|| comm.rfind(')'))?;
    Some(Oom::Victim { pid: u32::try_from(pid).ok()?, comm: comm[..end].to_owned(), memcg })
}

#[cfg(test)]
mod tests;
