//! Logs and the incidents that are in them.
use fragwatch_core::model::kernel_version::KernelVersion;
use fragwatch_core::model::{allocation::Outcome, event::OomScope, log_time::LogTime};

use super::*;
use crate::line::Caller;
use crate::line::Origin;

/// Lines of the kernel's; `T7|` or `C1|` before one is its caller.
fn kernel(lines: &str) -> Vec<LogLine> {
    let line = |(number, text): (usize, &str)| {
        let (caller, text) = match text.split_once('|') {
            Some((caller, text)) if caller.len() < 6 && !caller.contains(' ') => {
                let number = caller[1..].parse().expect("a caller's number");
                let caller = if caller.starts_with('T') {
                    Caller::Thread(number)
                } else {
                    Caller::Cpu(number)
                };
                (Some(caller), text)
            }
            _ => (None, text),
        };
        let number = number as u64 + 1;
        LogLine {
            source: 0,
            nth: number,
            received: None,
            first: number,
            last: number,
            time: None,
            caller,
            origin: Origin::Unknown,
            host: None,
            text: text.to_owned(),
        }
    };
    lines.lines().enumerate().map(line).collect()
}

fn read(lines: &[LogLine]) -> Vec<Incident> {
    let mut gatherer = Assembler::default();
    let mut found: Vec<Incident> = lines.iter().flat_map(|line| gatherer.push(line)).collect();
    found.extend(gatherer.flush());
    assert!(gatherer.is_idle());
    found
}

#[track_caller]
fn line_numbers(incident: &Incident) -> (u64, u64) {
    incident.log().expect("it is of a log").lines
}

