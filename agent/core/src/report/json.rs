//! One JSON object a line. Fields are added, never renamed.
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    attribution::late::LateAttribution,
    model::{
        allocation::{Allocation, Outcome as AllocationOutcome},
        call_site, errno,
        event::{CgroupPath, ChargeFailed, LimitKind, OomKill, OomScope, Task},
        frame::Frame,
        gfp::Gfp,
        hook::{Hook, HookStatus, State},
        incident::Incident,
        loss::Loss,
        step::{CreationStep, Outcome},
        verdict::Verdict,
        zone::{self, Zone},
    },
    report::{Ready, Report, Reported, Summary, attribution, node, step},
    units,
};

/// The report for programs.
pub struct Json<W> {
    out: W,
    kernel: String,
    page_size: u64,
    sees_oom_kills: bool,
}

impl<W: Write> Json<W> {
    /// Writes to `out`; `page_size` in bytes.
    pub fn new(out: W, page_size: u64) -> Self {
        Self { out, kernel: String::new(), page_size, sees_oom_kills: false }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        let mut line = escape(&value.to_string());
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }

    fn allocations(&self, allocations: &[Allocation]) -> Vec<Value> {
        allocations.iter().map(|a| allocation(a, self.page_size)).collect()
    }
}

impl<W: Write> Report for Json<W> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.kernel.clone_from(&ready.kernel);
        self.sees_oom_kills = ready
            .hooks
            .iter()
            .any(|hook| hook.hook == Hook::OomKill && hook.state != State::Missing);
        self.line(&json!({
            "type": "ready",
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": ready.kernel,
            "hooks": ready.hooks.iter().map(hook).collect::<Vec<_>>(),
            "not_seen": ready.not_seen,
        }))
    }

    fn creation(&mut self, told: Reported<CreationStep>) -> io::Result<()> {
        let c = told.what;
        let slab_caches: Vec<Value> = c
            .slab_caches
            .iter()
            .map(|cache| {
                // The kernel's function returns no more than NULL: the error is what the creation
                // made of it.
                let errno = c.errno.filter(|_| cache.failed).map(errno::name);
                json!({
                    "name": cache.name,
                    "size": cache.size,
                    "errno": errno,
                    "failed": cache.failed,
                })
            })
            .collect();
        let pernet_init = c.pernet_init().map(|init| {
            json!({
                "init": init.init.as_ref().map(function),
                "module": init.init.as_ref().and_then(|f| f.module.as_deref()),
                "errno": errno::name(init.errno),
            })
        });
        self.line(&json!({
            "type": "creation",
            "time": format!("{:.3}", told.time),
            "id": c.id,
            "outcome": outcome(c.outcome()),
            "errno": c.errno.map(errno::name),
            "step": c.kind.name(),
            "namespaces": step::namespaces(c.namespaces().map_or(0, |made| made.flags)),
            "duration_us": c.ended_ns.saturating_sub(c.began_ns) / 1000,
            "pid": c.task.pid,
            "tid": c.task.tid,
            "comm": c.task.comm,
            "netns": c.namespaces().and_then(|made| made.netns),
            "cgroup": cgroup(&c.task, c.cgroup.as_ref()),
            "container": c.container.as_ref().map(attribution::container),
            "candidates": attribution::candidates(&c.candidates),
            "allocations": self.allocations(&c.allocations),
            "allocations_omitted": c.allocations_omitted,
            "stall_us": c.stall_ns / 1000,
            "slab_caches": slab_caches,
            // Not watched: null, not empty.
            "oom_kills": self.sees_oom_kills.then(|| {
                c.oom_kills.iter().map(oom_kill).collect::<Vec<_>>()
            }),
            "memcg_reclaims": c.memcg_reclaims.map(|r| json!({
                "count": r.count,
                "reclaimed_kib": r.reclaimed.saturating_mul(self.page_size) / 1024,
                "stall_us": r.stall_ns / 1000,
            })),
            "charges_failed": c.charges.iter().map(charge).collect::<Vec<_>>(),
            "pernet_init": pernet_init,
            "killed": c.killed,
            "continues": c.continues(),
            "namespaces_refused": c.namespaces().map(|made| made.refused.iter().map(|k| k.name()).collect::<Vec<_>>()).unwrap_or_default(),
            "cgroup_refused": c.cgroup_setup().and_then(step::cgroup_refused),
            "fork_refused": c.fork_refused().map(step::fork_refused_value),
            "start": c.start.as_ref().map(|start| step::parts_value(start, c.ended_ns)),
            "node": told.node.map(|reading| node::json(reading, self.page_size)),
            "verdict": told.verdict.map(verdict),
        }))
    }

    fn owner(&mut self, ended: Timestamp, owner: &LateAttribution) -> io::Result<()> {
        self.line(&json!({
            "type": "container",
            "time": format!("{ended:.3}"),
            "creation": owner.creation,
            "pid": owner.task.pid,
            "comm": owner.task.comm,
            "container": owner.container.as_ref().map(attribution::container),
            "candidates": attribution::candidates(&owner.candidates),
        }))
    }

    fn incident(&mut self, told: Reported<Incident>) -> io::Result<()> {
        let i = told.what;
        let outcome = match i.allocations.last().map(|a| a.outcome) {
            // Without an allocation it is a kill or a refused fork.
            None | Some(AllocationOutcome::Failed | AllocationOutcome::CalledOomKiller) => "failed",
            Some(AllocationOutcome::FellBack) => "degraded",
            // Without a stall it would be no incident.
            Some(AllocationOutcome::Recovered | AllocationOutcome::Unknown) => "stalled",
        };
        self.line(&json!({
            "type": "incident",
            "time": format!("{:.3}", told.time),
            "kernel": self.kernel,
            "outcome": outcome,
            "pid": i.pid,
            "tid": i.tid,
            "comm": i.comm,
            "cgroup": json!({"id": i.cgroup_id, "path": i.cgroup.as_ref().map(CgroupPath::display)}),
            "allocations": self.allocations(&i.allocations),
            "oom_kills": self.sees_oom_kills.then(|| {
                i.oom_kills.iter().map(oom_kill).collect::<Vec<_>>()
            }),
            "fork_refused": i.fork_refused.as_ref().map(step::fork_refused_value),
            "node": told.node.map(|reading| node::json(reading, self.page_size)),
            "verdict": told.verdict.map(verdict),
        }))
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        self.line(&json!({
            "type": "loss",
            "lost": loss.total(),
            "creation_events": loss.creation_events,
            "other_events": loss.other_events,
            "cgroup_events": loss.cgroup_events,
            "untracked_creations": loss.untracked_creations,
            "unseen_returns": loss.unseen_returns,
            "missed_runs": loss.missed_runs,
        }))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let causes: serde_json::Map<String, Value> =
            summary.causes.iter().map(|(c, n)| (c.name().to_owned(), json!(n))).collect();
        self.line(&json!({
            "type": "summary",
            "creations": {
                "ok": summary.ok,
                "stalled": summary.stalled,
                "degraded": summary.degraded,
                "failed": summary.failed,
                "unfinished": summary.unfinished,
            },
            "incidents": summary.incidents,
            "incidents_omitted": summary.incidents_omitted,
            "causes": causes,
            "outside": summary.outside.map(|outside| json!({
                "slow_paths": outside.slow_paths,
                "failures": outside.failures,
                "compactions": outside.compactions,
                "reclaims": outside.reclaims,
            })),
            "lost": summary.loss.total(),
            "slowest_report_us": summary.slowest_report_us,
        }))
    }
}

