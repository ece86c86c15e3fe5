//! The thread, on machines made of files in a directory, and beside runtimes that answer, lie, hang and
//! die.
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::*;
use crate::container::known::{Known, NamedBy};

mod runtime;

use runtime::{Behaviour, FakeRuntime};

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

    fn resolver(&self) -> Resolver {
        Resolver::start(&self.0).expect("a thread can be started")
    }

    /// All that is told about one question.
    fn ask(&self, question: &Question) -> Vec<Known> {
        ask(&self.resolver(), question)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All answers, to the last.
fn ask(resolver: &Resolver, question: &Question) -> Vec<Known> {
    resolver.ask(question.clone());
    let until = Instant::now() + DEADLINE;
    let mut known: Vec<Known> = Vec::new();
    loop {
        let answer = resolver.wait(until).expect("an answer comes in time");
        assert_eq!(answer.question, *question);
        known.retain(|known| !answer.known.contains(known));
        known.extend(answer.known);
        if answer.last {
            return known;
        }
    }
}

fn container() -> Question {
    Question::Container { id: ID.to_owned(), pod_uid: None }
}

fn pod() -> Question {
    Question::Pod { uid: UID.to_owned() }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("some time before the sun is gone")
}

#[track_caller]
fn check(
    known: &[Known],
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

const CRI_O_SPEC: &str = r#"{"annotations":{"io.container.manager":"cri-o",
    "io.kubernetes.container.name":"nginx","io.kubernetes.pod.name":"web-0",
    "io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f"}}"#;

#[test]
fn pods_are_named_by_their_logs() {
    let machine = Machine::new("pod-logs");
    machine.pod_logs("default_web-0_UID");
    machine.pod_logs("default_other_0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f");
    machine.pod_logs("not-a-pod");
    machine.pod_logs("a_b_c_UID");
    let known = machine.ask(&pod());
    assert_eq!(known.len(), 1);
    check(&known, NamedBy::PodLogs, None, Some("web-0"), None);
    assert_eq!(known[0].namespace.as_deref(), Some("default"));
    // A container's question tells the pod too, and one of an unknown pod nothing.
    let of_pod = Question::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    check(&machine.ask(&of_pod), NamedBy::PodLogs, None, Some("web-0"), None);
    assert_eq!(machine.ask(&Question::Pod { uid: "0".repeat(32) }), []);
    // Some spell a static pod's uid with dashes, some without.
    let plain = Question::Pod { uid: UID.replace('-', "") };
    check(&machine.ask(&plain), NamedBy::PodLogs, None, Some("web-0"), None);
}