fn one(lines: &str) -> Incident {
    let mut found = read(&kernel(lines));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

const FAILURE: &str = "\
runc: page allocation failure: order:6, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0
CPU: 1 PID: 753 Comm: runc Not tainted 6.1.0-37-amd64 #1
Call Trace:
 <TASK>
 dump_stack+0x10/0x16
 warn_alloc+0x138/0x160
 __alloc_pages+0x311/0x330
 ? getblk+0x1/0x2
 fw_pernet_init+0x25/0x80 [fw]
 copy_net_ns+0x1/0x2
 </TASK>
Mem-Info:
active_anon:26033 inactive_anon:61950 isolated_anon:0
 free:15000 free_pcp:143 free_cma:0
Node 0 Normal free:60000kB min:8000kB low:9000kB high:10000kB managed:8000000kB free_cma:0kB
lowmem_reserve[]: 0 0 0
Node 0 Normal: 15000*4kB (UME) 0*8kB 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB = 60000kB
354921 total pagecache pages
4194165 pages RAM";

#[test]
fn a_whole_report_is_one_incident() {
    let found = one(FAILURE);
    assert_eq!((found.comm.as_deref(), found.pid), (Some("runc"), Some(753)));
    assert_eq!(found.kernel.as_ref().map(KernelVersion::as_str), Some("6.1.0-37-amd64"));
    assert_eq!(line_numbers(&found), (1, 19));
    let [allocation] = &found.allocations[..] else { panic!("{found:?}") };
    assert_eq!((allocation.order, allocation.gfp.raw), (6, 0x40dc0));
    let failure = allocation.failure.as_ref().expect("a failure");
    assert!(failure.zones_complete);
    let names: Vec<_> = failure.stack.iter().filter_map(|f| f.function.as_deref()).collect();
    assert_eq!(
        names,
        ["dump_stack", "warn_alloc", "__alloc_pages", "fw_pernet_init", "copy_net_ns"]
    );
    assert_eq!(found.memory.and_then(|m| m.ram), Some(4_194_165 * 4096));
    assert_eq!(found.gaps, Vec::<String>::new());
}

#[test]
fn who_watches_does_not_stand_on_the_stack() {
    let watched = FAILURE.replace(
        " copy_net_ns+0x1/0x2",
        " ops_init+0x1/0x2\n bpf_trampoline_6442541670+0x1/0x2\n ops_init+0x5/0x6\n copy_net_ns+0x1/0x2",
    );
    let found = one(&watched);
    let stack = &found.allocations[0].failure.as_ref().expect("a failure").stack;
    let names: Vec<_> = stack.iter().skip(3).filter_map(|f| f.function.as_deref()).collect();
    assert_eq!(names, ["fw_pernet_init", "ops_init", "copy_net_ns"]);
}

#[test]
fn a_quoted_heading_is_of_the_report_below_it() {
    let mut lines = kernel(&format!(
        "{}\nand this is all of it:\n{FAILURE}",
        FAILURE.lines().next().expect("lines")
    ));
    // What is pasted has times, what is quoted in a sentence has none.
    for line in lines.iter_mut().skip(2) {
        line.time = Some(LogTime { boot: Some(Duration::from_secs(9)), wall: None });
    }
    let found = read(&lines);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(line_numbers(&found[0]), (1, 21));
    assert!(found[0].log().is_some_and(|log| log.time.is_some()));
}

#[test]
fn callers_tell_interleaved_reports_apart() {
    let other = FAILURE.replace("runc", "bash").replace("753", "800").replace("order:6", "order:3");
    let both: Vec<String> = FAILURE
        .lines()
        .zip(other.lines())
        .flat_map(|(one, other)| [format!("T753|{one}"), format!("T800|{other}")])
        .collect();
    let found = read(&kernel(&both.join("\n")));
    let reported: Vec<_> =
        found.iter().map(|i| (i.comm.as_deref(), i.allocations[0].order, i.pid)).collect();
    assert_eq!(reported, [(Some("runc"), 6, Some(753)), (Some("bash"), 3, Some(800))]);
    for incident in &found {
        let failure = incident.allocations[0].failure.as_ref().expect("a failure");
        assert!(failure.zones_complete);
        assert_eq!(failure.stack.len(), 5);
    }
}

#[test]
fn a_second_heading_within_a_report_is_another_incident() {
    let kill = "bash invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0";
    let lines = FAILURE.replace("Call Trace:", &format!("{kill}\nCall Trace:"));
    let found = read(&kernel(&lines));
    assert_eq!(found.len(), 2);
    // Stack and memory are of the one whose warning stands in the stack.
    assert_eq!(found[0].comm.as_deref(), Some("runc"));
    assert!(found[0].allocations[0].failure.as_ref().is_some_and(|f| f.zones_complete));
    assert_eq!(found[1].oom_kills.first().map(|oom| &oom.scope), Some(&OomScope::Unknown));
}

#[test]
fn a_report_without_its_heading_is_left_out() {
    let (_, rest) = FAILURE.split_once('\n').expect("lines");
    let mut gatherer = Assembler::default();
    let mut found: Vec<Incident> =
        kernel(rest).iter().flat_map(|line| gatherer.push(line)).collect();
    found.extend(gatherer.flush());
    assert_eq!(found, []);
    assert_eq!(gatherer.without_beginning(), 1);
}

#[test]
fn a_cut_report_says_so() {
    let cut: Vec<&str> = FAILURE.lines().take(15).collect();
    let found = one(&cut.join("\n"));
    assert!(!found.gaps.is_empty());
    assert!(!found.allocations[0].failure.as_ref().expect("a failure").zones_complete);
}

#[test]
fn a_refused_cache_belongs_to_the_allocation_before_it() {
    let lines = FAILURE.to_owned()
        + "\nkmem_cache_create(nf_conntrack_9) failed with error -12\nCPU: 1 PID: 753 Comm: runc Not tainted 6.1.0-37-amd64 #1\nCall Trace:\n dump_stack+0x1/0x2\n kmem_cache_create+0x1/0x2\nUnable to create nf_conn slab cache";
    let found = one(&lines);
    assert_eq!(found.slab_caches.len(), 1);
    assert_eq!(line_numbers(&found), (1, 25));
    // By itself it says who only below.
    let found = one(
        "kmem_cache_create(a) failed with error -12\nCPU: 1 PID: 7 Comm: exe Not tainted 3.10.0 #1",
    );
    assert_eq!((found.comm.as_deref(), found.pid), (Some("exe"), Some(7)));
}

#[test]
fn slab_failures_of_one_cgroup_are_one_incident() {
    let cache = |name: &str| {
        format!(
            "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)\n  cache: {name}(7:abc), object size: 104, buffer size: 104, default order: 0, min order: 0\n  node 0: slabs: 6, objs: 234, free: 0\n"
        )
    };
    let found = one(&(cache("filp") + &cache("dentry") + &cache("filp")));
    assert_eq!(found.slab_failures.len(), 2);
    assert_eq!(found.slab_failures[0].times, 2);
    assert_eq!(found.slab_failures[0].memcg(), Some("abc"));
    // Headings before caches, as two CPUs print them.
    let found = one(
        "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)\nSLUB: Unable to allocate memory on node -1 (gfp=0x20)\n  cache: a(7:abc), object size: 1, min order: 1\n  cache: b(7:abc), object size: 2, min order: 0",
    );
    let reported: Vec<_> = found
        .slab_failures
        .iter()
        .map(|s| (s.cache.as_deref(), s.gfp.as_ref().map(|g| g.raw)))
        .collect();
    assert_eq!(reported, [(Some("a(7:abc)"), Some(0xd0)), (Some("b(7:abc)"), Some(0x20))]);
}

#[test]
fn kills_of_a_cgroup_and_of_the_node() {
    let found = one(
        "java invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\nCPU: 1 PID: 9 Comm: java Not tainted 3.10.0-514.el7.x86_64 #1\nTask in /docker/7/a killed as a result of limit of /docker/7\nmemory: usage 1000kB, limit 1000kB, failcnt 5\nkmem: usage 10kB, limit 9007199254740988kB, failcnt 0\nMemory cgroup out of memory: Kill process 9 (java) score 9 or sacrifice child\nKilled process 10 (sh) total-vm:1kB",
    );
    assert_eq!(
        found.oom_kills.first().map(|oom| &oom.scope),
        Some(&OomScope::Memcg(Some("/docker/7".to_owned())))
    );
    let memcg = found.memcg.as_ref().expect("a cgroup");
    assert_eq!(
        (memcg.usage, memcg.limit, memcg.kmem_limit),
        (Some(1_024_000), Some(1_024_000), None)
    );
    assert_eq!(found.allocations[0].outcome, Outcome::CalledOomKiller);
    assert_eq!(found.comm.as_deref(), Some("java"));
    let found = one(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/x,task=y,pid=1,uid=0\nOut of memory: Killed process 1 (y) total-vm:1kB",
    );
    assert_eq!(found.oom_kills.first().map(|oom| &oom.scope), Some(&OomScope::Node));
    // Who called the OOM killer isn't known.
    assert_eq!((found.comm.as_deref(), found.oom_kills.len()), (None, 1));
    assert_eq!(found.oom_kills[0].comm.as_deref(), Some("y"));
}

#[test]
fn each_summary_is_a_kill_of_its_own() {
    let line = |pid: u32| {
        format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c{pid},mems_allowed=0,oom_memcg=/a,task_memcg=/a/c{pid},task=t,pid={pid},uid=0\n"
        )
    };
    assert_eq!(read(&kernel(&(line(1) + &line(2) + &line(3)))).len(), 3);
}

