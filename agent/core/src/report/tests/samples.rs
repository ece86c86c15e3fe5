//! Lines of every kind.
mod node_state;
mod reproduced;

use jiff::Timestamp;

use crate::{
    attribution::late::LateAttribution,
    diagnose::{Evidence, diagnose},
    fixtures,
    model::{
        allocation::Outcome as AllocationOutcome,
        container::{Candidate, CandidateReason, Container},
        event::{CgroupPath, Task},
        hook::{Hook, HookStatus, State},
        identity::{Identity, NamedBy},
        incident::Source,
        left_out::LeftOut,
        loss::{Loss, OutsideCounts},
        node::Reading,
        notice::HungIn,
        open_creation::{State as Unended, Unfinished},
        recording::Recording,
        repeats::{CountedStep, Repeats},
        sample::{Fallbacks, MemoryPressure, Sample, SampleZone, VmCounters},
        step::{CreationStep, Outcome},
        trigger::Trigger,
        verdict::Cause,
    },
    report::{
        line::{
            Line, allocation,
            container::Cgroup,
            hook,
            incident::{GfpReading, Incident, LogPart, LogPlace, Message},
            memcg, notice, ready, slab,
            summary::{Creations, LeftOutFiles, Logs, Summary, Watched},
        },
        view::{self, View},
    },
};

/// What nothing may print as it is: a terminal would clear its screen, turn text around, or show a
/// line that is none of the report's.
const HOSTILE: &str = "\x1b[2Jevil\nforged\u{202e}";

fn time() -> Timestamp {
    "2026-11-20T09:42:36.123Z".parse().expect("a valid time")
}

fn view() -> View {
    let hook = HookStatus {
        hook: Hook::OomKill,
        via: None,
        state: State::Attached,
        why: None,
        reasons: Vec::new(),
        not_seen: None,
        attempts: Vec::new(),
    };
    View::new("6.12.117+deb12-cloud-amd64".to_owned(), 4096, &[hook])
}

/// Each kind of line, by name.
pub(super) fn all() -> Vec<(&'static str, Line)> {
    let mut named = fixtures::failed_creation();
    if let Some(container) = &mut named.container {
        assert!(container.learn(&identity("web-0")));
    }
    let mut guessed = fixtures::ok_creation();
    guessed.container = None;
    guessed.candidates = vec![candidate("web-1"), candidate("web-2")];
    let interrupted = CreationStep { errno: Some(libc::EINTR), ..guessed.clone() };
    vec![
        ("ready", ready(0, 0)),
        ("ready-degraded", ready(3, 9)),
        ("creation-ok", creation(&fixtures::ok_creation())),
        ("creation-degraded", creation(&fixtures::degraded_creation())),
        ("creation-near-miss", creation(&fixtures::near_miss())),
        ("creation-failed", creation(&named)),
        ("creation-of-many-allocations", many_allocations(14)),
        ("creation-guessed", creation(&interrupted)),
        ("container", late(&named)),
        ("container-guessed", late(&guessed)),
        ("incident", incident()),
        ("incident-of-a-log", Line::Incident(Box::new(of_log()))),
        ("recording", recording()),
        ("unfinished", unfinished("runc:[1:CHILD]", "fw_pernet_init")),
        ("end-lost", end_lost()),
        ("repeats", repeats("unshare", "user.slice")),
        ("loss", view::loss(&Loss { creation_events: 3, missed_runs: 2, ..Loss::default() })),
        ("summary-of-a-trace", summary_of_a_trace()),
        ("summary-of-logs", summary_of_logs()),
        ("check", Line::Check(Box::new(node_state::check("Normal")))),
        ("doctor", Line::Doctor(Box::new(node_state::doctor("")))),
        ("reproduce", Line::Reproduce(Box::new(reproduced::reproduce("")))),
    ]
}

