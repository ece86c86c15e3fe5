//! What is said of logs, each cause beside the control that must not get it. The lines are made up.
use fragwatch_core::{
    diagnose::{Evidence, diagnose},
    model::{
        incident::Incident,
        verdict::{Cause, Confidence, Verdict},
    },
};

use crate::{
    assemble::Assembler,
    line::{LogLine, Origin},
};

fn read(lines: &str) -> Vec<Incident> {
    let mut assembler = Assembler::default();
    let mut found = Vec::new();
    for (number, text) in lines.lines().enumerate() {
        let number = number as u64 + 1;
        found.extend(assembler.push(&LogLine {
            source: 0,
            nth: number,
            received: None,
            first: number,
            last: number,
            time: None,
            caller: None,
            origin: Origin::Unknown,
            host: None,
            text: text.to_owned(),
        }));
    }
    found.extend(assembler.flush());
    found
}

#[track_caller]
fn verdict_on(lines: &str) -> Verdict {
    let found = read(lines);
    assert_eq!(found.len(), 1, "{found:#?}");
    diagnose(&Evidence::incident(&found[0], &[]))
}

#[track_caller]
fn check(lines: &str, cause: Cause, confidence: Confidence) {
    let verdict = verdict_on(lines);
    assert_eq!((verdict.cause, verdict.confidence), (cause, confidence), "{verdict:#?}");
}

/// A failure with one zone: `free` of it in KiB, in blocks as the line says.
fn failure(order: u32, mask: &str, kernel: &str, free: u64, blocks: &str) -> String {
    format!(
        "x: page allocation failure: order:{order}, mode:{mask}, nodemask=(null)
CPU: 0 PID: 7 Comm: x Not tainted {kernel} #1
Call Trace:
 warn_alloc+0x1/0x2
 asks+0x1/0x2
Mem-Info:
active_anon:1 inactive_anon:1 isolated_anon:0
Node 0 Normal free:{free}kB min:4000kB low:5000kB high:6000kB reserved_highatomic:0KB present:1000000kB managed:1000000kB free_cma:0kB
lowmem_reserve[]: 0 0
Node 0 Normal: {blocks} = {free}kB
10 total pagecache pages
250000 pages RAM"
    )
}

const KERNEL: &str = "0xcc0(GFP_KERNEL)";
const ATOMIC: &str = "0x820(GFP_ATOMIC)";
const SMALL: &str = "5000*4kB (UME) 0*8kB 0*16kB 0*32kB 0*64kB";
const LARGE: &str = "4984*4kB (UME) 0*8kB 0*16kB 0*32kB 1*64kB (M)";
const RESERVED: &str = "4984*4kB (UME) 0*8kB 0*16kB 0*32kB 1*64kB (H)";

#[test]
fn blocks_that_are_lacking_and_blocks_that_are_there() {
    let at = |blocks| failure(4, KERNEL, "6.1.0", 20_000, blocks);
    check(&at(SMALL), Cause::Fragmentation, Confidence::High);
    check(&at(LARGE), Cause::Undetermined, Confidence::Low);
    check(&at(RESERVED), Cause::Fragmentation, Confidence::Medium);
    // The block lies in CMA, in which a movable allocation may be.
    let movable = "0x100cca(GFP_HIGHUSER_MOVABLE)";
    let cma = at(LARGE).replace("free_cma:0kB", "free_cma:64kB").replace("(M)", "(C)");
    check(&cma, Cause::Fragmentation, Confidence::Medium);
    check(&cma.replace(KERNEL, movable), Cause::Undetermined, Confidence::Low);
}

#[test]
fn too_few_pages_are_exhaustion_at_any_order() {
    check(
        &failure(4, KERNEL, "6.1.0", 4000, "1000*4kB (UME) 0*8kB"),
        Cause::Exhaustion,
        Confidence::High,
    );
    check(
        &failure(0, KERNEL, "6.1.0", 3000, "750*4kB (UME) 0*8kB"),
        Cause::Exhaustion,
        Confidence::High,
    );
    // Order 0 with plenty of pages speaks against itself.
    check(&failure(0, KERNEL, "6.1.0", 20_000, SMALL), Cause::Undetermined, Confidence::Low);
}

#[test]
fn old_kernels_refuse_their_last_large_blocks() {
    let at = |kernel| failure(4, "0xd0", kernel, 20_000, LARGE).replace(", nodemask=(null)", "");
    check(&at("3.13.0-29-generic"), Cause::Fragmentation, Confidence::High);
    // Later kernels give them.
    let later = failure(4, KERNEL, "4.8.0", 20_000, LARGE);
    check(&later, Cause::Undetermined, Confidence::Low);
}