#[test]
fn a_containers_failure_joins_the_kernels_report() {
    let said = "nsexec-1[753]: failed to unshare remaining namespaces: Cannot allocate memory";
    let found = one(&format!("{said}\n{FAILURE}\n{said}"));
    assert_eq!(found.messages.len(), 1);
    assert_eq!(line_numbers(&found), (1, 21));
    // Another task's allocation has nothing to do with it.
    let other = FAILURE.replace("runc", "mysqld").replace("copy_net_ns", "vfs_write");
    assert_eq!(read(&kernel(&format!("{said}\n{other}"))).len(), 2);
}

#[test]
fn a_failure_that_has_its_reason_joins_nothing() {
    let said = "runc run failed: unable to start container process: exec: \"x\": executable file not found in $PATH";
    assert_eq!(read(&kernel(&format!("{said}\n{FAILURE}"))).len(), 2);
}

#[test]
fn refused_forks_are_counted() {
    let line = "cgroup: fork rejected by pids controller in /docker/7\n";
    let found = one(&line.repeat(3));
    let refused = found.fork_refused.expect("refused forks");
    assert_eq!((refused.cgroup.as_deref(), refused.times), (Some("/docker/7"), Some(3)));
}

#[test]
fn vmalloc_is_told_with_the_warning_that_follows_it() {
    let found = one(
        "vmap allocation for size 20480 failed: use vmalloc=<size> to increase size.\nvmalloc: allocation failure: 16384 bytes\ninsmod: page allocation failure: order:0, mode:0xd0\nCPU: 2 PID: 15 Comm: insmod Not tainted 4.1.20 #9",
    );
    assert_eq!((found.vmalloc.len(), found.allocations.len()), (2, 1));
    assert_eq!(found.comm.as_deref(), Some("insmod"));
}

#[test]
fn many_reports_at_once_are_bounded() {
    let lines: Vec<String> = (0..500)
        .map(|n| format!("T{n}|task{n}: page allocation failure: order:1, mode:0x20"))
        .collect();
    let mut gatherer = Assembler::default();
    let mut found = 0;
    for line in kernel(&lines.join("\n")) {
        found += gatherer.push(&line).len();
        assert!(gatherer.open.len() <= MAX_OPEN);
    }
    assert_eq!(found + gatherer.flush().len(), 500);
}