/// Lines with hostile text in all that comes from outside.
pub(super) fn hostile() -> Vec<(&'static str, Line)> {
    let outside = || Some(HOSTILE.to_owned());
    let mut step = fixtures::failed_creation();
    step.task.comm = HOSTILE.to_owned();
    step.slab_caches[0].failed = true;
    step.slab_caches[0].name = HOSTILE.to_owned();
    let mut unknown = step.clone();
    unknown.cgroup = None;
    unknown.container = None;
    let hostile = Identity { pod: outside(), namespace: outside(), ..identity("") };
    let mut container = Container { runtime: outside(), ..Container::default() };
    assert!(container.learn(&hostile));
    step.candidates =
        vec![Candidate { container: container.clone(), why: CandidateReason::MadeItsCgroup }];
    step.container = Some(container);
    let mut log = of_log();
    log.comm = outside();
    log.kernel = outside();
    log.cgroup = Some(Cgroup { id: None, path: outside() });
    for allocation in &mut log.allocations {
        allocation.stack = vec![HOSTILE.to_owned(); 2];
        allocation.module = outside();
        allocation.gfp.flags = outside();
    }
    for cache in &mut log.slab_caches {
        cache.name = HOSTILE.to_owned();
    }
    log.slab_failures[0].name = outside();
    log.verdict.because = vec![HOSTILE.to_owned(); 2];
    log.verdict.not_seen = vec![HOSTILE.to_owned()];
    if let Some(place) = &mut log.log {
        place.file = HOSTILE.to_owned();
        place.host = outside();
        place.messages[0].program = outside();
        place.messages[0].said = HOSTILE.to_owned();
        place.gfp_readings[0].gfp.flags = outside();
    }
    let mut recorded = recording();
    if let Line::Recording(recording) = &mut recorded {
        for zone in recording.points.iter_mut().flat_map(|point| &mut point.zones) {
            zone.name = HOSTILE.to_owned();
        }
    }
    let ready = Line::Ready(ready::Ready {
        version: "0.1.0".to_owned(),
        kernel: HOSTILE.to_owned(),
        hooks: vec![node_state::hook(HOSTILE)],
        not_seen: vec![HOSTILE.to_owned()],
    });
    vec![
        ("ready", ready),
        ("creation", creation(&step)),
        ("creation of an unknown container", creation(&unknown)),
        ("container", late(&step)),
        ("incident of a log", Line::Incident(Box::new(log))),
        ("recording", recorded),
        ("unfinished", unfinished(HOSTILE, HOSTILE)),
        ("repeats", repeats(HOSTILE, HOSTILE)),
        ("check", Line::Check(Box::new(node_state::check(HOSTILE)))),
        ("doctor", Line::Doctor(Box::new(node_state::doctor(HOSTILE)))),
        ("reproduce", Line::Reproduce(Box::new(reproduced::reproduce(HOSTILE)))),
    ]
}