#[test]
fn containers_are_named_by_their_runtimes_state() {
    let by = NamedBy::RuntimeState;
    let machine = Machine::new("containerd");
    machine.write(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        CONTAINERD_SPEC,
    );
    let known = machine.ask(&container());
    check(&known, by, Some("containerd"), Some("web-0"), Some("nginx"));
    assert_eq!(known[0].pod_uid.as_deref(), Some(UID));

    let machine = Machine::new("cri-o");
    machine.write("run/containers/storage/overlay-containers/ID/userdata/config.json", CRI_O_SPEC);
    let list = format!(r#"[{{"id":"{ID}","names":["k8s_nginx_web-0_shop_0"]}}]"#);
    machine.write("var/lib/containers/storage/overlay-containers/containers.json", &list);
    check(&machine.ask(&container()), by, Some("cri-o"), Some("web-0"), Some("nginx"));

    let machine = Machine::new("podman");
    let spec =
        r#"{"annotations":{"io.container.manager":"libpod","io.kubernetes.cri-o.TTY":"false"}}"#;
    machine.write("run/containers/storage/vfs-containers/ID/userdata/config.json", spec);
    let list = format!(r#"[{{"id":"0","names":["no"]}},{{"id":"{ID}","names":["web"]}}]"#);
    machine.write("var/lib/containers/storage/vfs-containers/containers.json", &list);
    check(&machine.ask(&container()), by, Some("podman"), None, Some("web"));

    let machine = Machine::new("runc");
    machine.write("run/runc/ID/state.json", "{}");
    check(&machine.ask(&container()), by, Some("runc"), None, None);
}

#[test]
fn what_a_runtime_records_a_moment_later_is_told_then() {
    let machine = Machine::new("crun");
    machine.pod_logs("default_web-0_UID");
    let resolver = machine.resolver();
    let of_pod = Question::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    resolver.ask(of_pod);
    let first = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    check(&first.known, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(!first.last);
    machine.write("run/crun/ID/status", "{}");
    let last = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    check(&last.known, NamedBy::RuntimeState, Some("crun"), None, None);
    check(&last.known, NamedBy::PodLogs, None, Some("web-0"), None);
    assert!(last.last);
}

#[test]
fn docker_s_containers_are_named_by_its_configuration() {
    let machine = Machine::new("docker");
    let path = "var/lib/docker/containers/ID/config.v2.json";
    machine.write(path, r#"{"ID":"x","Name":"/web","Config":{"Labels":{}},"State":{"Pid":1}}"#);
    let known = machine.ask(&container());
    check(&known, NamedBy::DockerConfig, Some("docker"), None, Some("web"));
    let labels = format!(
        r#"{{"Name":"/k8s_x","Config":{{"Labels":{{"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.uid":"{UID}",
        "io.kubernetes.pod.namespace":"shop","io.kubernetes.container.name":"nginx"}}}}}}"#
    );
    machine.write(path, &labels);
    let of_pod = Question::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    let known = machine.ask(&of_pod);
    check(&known, NamedBy::DockerConfig, Some("docker"), Some("web-0"), Some("nginx"));
    // An image brings what labels it likes, and who starts a container by hand gives it others.
    let known = machine.ask(&container());
    check(&known, NamedBy::DockerConfig, Some("docker"), None, Some("k8s_x"));
    machine.write(path, r#"{"Name":"/web","Config":{"Labels":null}}"#);
    check(&machine.ask(&container()), NamedBy::DockerConfig, Some("docker"), None, Some("web"));
}