/// Escapes what JSON allows in a string but a terminal obeys or hides. None of it can stand outside
/// of a string.
pub fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if units::is_hostile(c) {
            // All of these lie in the basic plane: one escape each.
            out.extend(format!("\\u{:04x}", u32::from(c)).chars());
        } else {
            out.push(c);
        }
    }
    out
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Stalled => "stalled",
        Outcome::Degraded => "degraded",
        Outcome::Failed => "failed",
    }
}

fn hook(status: &HookStatus) -> Value {
    json!({
        "name": status.hook.name(),
        "via": status.via.as_ref().map(ToString::to_string),
        "state": status.state.name(),
        "why": status.why,
        "not_seen": status.not_seen,
    })
}

fn cgroup(task: &Task, path: Option<&CgroupPath>) -> Value {
    json!({"id": task.cgroup_id, "path": path.map(CgroupPath::display)})
}

fn function(frame: &Frame) -> String {
    frame.function.clone().unwrap_or_else(|| format!("{:#x}", frame.address))
}

fn oom_kill(kill: &OomKill) -> Value {
    let memcg = match &kill.scope {
        OomScope::Memcg(path) => path.as_deref(),
        OomScope::Node | OomScope::Unknown => None,
    };
    let scope = match &kill.scope {
        OomScope::Node => Some("node"),
        OomScope::Memcg(_) => Some("memcg"),
        OomScope::Unknown => None,
    };
    json!({
        "pid": kill.pid,
        "comm": kill.comm,
        "order": kill.order,
        "gfp": kill.gfp.as_ref().map(gfp),
        "scope": scope,
        "memcg": memcg,
    })
}

