//! Incidents of logs, one JSON object a line, with the fields that creations have. Fields are added,
//! never renamed.
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    model::{
        errno,
        event::{OomKill, OomScope},
        gfp::Gfp,
        gfp::GfpReading,
        incident::Incident,
        memcg::MemcgState,
        program_message::StartError,
        slab::SlabFailed,
        vmalloc::{Lack, VmallocFailed},
    },
    report::{
        json::{allocation, escape, verdict},
        log::{LogReport, LogSummary, ReportedLog, outcome, wall},
    },
};

/// The report for programs.
pub struct LogJson<W> {
    out: W,
}

impl<W: Write> LogJson<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        let mut line = escape(&value.to_string());
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> LogReport for LogJson<W> {
    fn incident(&mut self, told: ReportedLog) -> io::Result<()> {
        let i = told.what;
        let log = i.log().cloned().unwrap_or_default();
        let boot = log.time.and_then(|time| time.boot).map(|boot| boot.as_secs_f64());
        let allocations: Vec<Value> =
            i.allocations.iter().map(|a| allocation(a, i.page_size)).collect();
        let caches: Vec<Value> = i
            .slab_caches
            .iter()
            .map(|cache| {
                let errno = cache.errno.map(errno::name);
                json!({"name": cache.name, "size": null, "errno": errno, "failed": true})
            })
            .collect();
        self.line(&json!({
            "type": "incident",
            "time": log.time.as_ref().and_then(wall),
            "boot_s": boot,
            "file": told.file,
            "lines": [log.lines.0, log.lines.1],
            "host": log.host,
            "kernel": i.kernel,
            "outcome": outcome(i),
            "errno": i.errno.map(errno::name),
            "pid": i.pid,
            "comm": i.comm,
            "cgroup": i.cgroup.as_ref().map(|path| json!({"id": null, "path": path.display()})),
            "container": container(i),
            "allocations": allocations,
            "gfp_readings": log.readings.iter().map(reading).collect::<Vec<_>>(),
            "slab_caches": caches,
            "slab_failures": i.slab_failures.iter().map(slab_failed).collect::<Vec<_>>(),
            "vmalloc": i.vmalloc.iter().map(vmalloc).collect::<Vec<_>>(),
            "oom_kills": i.oom_kills.iter().filter(|kill| kill.comm.is_some()).map(oom_kill).collect::<Vec<_>>(),
            "oom": i.oom_kills.first().map(|oom| json!({
                "order": oom.order,
                "of": scope(&oom.scope),
                "page_fault": oom.page_fault,
            })),
            "memcg": i.memcg.as_ref().map(memcg),
            "forks_refused": i.fork_refused.as_ref().map(|refused| json!({
                "cgroup": refused.cgroup,
                "times": refused.times,
            })),
            "messages": i.messages.iter().map(|failure| json!({
                "program": failure.program,
                "errno": failure.errno.map(errno::name),
                "reason": reason(&failure.error),
                "said": failure.said,
            })).collect::<Vec<_>>(),
            // A log is of another time.
            "node": null,
            "verdict": verdict(told.verdict),
        }))
    }

    fn summary(&mut self, s: &LogSummary) -> io::Result<()> {
        let causes: serde_json::Map<String, Value> =
            s.causes.iter().map(|(c, n)| (c.name().to_owned(), json!(n))).collect();
        self.line(&json!({
            "type": "summary",
            "found": s.incidents != 0,
            "incidents": s.incidents,
            "causes": causes,
            "files": s.files,
            "unread_files": s.unread,
            "lines": s.read.lines,
            "bytes": s.read.bytes,
            "without_beginning": s.without_beginning,
            "skipped": {
                "cut_lines": s.read.cut_lines,
                "cut_bytes": s.read.cut_bytes,
                "undecodable_lines": s.read.undecodable_lines,
                "compressed_tail_lost": s.read.compressed_tail_lost,
                "binary_files": s.binary,
            },
        }))
    }
}

fn container(i: &Incident) -> Option<Value> {
    let found = i.container.as_ref()?;
    Some(json!({
        "runtime": found.runtime,
        "id": found.id,
        "pod_uid": found.pod_uid,
        "pod": found.pod,
        "namespace": found.namespace,
    }))
}

fn gfp(gfp: &Gfp) -> Value {
    json!({"raw": format!("{:#x}", gfp.raw), "flags": gfp.flags})
}

fn reading(reading: &GfpReading) -> Value {
    json!({"kernels": reading.releases, "flags": reading.gfp.flags})
}

fn slab_failed(slab: &SlabFailed) -> Value {
    json!({
        "name": slab.cache,
        "size": slab.object_size,
        "min_order": slab.min_order,
        "gfp": slab.gfp.as_ref().map(gfp),
        "times": slab.times,
    })
}

fn vmalloc(failed: &VmallocFailed) -> Value {
    let lack = match failed.lack {
        Lack::Addresses => Some("addresses"),
        Lack::Request => Some("request"),
        Lack::Pages => Some("pages"),
        Lack::Unsaid => None,
    };
    json!({"bytes": failed.bytes, "gfp": failed.gfp.as_ref().map(gfp), "lack": lack})
}

fn oom_kill(kill: &OomKill) -> Value {
    let memcg = match &kill.scope {
        OomScope::Memcg(path) => path.as_deref(),
        OomScope::Node | OomScope::Unknown => None,
    };
    json!({
        "pid": kill.pid,
        "comm": kill.comm,
        "order": kill.order,
        "gfp": kill.gfp.as_ref().map(gfp),
        "of": scope(&kill.scope),
        "memcg": memcg,
    })
}

fn scope(scope: &OomScope) -> Option<&'static str> {
    match scope {
        OomScope::Node => Some("node"),
        OomScope::Memcg(_) => Some("memcg"),
        OomScope::Unknown => None,
    }
}

fn memcg(memcg: &MemcgState) -> Value {
    json!({
        "path": memcg.path,
        "usage": memcg.usage,
        "limit": memcg.limit,
        "kmem_usage": memcg.kmem_usage,
        "kmem_limit": memcg.kmem_limit,
        "held": memcg.held,
    })
}

fn reason(error: &StartError) -> Option<String> {
    match error {
        StartError::CgroupMkdir(path) => Some(format!("cgroup {path} could not be made")),
        StartError::Namespace => Some("a namespace was refused".to_owned()),
        StartError::Process => Some("a process was refused".to_owned()),
        StartError::MemoryLimit(reason) | StartError::Other(reason) => Some((*reason).to_owned()),
        StartError::Unsaid => None,
    }
}
