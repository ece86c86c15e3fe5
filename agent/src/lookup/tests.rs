//! The lookup thread, on machines that consist of files in a directory.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use fragwatch_core::model::identity::{Identity, NamedBy};

use super::*;
use crate::lookup::worker::Sources;

mod api;
mod fake_runtime;
mod files;
mod netns;

const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
/// Limit for every wait; a test that reaches it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A machine's root directory, removed when dropped.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let root =
            std::env::temp_dir().join(format!("fragwatch-lookup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).expect("a directory of our own");
        Self(root)
    }

    fn write(&self, path: &str, content: &str) -> PathBuf {
        let path = self.0.join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it can be made");
        fs::write(&path, content).expect("a file of our own");
        path
    }

    fn pod_logs(&self, entry: &str) {
        let entry = entry.replace("UID", UID);
        fs::create_dir_all(self.0.join("var/log/pods").join(entry)).expect("it can be made");
    }

    fn lookup(&self) -> Lookup {
        Lookup::start(&self.0).expect("a thread can be started")
    }

    /// The identities of all replies to one query.
    fn query(&self, query: &Query) -> Vec<Identity> {
        all_replies(&self.lookup(), query)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The identities of all replies to one query, without duplicates.
fn all_replies(lookup: &Lookup, query: &Query) -> Vec<Identity> {
    lookup.query(query.clone());
    let until = Instant::now() + DEADLINE;
    let mut known: Vec<Identity> = Vec::new();
    loop {
        let reply = lookup.wait_for_reply(until).expect("a reply arrives in time");
        assert_eq!(reply.query, *query);
        known.retain(|known| !reply.identities.contains(known));
        known.extend(reply.identities);
        if reply.last {
            return known;
        }
    }
}

fn container() -> Query {
    Query::Container { id: ID.to_owned(), pod_uid: None }
}

fn pod() -> Query {
    Query::Pod { uid: UID.to_owned() }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("milliseconds since 1970 fit")
}

#[track_caller]
fn check(
    known: &[Identity],
    by: NamedBy,
    runtime: Option<&str>,
    pod: Option<&str>,
    name: Option<&str>,
) {
    let found = known.iter().find(|known| known.by == by).unwrap_or_else(|| panic!("{known:#?}"));
    assert_eq!(found.runtime.as_deref(), runtime);
    assert_eq!(found.pod.as_deref(), pod);
    assert_eq!(found.name.as_deref(), name);
}

const CONTAINERD_SPEC: &str = r#"{"ociVersion":"1.1.0","annotations":{
    "io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.container-type":"container",
    "io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop",
    "io.kubernetes.cri.sandbox-uid":"6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f"},"linux":{"namespaces":[{"type":"pid"}]}}"#;

#[test]
fn a_record_that_appears_later_is_in_a_second_reply() {
    let machine = Machine::new("crun");
    machine.pod_logs("default_web-0_UID");
    let lookup = machine.lookup();
    let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    lookup.query(of_pod);
    let first = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    check(&first.identities, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(!first.last);
    machine.write("run/crun/ID/status", "{}");
    let last = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    check(&last.identities, NamedBy::RuntimeState, Some("crun"), None, None);
    check(&last.identities, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(last.last);
}

#[test]
fn containers_that_podman_just_created_are_candidates() {
    let machine = Machine::new("starting");
    let at = |seconds: i64| {
        jiff::Timestamp::from_millisecond(now_ms() + seconds * 1000).expect("a time").to_string()
    };
    let list = format!(
        r#"[{{"id":"a","names":["old"],"created":"{}"}},{{"id":"b","names":["web"],"created":"{}"}},
            {{"id":"c","names":["db"],"created":"{}"}},{{"id":"d"}}]"#,
        at(-3600),
        at(-5),
        at(-1)
    );
    machine.write("var/lib/containers/storage/overlay-containers/containers.json", &list);
    let query = Query::Starting { comm: "podman".to_owned(), pid: Some(7), at_ms: now_ms() };
    let known = machine.query(&query);
    let names: Vec<&str> = known.iter().filter_map(|known| known.name.as_deref()).collect();
    assert_eq!(names, ["db", "web"]);
}

#[test]
fn the_runtimes_log_is_read_a_second_time() {
    let machine = Machine::new("log");
    let lookup = machine.lookup();
    let query = Query::Starting { comm: "containerd".to_owned(), pid: Some(812), at_ms: now_ms() };
    lookup.query(query.clone());
    let first = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    assert_eq!((first.identities, first.last), (Vec::new(), false));
    let time = jiff::Timestamp::from_millisecond(now_ms()).expect("a time");
    let line = format!(
        r#"time="{time}" level=info msg="RunPodSandbox for &PodSandboxMetadata{{Name:web-0,Uid:{UID},Namespace:shop,Attempt:0,}}""#
    );
    machine.write("var/log/containerd.log", &line);
    let last = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    assert!(last.last);
    check(&last.identities, NamedBy::RuntimeLog, Some("containerd"), Some("web-0"), None);
}

#[test]
fn a_line_of_another_process_in_syslog_is_no_candidate() {
    let machine = Machine::new("syslog");
    let time = jiff::Timestamp::from_millisecond(now_ms()).expect("a time");
    let line = |pid: u32, name: &str| {
        format!(
            r#"Nov 20 09:42:35 node containerd[{pid}]: time="{time}" level=info msg="RunPodSandbox for &PodSandboxMetadata{{Name:{name},Uid:{UID},Namespace:shop,Attempt:0,}}""#
        )
    };
    machine.write("var/log/syslog", &format!("{}\n{}\n", line(812, "web-0"), line(4711, "forged")));
    let query =
        |pid| Query::Starting { comm: "containerd".to_owned(), pid: Some(pid), at_ms: now_ms() };
    let names = |found: Vec<Identity>| -> Vec<String> {
        found.into_iter().filter_map(|one| one.pod).collect()
    };
    assert_eq!(names(machine.query(&query(812))), ["web-0"]);
    assert_eq!(names(machine.query(&query(9))), Vec::<String>::new());
}

/// Only the thread's file system user id changes, so that other tests keep root's rights.
#[test]
fn an_unreadable_source_is_reported_once_and_others_are_used() {
    let machine = Machine::new("permission");
    machine.pod_logs("default_web-0_UID");
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    let path = machine.write(spec, CONTAINERD_SPEC);
    let tasks = path.ancestors().nth(3).expect("it is in it");
    fs::set_permissions(tasks, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let root = machine.0.clone();
    let result = thread::spawn(move || {
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
        let mut sources = Sources::new(root);
        let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
        let known = [sources.look_up(&of_pod), sources.look_up(&of_pod)];
        (known, sources.warned())
    });
    let (known, warned) = result.join().expect("the thread does not panic");
    for known in known {
        assert_eq!(known.len(), 1, "{known:#?}");
        check(&known, NamedBy::PodLogs, None, Some("web-0"), None);
    }
    assert_eq!(warned, ["the runtime's state"]);
}

#[test]
fn excess_queries_are_dropped_without_blocking() {
    let machine = Machine::new("many");
    machine.pod_logs("default_web-0_UID");
    let lookup = machine.lookup();
    for number in 0..10_000 {
        lookup.query(Query::Pod { uid: number.to_string() });
    }
    let until = Instant::now() + DEADLINE;
    // The accepted queries are answered; then there is room again.
    while lookup.wait_for_reply(Instant::now() + Duration::from_millis(200)).is_some() {
        assert!(Instant::now() < until, "replies must end");
    }
    check(&all_replies(&lookup, &pod()), NamedBy::PodLogs, None, Some("web-0"), None);
}
