//! Lines about OOM kills, of kernels of all ages.
use super::*;

#[track_caller]
fn invoked(text: &str, who: &str, raw: u32, expected: i32) {
    let Some(Oom::Invoked { comm, mask: Some(mask), order }) = parse(text) else {
        panic!("not a heading: {text}")
    };
    assert_eq!((comm.as_str(), mask.raw, order), (who, raw, Some(expected)), "{text}");
}

#[test]
fn headings_of_all_ages() {
    invoked("a invoked oom-killer: gfp_mask=0xd0, order=1, oom_adj=0", "a", 0xd0, 1);
    invoked(
        "runc:[2:INIT] invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=997",
        "runc:[2:INIT]",
        0xd0,
        0,
    );
    invoked(
        "a invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null),  order=2, oom_score_adj=0",
        "a",
        0x14000c0,
        2,
    );
    invoked(
        "kworker/0:2 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0",
        "kworker/0:2",
        0xcc0,
        -1,
    );
    invoked(
        "python3 invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0",
        "python3",
        0,
        0,
    );
}

#[test]
fn a_cgroup_at_its_limit() {
    assert_eq!(
        parse("Task in /a b/c killed as a result of limit of /a b"),
        Some(Oom::TaskIn { task: "/a b/c".to_owned(), limit_of: "/a b".to_owned() })
    );
    assert_eq!(
        parse("kmem: usage 4168kB, limit 9007199254740988kB, failcnt 0"),
        Some(Oom::Usage {
            what: Counter::Kmem,
            usage: 4168 * 1024,
            limit: 9_007_199_254_740_988 * 1024
        })
    );
    assert_eq!(
        parse("Memory cgroup stats for /a/b: cache:32KB rss:507732KB rss_huge:0KB"),
        Some(Oom::Stats { memcg: "/a/b".to_owned(), held: Some(507_764 * 1024) })
    );
    assert_eq!(
        parse("Memory cgroup stats for /lxc/7:"),
        Some(Oom::Stats { memcg: "/lxc/7".to_owned(), held: None })
    );
}

#[test]
fn the_summary_line() {
    let Some(Oom::Summary(summary)) = parse(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0-1,2,oom_memcg=/a,task_memcg=/a/b,c,task=x,y,pid=12,uid=0",
    ) else {
        panic!("not a summary")
    };
    assert_eq!(summary.constraint, Some(Constraint::Memcg));
    assert_eq!(summary.oom_memcg.as_deref(), Some("/a"));
    assert_eq!(summary.task_memcg.as_deref(), Some("/a/b,c"));
    assert_eq!(summary.comm.as_deref(), Some("x,y"));
    assert_eq!((summary.pid, summary.global), (Some(12), false));
    let Some(Oom::Summary(summary)) = parse(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/x,task=y,pid=1,uid=0",
    ) else {
        panic!("not a summary")
    };
    assert!(summary.global);
    assert_eq!((summary.oom_memcg, summary.task_memcg.as_deref()), (None, Some("/x")));
}

#[test]
fn victims_of_all_ages() {
    for (text, who, whose) in [
        (
            "Out of memory: Kill process 6 (mysqld) score 651 or sacrifice child",
            "mysqld",
            Some(false),
        ),
        ("Out of memory: kill process 6 (httpd) score 651 or a child", "httpd", Some(false)),
        (
            "Memory cgroup out of memory: Kill process 6 (a) b) score 0 or sacrifice child",
            "a) b",
            Some(true),
        ),
        ("Killed process 6 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB", "x", None),
        ("Killed process 6, UID 0, (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB", "x", None),
        ("Memory cgroup out of memory: Killed process 6 (x) total-vm:1kB, UID:0", "x", Some(true)),
    ] {
        let expected = Oom::Victim { pid: 6, comm: who.to_owned(), memcg: whose };
        assert_eq!(parse(text), Some(expected), "{text}");
    }
    assert_eq!(parse("Message:Memory cgroup out of memory: Killed process 1 (x)"), None);
    assert_eq!(
        parse("Memory cgroup out of memory and no killable processes..."),
        Some(Oom::NoVictim { memcg: true })
    );
}