#[test]
fn who_may_not_wait_is_under_pressure_at_order_0() {
    let at = |order, free, blocks| failure(order, ATOMIC, "6.1.0", free, blocks);
    check(&at(0, 3000, "750*4kB (UME) 0*8kB"), Cause::AtomicPressure, Confidence::High);
    check(&at(0, 20_000, SMALL), Cause::Undetermined, Confidence::Low);
    check(&at(2, 20_000, SMALL), Cause::Fragmentation, Confidence::Medium);
    check(&at(2, 1000, "250*4kB (UME) 0*8kB"), Cause::AtomicPressure, Confidence::High);
    let header = "x: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), nodemask=(null)";
    check(header, Cause::AtomicPressure, Confidence::Medium);
    check(&header.replace("order:0", "order:2"), Cause::Undetermined, Confidence::Low);
    check(&header.replace("0x820(GFP_ATOMIC)", KERNEL), Cause::Exhaustion, Confidence::Medium);
}

#[test]
fn lines_that_are_lost_lower_the_confidence() {
    let whole = failure(4, KERNEL, "6.1.0", 20_000, SMALL);
    let cut = whole.replace("0*64kB = 20000kB", "0*6");
    check(&cut, Cause::Fragmentation, Confidence::Medium);
    let without = whole.lines().take(9).collect::<Vec<_>>().join("\n");
    check(&without, Cause::Fragmentation, Confidence::Medium);
    let heading = whole.lines().take(5).collect::<Vec<_>>().join("\n");
    // It may compact, so that lack of a block is the likeliest; up to order 3 it would not fail.
    check(&heading, Cause::Fragmentation, Confidence::Low);
    check(&heading.replace("order:4", "order:3"), Cause::Undetermined, Confidence::Low);
}

/// An OOM kill with one zone.
fn kill(order: i32, free: u64, blocks: &str, constraint: &str) -> String {
    let report = failure(0, KERNEL, "6.1.0", free, blocks);
    let (_, report) = report.split_once('\n').expect("lines");
    let report = report.replace("warn_alloc+", "dump_header+");
    format!(
        "x invoked oom-killer: gfp_mask={KERNEL}, order={order}, oom_score_adj=0
{report}
oom-kill:constraint={constraint},nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a,task=t,pid=9,uid=0
Out of memory: Killed process 9 (t) total-vm:1kB"
    )
}

#[test]
fn kills_for_lack_of_pages_and_for_lack_of_blocks() {
    let none = "CONSTRAINT_NONE";
    check(&kill(0, 3000, "750*4kB (UME) 0*8kB", none), Cause::Exhaustion, Confidence::High);
    check(&kill(2, 20_000, SMALL, none), Cause::OomFragmentation, Confidence::High);
    check(&kill(2, 3000, "750*4kB (UME) 0*8kB", none), Cause::Exhaustion, Confidence::High);
    check(&kill(2, 20_000, LARGE, none), Cause::Undetermined, Confidence::Low);
    check(&kill(-1, 20_000, SMALL, none), Cause::NotMemory, Confidence::High);
    // Between the marks: the kernel's last attempt is held to the high one.
    check(&kill(0, 5500, "1375*4kB (UME) 0*8kB", none), Cause::Exhaustion, Confidence::High);
    // Plenty at order 0 speaks against itself.
    check(&kill(0, 20_000, SMALL, none), Cause::Undetermined, Confidence::Low);
    let bounded = kill(0, 3000, "750*4kB (UME) 0*8kB", "CONSTRAINT_CPUSET");
    check(&bounded, Cause::Exhaustion, Confidence::Medium);
}

#[test]
fn a_kill_without_its_heading() {
    check("Out of memory: Killed process 9 (t) total-vm:1kB", Cause::Exhaustion, Confidence::Low);
    check(
        "Memory cgroup out of memory: Killed process 9 (t) total-vm:1kB",
        Cause::MemcgLimit,
        Confidence::High,
    );
    check(
        "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        Cause::Undetermined,
        Confidence::Low,
    );
}

fn full(kernel: &str, kmem: u64, held: u64) -> String {
    format!(
        "java invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0
CPU: 0 PID: 7 Comm: java Not tainted {kernel} #1
Task in /a/b killed as a result of limit of /a
memory: usage 100000kB, limit 100000kB, failcnt 9
kmem: usage {kmem}kB, limit 9007199254740988kB, failcnt 0
Memory cgroup stats for /a: cache:0KB rss:{held}KB rss_huge:0KB
Memory cgroup out of memory: Kill process 7 (java) score 9 or sacrifice child
Killed process 7 (java) total-vm:1kB"
    )
}

#[test]
fn a_full_cgroup_and_a_leak_in_it() {
    let el7 = "3.10.0-957.el7.x86_64";
    check(&full(el7, 1000, 90_000), Cause::MemcgLimit, Confidence::High);
    check(&full(el7, 99_000, 500), Cause::KmemLeak, Confidence::Medium);
    // Kernel memory on a kernel that gives it back, and kernel memory beside what tasks hold.
    check(&full("5.10.0", 99_000, 500), Cause::MemcgLimit, Confidence::High);
    check(&full(el7, 95_000, 40_000), Cause::MemcgLimit, Confidence::High);
    let verdict = verdict_on(&full(el7, 99_000, 500));
    assert!(verdict.because.iter().any(|b| b.contains("fits memcg-limit")), "{verdict:?}");
}