fn charge(charge: &ChargeFailed) -> Value {
    json!({
        "memcg": charge.memcg,
        "bytes": charge.bytes,
        "gfp": charge.gfp.as_ref().map(gfp),
        "usage_kib": charge.usage.map(|bytes| bytes / 1024),
        "limit_kib": charge.limit.map(|bytes| bytes / 1024),
        "limit": charge.limit_kind.map(LimitKind::name),
        "refusals": charge.refusals,
        "errno": errno::name(charge.errno),
    })
}

fn gfp(gfp: &Gfp) -> Value {
    json!({"raw": format!("{:#x}", gfp.raw), "flags": gfp.flags})
}

pub(super) fn allocation(a: &Allocation, page_size: u64) -> Value {
    let outcome = match a.outcome {
        AllocationOutcome::Failed => "failed",
        AllocationOutcome::FellBack => "fell_back",
        AllocationOutcome::Recovered => "recovered",
        AllocationOutcome::CalledOomKiller => "oom",
        AllocationOutcome::Unknown => "unknown",
    };
    let failure = a.failure.as_ref();
    let callers = failure.map(|f| call_site::callers(&f.stack)).unwrap_or_default();
    let zones = failure.map(|f| f.zones.as_slice()).unwrap_or_default();
    let shown = zone::most_relevant(zones, a.order);
    json!({
        "order": a.order,
        "bytes": page_size.checked_shl(a.order),
        "gfp": gfp(&a.gfp),
        "outcome": outcome,
        "stall_us": a.stall_ns / 1000,
        "compactions": a.compactions.iter().map(|r| r.describe()).collect::<Vec<_>>(),
        "reclaimed_kib": a.reclaimed.saturating_mul(page_size) / 1024,
        "site": callers.first().map(function),
        "module": callers.first().and_then(|f| f.module.as_deref()),
        "stack": callers.iter().map(function).collect::<Vec<_>>(),
        "zone": shown.map(|z| zone_value(z, page_size)),
        "zones": zones.iter().map(|z| zone_value(z, page_size)).collect::<Vec<_>>(),
        "zones_complete": failure.map(|f| f.zones_complete),
        "fragmentation_index": shown.and_then(|z| z.fragmentation_index(a.order)),
    })
}

fn zone_value(z: &Zone, page_size: u64) -> Value {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    json!({
        "node": z.node,
        "name": z.name,
        "free_kib": kib(z.free),
        "managed_kib": kib(z.managed),
        "min_watermark_kib": kib(z.min_watermark),
        "lowmem_reserve_kib": kib(z.lowmem_reserve),
        "free_blocks": (!z.blocks.is_empty()).then_some(&z.blocks),
        "largest_order": z.largest_order(),
    })
}

pub(super) fn verdict(v: &Verdict) -> Value {
    let remedies: Vec<Value> = v
        .remedies
        .iter()
        .map(|r| {
            json!({"title": r.title, "command": r.command, "risk": r.risk, "durable": r.durable})
        })
        .collect();
    json!({
        "cause": v.cause.name(),
        "confidence": v.confidence.name(),
        "because": v.because,
        "not_seen": v.not_seen,
        "remedies": remedies,
        "no_help": v.no_help,
    })
}
