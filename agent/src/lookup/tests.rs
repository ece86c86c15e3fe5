//! The thread, on machines made of files in a directory.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use fragwatch_core::model::identity::{Identity, NamedBy};

use super::*;

mod api;
mod files;
mod netns;
mod runtime;

const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
/// Longer than anything takes here; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A machine: a directory that is gone with it.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("fw-names-{name}-{}", std::process::id()));
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

    fn resolver(&self) -> Lookup {
        Lookup::start(&self.0).expect("a thread can be started")
    }

    /// All that is told about one query.
    fn ask(&self, query: &Query) -> Vec<Identity> {
        ask(&self.resolver(), query)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All replies, to the last.
fn ask(resolver: &Lookup, query: &Query) -> Vec<Identity> {
    resolver.ask(query.clone());
    let until = Instant::now() + DEADLINE;
    let mut known: Vec<Identity> = Vec::new();
    loop {
        let reply = resolver.wait(until).expect("an reply comes in time");
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
    i64::try_from(since.as_millis()).expect("some time before the sun is gone")
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
fn what_a_runtime_records_a_moment_later_is_told_then() {
    let machine = Machine::new("crun");
    machine.pod_logs("default_web-0_UID");
    let resolver = machine.resolver();
    let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    resolver.ask(of_pod);
    let first = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
    check(&first.identities, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(!first.last);
    machine.write("run/crun/ID/status", "{}");
    let last = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
    check(&last.identities, NamedBy::RuntimeState, Some("crun"), None, None);
    check(&last.identities, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(last.last);
}

#[test]
fn podman_s_newest_containers_may_be_whom_it_is_starting() {
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
    let query = Query::Starting { comm: "podman".to_owned(), at_ms: now_ms() };
    let known = machine.ask(&query);
    let names: Vec<&str> = known.iter().filter_map(|known| known.name.as_deref()).collect();
    assert_eq!(names, ["db", "web"]);
}

#[test]
fn the_runtime_s_log_is_read_again_a_moment_later() {
    let machine = Machine::new("log");
    let resolver = machine.resolver();
    let query = Query::Starting { comm: "containerd".to_owned(), at_ms: now_ms() };
    resolver.ask(query.clone());
    let first = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
    assert_eq!((first.identities, first.last), (Vec::new(), false));
    let time = jiff::Timestamp::from_millisecond(now_ms()).expect("a time");
    let line = format!(
        r#"time="{time}" level=info msg="RunPodSandbox for &PodSandboxMetadata{{Name:web-0,Uid:{UID},Namespace:shop,Attempt:0,}}""#
    );
    machine.write("var/log/containerd.log", &line);
    let last = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
    assert!(last.last);
    check(&last.identities, NamedBy::RuntimeLog, Some("containerd"), Some("web-0"), None);
}

/// A thread has a user of its own for files, without root's rights.
#[test]
fn without_permission_the_rest_is_told_and_that_once() {
    let machine = Machine::new("permission");
    machine.pod_logs("default_web-0_UID");
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    let path = machine.write(spec, CONTAINERD_SPEC);
    let tasks = path.ancestors().nth(3).expect("it is in it");
    fs::set_permissions(tasks, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let root = machine.0.clone();
    let told = thread::spawn(move || {
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
        let (reply, replies) = blocking::sync_channel(MAX_WAITING);
        let mut server = serve::Server::new(root, reply, Arc::new(Notify::new()));
        let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
        let known = [server.look(&of_pod), server.look(&of_pod)];
        drop(replies);
        (known, server.told())
    });
    let (known, told) = told.join().expect("the thread does not panic");
    for known in known {
        assert_eq!(known.len(), 1, "{known:#?}");
        check(&known, NamedBy::PodLogs, None, Some("web-0"), None);
    }
    assert_eq!(told, ["the runtime's state"]);
}

#[test]
fn more_questions_than_anybody_answers_hold_nobody_up() {
    let machine = Machine::new("many");
    machine.pod_logs("default_web-0_UID");
    let resolver = machine.resolver();
    for number in 0..10_000 {
        resolver.ask(Query::Pod { uid: number.to_string() });
    }
    let until = Instant::now() + DEADLINE;
    // Those that were taken are answered; then there is room again.
    while resolver.wait(Instant::now() + Duration::from_millis(200)).is_some() {
        assert!(Instant::now() < until, "there is no end of replies");
    }
    check(&ask(&resolver, &pod()), NamedBy::PodLogs, None, Some("web-0"), None);
}