fn identity(pod: &str) -> Identity {
    Identity {
        by: NamedBy::PodLogs,
        runtime: Some("containerd".to_owned()),
        id: None,
        pod_uid: Some("6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned()),
        pod: Some(pod.to_owned()),
        namespace: Some("default".to_owned()),
        name: None,
    }
}

fn candidate(pod: &str) -> Candidate {
    let mut container = Container::default();
    assert!(container.learn(&identity(pod)));
    Candidate { container, why: CandidateReason::FreePod }
}

/// The line of a step, with the node's memory as it was read 12 ms later.
fn creation(step: &CreationStep) -> Line {
    let trouble = step.outcome() != Outcome::Ok;
    let verdict = trouble.then(|| diagnose(&Evidence::step(step, 4096, &[])));
    let facts = fixtures::facts(step.ended_ns + 12_000_000);
    let reading = Reading::of(&facts, step.ended_ns).filter(|_| trouble);
    view().creation(time(), step, verdict.as_ref(), reading)
}

/// A step that failed for its last allocation, after so many that fell back.
pub(super) fn many_allocations(fell_back: usize) -> Line {
    let mut step = fixtures::failed_creation();
    let mut first = step.allocations[0].clone();
    first.outcome = AllocationOutcome::FellBack;
    for _ in 0..fell_back {
        step.allocations.insert(0, first.clone());
    }
    creation(&step)
}

fn late(step: &CreationStep) -> Line {
    let late = LateAttribution {
        creation: step.id,
        ended_ns: step.ended_ns,
        task: step.task.clone(),
        container: step.container.clone(),
        candidates: step.candidates.clone(),
    };
    view::late_container(time(), &late)
}

fn incident() -> Line {
    let incident = fixtures::incident();
    let verdict = diagnose(&Evidence::incident(&incident, &[]));
    let Source::Live { time_ns } = incident.source else { unreachable!("it is live") };
    let facts = fixtures::facts(time_ns - 400_000_000);
    let reading = Reading::of(&facts, time_ns);
    view().incident(time(), &incident, &verdict, reading)
}

/// What `trace` watches where so many of 15 hooks are missing for one reason, and so much is not
/// seen.
pub(super) fn ready(missing: usize, not_seen: usize) -> Line {
    let hook = |at: usize| hook::Hook {
        name: format!("hook-{at}"),
        via: (at >= missing).then(|| "kprobe:warn_alloc".to_owned()),
        state: Some(if at < missing { State::Missing } else { State::Attached }),
        why: None,
        reasons: (at < missing).then(|| "kprobes: not built in".to_owned()).into_iter().collect(),
        not_seen: (at < missing).then(|| format!("fact {at}")),
        attempts: None,
    };
    Line::Ready(ready::Ready {
        version: "0.1.0".to_owned(),
        kernel: "6.12.117+deb12-cloud-amd64".to_owned(),
        hooks: (0..15).map(hook).collect(),
        not_seen: (0..not_seen).map(|at| format!("fact {at}")).collect(),
    })
}

/// A container that a log says did not start, with all that a log may have beside it.
fn of_log() -> Incident {
    let Line::Creation(creation) = creation(&fixtures::failed_creation()) else {
        unreachable!("a step is a creation")
    };
    let gfp = allocation::Gfp { raw: "0x40cc0".to_owned(), flags: None };
    Incident {
        time: Some(time().into()),
        log: Some(LogPlace {
            file: "-".to_owned(),
            lines: [3, 19],
            also_in: vec![LogPart { file: format!("dmesg{HOSTILE}"), lines: [7, 7] }],
            host: Some("node-1".to_owned()),
            boot_us: Some(12_500_000),
            messages: vec![Message {
                program: Some("kubelet".to_owned()),
                errno: Some("ENOMEM".to_owned()),
                reason: None,
                said: "starting container process caused: cannot allocate memory".to_owned(),
            }],
            gfp_readings: vec![GfpReading { kernels: "3.0 to 3.15".to_owned(), gfp: gfp.clone() }],
        }),
        kernel: Some("3.10.0-1160.el7.x86_64".to_owned()),
        outcome: Outcome::Failed,
        errno: Some("ENOMEM".to_owned()),
        pid: Some(753),
        tid: None,
        comm: Some("runc:[1:CHILD]".to_owned()),
        cgroup: Some(Cgroup { id: None, path: Some("/kubepods/pod1".to_owned()) }),
        container: creation.container.clone(),
        allocations: creation.allocations.clone(),
        slab_caches: vec![slab::SlabCache {
            name: "nf_conntrack_1".to_owned(),
            size: None,
            errno: Some("ENOMEM".to_owned()),
            failed: true,
        }],
        slab_failures: vec![slab::SlabFailure {
            name: Some("sock_inode_cache".to_owned()),
            size: Some(640),
            min_order: Some(0),
            gfp: None,
            times: 2,
        }],
        vmalloc: vec![slab::Vmalloc {
            bytes: Some(1 << 20),
            gfp: Some(gfp),
            lack: Some("addresses"),
        }],
        oom_kills: Some(vec![memcg::OomKill {
            pid: Some(7),
            comm: Some("java".to_owned()),
            cgroup: None,
            container: None,
            order: Some(1),
            gfp: None,
            scope: Some("memcg"),
            memcg: Some("/kubepods/pod1".to_owned()),
            page_fault: false,
        }]),
        memcg: Some(memcg::Memcg {
            path: Some("/kubepods/pod1".to_owned()),
            usage_kib: Some(1024),
            limit_kib: Some(1024),
            kmem_usage_kib: Some(512),
            kmem_limit_kib: None,
            held_kib: Some(512),
        }),
        fork_refused: Some(memcg::ForkRefused {
            cgroup: Some("/kubepods/pod1".to_owned()),
            processes: None,
            limit: None,
            times: Some(3),
        }),
        tasks: Some(notice::UnitTasks {
            unit: Some("docker.service".to_owned()),
            count: 4915,
            limit: 4915,
        }),
        pid_max: Some(32_768),
        percpu: Some(notice::PercpuFailure {
            bytes: Some(256),
            atomic: false,
            reason: "failed to populate".to_owned(),
            lacks_pages: true,
        }),
        hung: Some(notice::HungTask { seconds: 120, waits_in: HungIn::Compaction }),
        excluded: Some(notice::ExcludedZones {
            nodes: "1".to_owned(),
            none_in_reach: false,
            free_kib: 4096,
            zone: "zone Normal of node 0".to_owned(),
        }),
        node: None,
        verdict: creation.verdict.clone().expect("it failed"),
    }
}

/// A creation that does not end, with a sleep in this function.
fn unfinished(comm: &str, function: &str) -> Line {
    let step = fixtures::failed_creation();
    let stack =
        [("msleep", None), (function, Some(comm)), ("ops_init", None), ("copy_net_ns", None)];
    view::unfinished(
        time(),
        &Unfinished {
            creation: fixtures::KEY,
            task: Task { comm: comm.to_owned(), ..step.task },
            step: CountedStep::Namespaces,
            namespaces: 0x4000_0000,
            cgroup: Some(CgroupPath { names: vec![comm.to_owned()], truncated: false }),
            container: None,
            at_ns: fixtures::KEY.began_ns + 70_000_000_000,
            failures: 3,
            state: Unended::UnderWay {
                stall_ns: 2_000_000,
                stack: Some(stack.map(|(name, module)| fixtures::frame(name, module)).to_vec()),
            },
            more: 4,
        },
    )
}

fn end_lost() -> Line {
    let step = fixtures::failed_creation();
    view::unfinished(
        time(),
        &Unfinished {
            creation: fixtures::KEY,
            task: step.task,
            step: CountedStep::Other,
            namespaces: 0,
            cgroup: step.cgroup,
            container: step.container,
            at_ns: fixtures::KEY.began_ns + 15_000_000_000,
            failures: 0,
            state: Unended::EndLost,
            more: 0,
        },
    )
}

/// Steps that were only counted.
fn repeats(comm: &str, directory: &str) -> Line {
    let repeats = Repeats {
        step: CountedStep::Namespaces,
        errno: Some(libc::ENOSPC),
        user: Some(1000),
        count: 2914,
        last_ns: 1,
        cgroup_id: 4711,
        pid: 753,
        comm: comm.to_owned(),
    };
    let cgroup = CgroupPath { names: vec![directory.to_owned()], truncated: false };
    view::repeats(time(), &repeats, Some(&cgroup))
}

fn recording() -> Line {
    let sample = |second: u64| Sample {
        time_ns: second * 1_000_000_000,
        zones: vec![SampleZone {
            node: 0,
            name: "DMA32".to_owned(),
            above_min: 3000 - second.cast_signed() * 40,
            blocks: vec![60_000 + second * 10, 900, 300 - second * 2, 40, 12, 3, 1, 0, 0, 0, 0],
        }],
        vm: Some(VmCounters {
            compact_stall: second * 3,
            compact_fail: second * 2,
            allocstall: second,
            ..VmCounters::default()
        }),
        memory_cgroups: fixtures::facts(0).memory_cgroups,
        pressure: Some(MemoryPressure { some_us: second * 14_000, full_us: 0 }),
        fallbacks: Some(Fallbacks { counts: [[0, second, 0], [0, 0, 0], [0, 1, 0]] }),
    };
    let recording = Recording {
        triggered_ns: 70_500_000_000,
        reason: Trigger::Creation,
        samples: (1..=130).map(sample).collect(),
    };
    let offset = time().as_nanosecond() as i64;
    view().recording(&recording, offset).expect("it has samples")
}

fn summary_of_a_trace() -> Line {
    let outside = OutsideCounts {
        slow_paths: 120,
        failures: Some(7),
        compactions: 9,
        reclaims: 31,
        omitted_failures: 2,
        omitted_steps: 0,
    };
    Line::Summary(Summary {
        incidents: 1,
        causes: [(Cause::NotMemory, 1), (Cause::Fragmentation, 2)].into(),
        watched: Some(Watched {
            creations: Creations { ok: 2, stalled: 0, degraded: 1, failed: 3, unfinished: 1 },
            other_namespaces: 7,
            incidents_omitted: 4,
            outside: Some(view::outside(outside)),
            failed_steps: 0,
            lost: 3,
            slowest_report_us: Some(1830),
        }),
        logs: None,
    })
}

fn summary_of_logs() -> Line {
    let mut logs = Logs { found: true, files: 2, unread_files: 1, lines: 900, ..Logs::default() };
    logs.skipped.cut_lines = 1;
    logs.skipped.binary_files = 2;
    logs.skipped.compressed_tail_lost = true;
    logs.left_out = vec![
        LeftOutFiles { reason: LeftOut::Journal, count: 1, first: "var/log/x.journal".to_owned() },
        LeftOutFiles { reason: LeftOut::Link, count: 3, first: "a\u{1b}[1mb".to_owned() },
    ];
    let causes = [(Cause::MemcgIds, 1)].into();
    Line::Summary(Summary { incidents: 1, causes, watched: None, logs: Some(logs) })
}