#[test]
fn what_is_unreadable_names_nobody_and_stops_nothing() {
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    for (what, content) in
        [("garbage", "\0\u{1}{{{"), ("number", "7"), ("types", r#"{"annotations":7}"#)]
    {
        let machine = Machine::new(what);
        machine.write(spec, content);
        machine.pod_logs("default_web-0_UID");
        let resolver = machine.resolver();
        assert_eq!(ask(&resolver, &container()), [], "{what}");
        check(&ask(&resolver, &pod()), NamedBy::PodLogs, None, Some("web-0"), None);
    }
    // One of several: the others are told.
    let machine = Machine::new("partly");
    machine.write(spec, &CONTAINERD_SPEC.replace("linux", "ignored"));
    machine.write("var/lib/containers/storage/overlay-containers/containers.json", "{{{");
    machine.write("var/lib/docker/containers/ID/config.v2.json", "");
    let by = NamedBy::RuntimeState;
    check(&machine.ask(&container()), by, Some("containerd"), Some("web-0"), Some("nginx"));
    machine.write(spec, r#"{"annotations":null,"linux":null}"#);
    check(&machine.ask(&container()), by, Some("containerd"), None, None);
    // A pipe that nobody writes to, a directory, and more than anybody's configuration has.
    let machine = Machine::new("pipe");
    let path = machine.write(spec, "");
    fs::remove_file(&path).expect("it was made");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe of our own");
    assert_eq!(machine.ask(&container()), []);
    fs::remove_file(&path).expect("it was made");
    fs::create_dir(&path).expect("a directory of our own");
    assert_eq!(machine.ask(&container()), []);
    fs::remove_dir(&path).expect("it was made");
    let large = format!(r#"{{"annotations":{{"a":"{}"}}}}"#, "x".repeat(5 << 20));
    fs::write(&path, large).expect("a file of our own");
    assert_eq!(machine.ask(&container()), []);
    fs::write(&path, CONTAINERD_SPEC).expect("a file of our own");
    check(
        &machine.ask(&container()),
        NamedBy::RuntimeState,
        Some("containerd"),
        Some("web-0"),
        Some("nginx"),
    );
}

#[test]
fn names_are_as_long_as_names_can_be() {
    let machine = Machine::new("long");
    let spec = CONTAINERD_SPEC.replace("web-0", &"é".repeat(300));
    machine.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", &spec);
    let known = machine.ask(&container());
    assert_eq!(known[0].pod.as_deref(), Some(&*"é".repeat(126)));
}

fn with_namespace(path: &str, annotations: &str) -> String {
    format!(
        r#"{{"annotations":{{{annotations}}},"linux":{{"namespaces":[{{"type":"network","path":"{path}"}}]}}}}"#
    )
}

#[test]
fn a_namespace_s_owner_is_found_among_ten_thousand_and_may_come_later() {
    let machine = Machine::new("netns");
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    let old = SystemTime::now() - Duration::from_hours(1);
    for number in 0..10_000 {
        let directory = machine.0.join(format!("{tasks}/{number:064x}"));
        fs::create_dir_all(&directory).expect("it can be made");
        fs::File::open(&directory).and_then(|d| d.set_modified(old)).expect("it is ours");
    }
    // Had it been looked at, it would have been the one.
    let early = machine
        .write(&format!("{tasks}/{:064x}/config.json", 5), &with_namespace("/run/netns/cni-1", ""));
    let directory = early.parent().expect("it is in one");
    fs::File::open(directory).and_then(|d| d.set_modified(old)).expect("it is ours");
    let bound = machine.write("run/netns/cni-1", "");
    let inode = u32::try_from(bound.metadata().expect("it was made").ino()).expect("a small one");
    let resolver = machine.resolver();
    let question = Question::Netns { inode, made_ms: now_ms() };
    resolver.ask(question.clone());
    let first = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    assert_eq!((first.known, first.last), (Vec::new(), false), "nothing is written yet");
    let sandbox = r#""io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop""#;
    machine.write(&format!("{tasks}/ID/config.json"), &with_namespace("/run/netns/cni-1", sandbox));
    let last = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    assert!(last.last);
    assert_eq!(last.question, question);
    check(&last.known, NamedBy::RuntimeState, Some("containerd"), Some("web-0"), None);
    assert_eq!(last.known[0].id.as_deref(), Some(ID));
}

fn owner(machine: &Machine, inode: u32, made_ms: i64) -> Option<Known> {
    let (owners, unread) = state::owners(&machine.0, now_ms());
    assert!(unread.is_none(), "{unread:?}");
    state::owner_of(&owners, inode, made_ms).cloned()
}

#[test]
fn a_namespace_that_several_have_or_that_is_another_by_now_is_nobody_s() {
    let machine = Machine::new("shared");
    let bound = machine.write("run/netns/netns-1", "");
    let inode = u32::try_from(bound.metadata().expect("it was made").ino()).expect("a small one");
    let containers = "run/containers/storage/overlay-containers";
    let spec = with_namespace("/run/netns/netns-1", "");
    machine.write(&format!("{containers}/ID/userdata/config.json"), &spec);
    assert_eq!(owner(&machine, inode, now_ms()).and_then(|k| k.id).as_deref(), Some(ID));
    // The kernel gives a number that is free again to the next one.
    assert_eq!(owner(&machine, inode, now_ms() - 60_000), None);
    // Another joined it: whose was it first?
    machine.write(&format!("{containers}/{}/userdata/config.json", "7".repeat(64)), &spec);
    assert_eq!(owner(&machine, inode, now_ms()), None);
    // A pod's sandbox has it first, and only the kubelet's runtimes can say that.
    let sandbox = r#""io.kubernetes.cri.container-type":"sandbox""#;
    let spec = with_namespace("/run/netns/netns-1", sandbox);
    machine.write("run/containerd/io.containerd.runtime.v2.task/default/ID/config.json", &spec);
    assert_eq!(owner(&machine, inode, now_ms()), None);
    machine.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", &spec);
    let found = owner(&machine, inode, now_ms()).expect("the sandbox");
    assert_eq!(found.runtime.as_deref(), Some("containerd"));
}

#[test]
fn a_namespace_s_path_leads_nowhere_else() {
    let machine = Machine::new("paths");
    let secret = machine.write("etc/secret", "");
    let inode = u32::try_from(secret.metadata().expect("it was made").ino()).expect("a small one");
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    machine.write("run/netns/cni-1", "");
    let found = |path: &str| {
        machine.write(spec, &with_namespace(path, ""));
        owner(&machine, inode, now_ms())
    };
    for path in ["/run/netns/../../etc/secret", "/etc/secret", "etc/secret", "", "/proc/1/ns/net"] {
        assert_eq!(found(path), None, "{path}");
    }
    fs::hard_link(&secret, machine.0.join("run/netns/cni-2")).expect("a file of our own");
    assert!(found("/run/netns/cni-2").is_some(), "so the others were refused for their paths");
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
    let question = Question::Starting { comm: "podman".to_owned(), at_ms: now_ms() };
    let known = machine.ask(&question);
    let names: Vec<&str> = known.iter().filter_map(|known| known.name.as_deref()).collect();
    assert_eq!(names, ["db", "web"]);
}

#[test]
fn the_runtime_s_log_is_read_again_a_moment_later() {
    let machine = Machine::new("log");
    let resolver = machine.resolver();
    let question = Question::Starting { comm: "containerd".to_owned(), at_ms: now_ms() };
    resolver.ask(question.clone());
    let first = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    assert_eq!((first.known, first.last), (Vec::new(), false));
    let time = jiff::Timestamp::from_millisecond(now_ms()).expect("a time");
    let line = format!(
        r#"time="{time}" level=info msg="RunPodSandbox for &PodSandboxMetadata{{Name:web-0,Uid:{UID},Namespace:shop,Attempt:0,}}""#
    );
    machine.write("var/log/containerd.log", &line);
    let last = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
    assert!(last.last);
    check(&last.known, NamedBy::RuntimeLog, Some("containerd"), Some("web-0"), None);
}

#[test]
fn the_cri_names_what_files_do_not() {
    let machine = Machine::new("cri");
    let _runtime = FakeRuntime::start(&machine.0, Behaviour::Answers);
    let resolver = machine.resolver();
    let known = ask(&resolver, &pod());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), None);
    assert_eq!(known[0].id, None, "it was asked for a pod");
    let known = ask(&resolver, &container());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), Some("nginx"));
    assert_eq!(ask(&resolver, &Question::Pod { uid: "0".repeat(32) }), [], "it knows no such pod");
}