#[test]
fn a_cache_of_a_cgroup_and_a_cache_of_the_node() {
    let slab = "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)
  cache: dentry(12:abc), object size: 192, buffer size: 192, default order: 0, min order: 0";
    check(slab, Cause::MemcgLimit, Confidence::Medium);
    check(&slab.replace("(12:abc)", ""), Cause::Undetermined, Confidence::Low);
    // The page allocator reported it itself: then pages were lacking.
    let both = failure(0, KERNEL, "5.4.0", 3000, "750*4kB (UME) 0*8kB")
        + "\n"
        + &slab.replace("(gfp=0xd0)", ", gfp=0xcc0(GFP_KERNEL)");
    check(&both, Cause::Exhaustion, Confidence::High);
}

#[test]
fn mkdir_of_memory_cgroups() {
    let mkdir = "mkdir /sys/fs/cgroup/memory/kubepods/x: cannot allocate memory";
    check(mkdir, Cause::MemcgIds, Confidence::Medium);
    let on = |kernel: &str, line: &str| format!("Linux version {kernel} (a@b)\n{line}");
    check(&on("3.10.0-1160.el7.x86_64", mkdir), Cause::MemcgIds, Confidence::Medium);
    // 5.10 says ENOSPC then, so this is something else.
    check(&on("5.10.0-30-amd64", mkdir), Cause::Undetermined, Confidence::Low);
    let no_space = "mkdir /sys/fs/cgroup/kubepods/x: no space left on device";
    check(&on("5.10.0-30-amd64", no_space), Cause::MemcgIds, Confidence::Medium);
    let busy = "mkdir /sys/fs/cgroup/kubepods/x: device or resource busy";
    check(&on("6.12.1", busy), Cause::MemcgIds, Confidence::Medium);
    check(busy, Cause::MemcgIds, Confidence::Low);
    // Another controller's directory has no memory cgroup.
    check(
        "mkdir /sys/fs/cgroup/cpuset/x: no space left on device",
        Cause::Undetermined,
        Confidence::Low,
    );
}

#[test]
fn vmalloc_lacks_addresses_or_asks_for_too_much() {
    check(
        "vmap allocation for size 20480 failed: use vmalloc=<size> to increase size.",
        Cause::VmallocExhaustion,
        Confidence::High,
    );
    let old = |bytes: u64| {
        format!(
            "vmalloc: allocation failure: {bytes} bytes\n{}",
            failure(0, "0xd2", "4.1.0", 20_000, SMALL).replace(", nodemask=(null)", "")
        )
    };
    check(&old(1 << 20), Cause::VmallocExhaustion, Confidence::Medium);
    check(&old(1 << 40), Cause::Undetermined, Confidence::Low);
    check(
        "x: vmalloc error: size 8192, exceeds total pages, mode:0xcc0(GFP_KERNEL)",
        Cause::Undetermined,
        Confidence::Low,
    );
}

#[test]
fn limits_and_other_reasons() {
    check(
        "cgroup: fork rejected by pids controller in /docker/7",
        Cause::PidsLimit,
        Confidence::High,
    );
    check(
        "runc run failed: fork/exec /proc/self/exe: resource temporarily unavailable",
        Cause::PidsLimit,
        Confidence::Medium,
    );
    check(
        "failed to unshare remaining namespaces: No space left on device",
        Cause::NamespaceLimit,
        Confidence::High,
    );
    check(
        "runc run failed: exec: \"x\": executable file not found in $PATH",
        Cause::NotMemory,
        Confidence::High,
    );
    check(
        "OCI runtime create failed: cannot allocate memory",
        Cause::Undetermined,
        Confidence::Low,
    );
    check(
        "OCI runtime create failed: getting the final child's pid from pipe caused: EOF",
        Cause::Undetermined,
        Confidence::Low,
    );
}

#[test]
fn a_stall_is_no_failure() {
    check(
        "x: page allocation stalls for 12040ms, order:0, mode:0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null)",
        Cause::Undetermined,
        Confidence::Low,
    );
}

#[test]
fn a_page_fault_without_memory_while_there_was_plenty() {
    let fault = |free, blocks: &str| {
        kill(0, free, blocks, "CONSTRAINT_NONE")
            .replace("gfp_mask=0xcc0(GFP_KERNEL)", "gfp_mask=0x0()")
            .replace("asks+", "pagefault_out_of_memory+")
    };
    check(&fault(20_000, SMALL), Cause::MemcgLimit, Confidence::Low);
    check(&fault(3000, "750*4kB (UME) 0*8kB"), Cause::Exhaustion, Confidence::High);
}