#[test]
fn a_socket_without_a_cri_is_passed_over() {
    let machine = Machine::new("no-cri");
    let _docker_s = FakeRuntime::start(&machine.0, Behaviour::HasNoCri);
    assert_eq!(machine.ask(&pod()), []);
    let _cri_o = FakeRuntime::start_at(&machine.0, "run/crio/crio.sock", Behaviour::Answers);
    check(&machine.ask(&pod()), NamedBy::Cri, Some("cri-o"), Some("web-0"), None);
}

#[test]
fn a_runtime_that_lies_hangs_or_dies_names_nobody() {
    for behaviour in [Behaviour::Lies, Behaviour::Hangs, Behaviour::Dies, Behaviour::Garbage] {
        let machine = Machine::new(&format!("cri-{behaviour:?}"));
        let _runtime = FakeRuntime::start(&machine.0, behaviour);
        let resolver = machine.resolver();
        // What files tell doesn't wait for it.
        resolver.ask(pod());
        let first = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
        assert_eq!((first.known, first.last), (Vec::new(), false), "{behaviour:?}");
        machine.pod_logs("default_web-1_0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f");
        let uid = "0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned();
        resolver.ask(Question::Pod { uid: uid.clone() });
        let mut left = vec![pod(), Question::Pod { uid }];
        while !left.is_empty() {
            let answer = resolver.wait(Instant::now() + DEADLINE).expect("an answer comes in time");
            if answer.question == pod() {
                assert_eq!((answer.known, answer.last), (Vec::new(), true), "{behaviour:?}");
            } else {
                check(&answer.known, NamedBy::PodLogs, None, Some("web-1"), None);
            }
            left.retain(|question| *question != answer.question);
        }
    }
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
        let (answer, answers) = blocking::sync_channel(MAX_WAITING);
        let mut server = serve::Server::new(root, answer, Arc::new(Notify::new()));
        let of_pod = Question::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
        let known = [server.look(&of_pod), server.look(&of_pod)];
        drop(answers);
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
        resolver.ask(Question::Pod { uid: number.to_string() });
    }
    let until = Instant::now() + DEADLINE;
    // Those that were taken are answered; then there is room again.
    while resolver.wait(Instant::now() + Duration::from_millis(200)).is_some() {
        assert!(Instant::now() < until, "there is no end of answers");
    }
    check(&ask(&resolver, &pod()), NamedBy::PodLogs, None, Some("web-0"), None);
}
