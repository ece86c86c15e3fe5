//! Candidates for the pod or container that a runtime was starting when it failed to create a network
//! namespace, from what it logged or stored at that time.
use std::{fs, path::Path};

use fragwatch_core::{
    attribution::candidates::MAX_CANDIDATES,
    model::{
        container::is_id,
        identity::{Identity, NamedBy},
    },
};
use jiff::Timestamp;

use crate::lookup::{
    files::{self, Found},
    runtime_state,
};

/// Text logs that runtimes write themselves.
const OWN_LOGS: [&str; 3] =
    ["var/log/containerd.log", "var/log/containerd/containerd.log", "var/log/crio/crio.log"];
/// Text logs that syslog writes, for any process: a line counts only if it is the runtime's own.
const SHARED_LOGS: [&str; 3] = ["var/log/syslog", "var/log/messages", "var/log/daemon.log"];
/// Bytes that are read from the end of a log.
const TAIL: u64 = 64 << 10;
/// A start that was logged so long before the failure may be the one that failed, in milliseconds.
const BEFORE_MS: i64 = 10_000;
/// A runtime may log a start so long after the failure, in milliseconds.
const AFTER_MS: i64 = 1_000;

/// Candidates for the creation that the thread `comm` of the runtime's process `pid` was in at `at_ms`, milliseconds
/// since 1970. The newest first.
pub(super) fn candidates(root: &Path, comm: &str, pid: Option<u32>, at_ms: i64) -> Found {
    let (from, to) = (at_ms - BEFORE_MS, at_ms + AFTER_MS);
    if comm == "podman" {
        return runtime_state::podman_created_within(root, from, to);
    }
    let mut found = Found::default();
    let runtime = match comm {
        "containerd" => "containerd",
        "crio" | "pinns" => "cri-o",
        _ => return found,
    };
    let is_own = |line: &&str| {
        tagged_pid(line).is_some_and(|tagged| {
            // pinns works for CRI-O, which logs.
            Some(tagged) == pid || comm == "pinns" && is_roots(root, tagged, "crio")
        })
    };
    for (logs, shared) in [(OWN_LOGS, false), (SHARED_LOGS, true)] {
        for log in logs {
            let end = found.ok(files::tail(&root.join(log), TAIL)).flatten().unwrap_or_default();
            let lines = String::from_utf8_lossy(&end);
            let counting = lines.lines().filter(|line| !shared || is_own(line));
            counting.for_each(|line| apply_line(line, from, to, &mut found.identities));
        }
    }
    found.identities.retain(|pod| pod.runtime.as_deref() == Some(runtime));
    found.identities.reverse();
    found.identities.truncate(MAX_CANDIDATES);
    found
}

/// The process id in the tag of a line of syslog's: `… containerd[812]: …`. What a program logs comes behind that.
fn tagged_pid(line: &str) -> Option<u32> {
    // Fields are the message's, and may hold what a pod chose.
    let mut head = line.split(' ').take_while(|word| !word.contains(['=', '"']));
    let tag = head.find(|word| word.ends_with(':'))?;
    let (_, pid) = tag.strip_suffix("]:")?.split_once('[')?;
    pid.parse().ok()
}

/// Whether a process has this name and is root's.
fn is_roots(root: &Path, pid: u32, name: &str) -> bool {
    let status = fs::read_to_string(root.join(format!("proc/{pid}/status"))).unwrap_or_default();
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    field("Name:\t") == Some(name) && field("Uid:\t") == Some("0\t0\t0\t0")
}

/// Updates the candidates by a line of the log: adds a pod whose start is logged within the given
/// time, removes one whose sandbox was created, and adds the sandbox id of a failure.
fn apply_line(line: &str, from_ms: i64, to_ms: i64, pods: &mut Vec<Identity>) {
    let Some(pod) = pod(line) else { return };
    let is_same = |other: &Identity| other.pod == pod.pod && other.namespace == pod.namespace;
    let earlier = pods.iter().position(is_same);
    if line.contains("returns sandbox id") || line.contains("Ran pod sandbox") {
        if let Some(at) = earlier {
            pods.remove(at);
        }
        return;
    }
    if let (Some(at), Some(id)) = (earlier, sandbox_id(line)) {
        pods[at].id = Some(id);
        return;
    }
    let is_within = time_ms(line).is_some_and(|at| (from_ms..=to_ms).contains(&at));
    if is_within {
        if let Some(at) = earlier {
            pods.remove(at);
        }
        pods.push(pod);
    }
}

/// The pod in a line of containerd's CRI plug-in or of CRI-O.
fn pod(line: &str) -> Option<Identity> {
    let by = Identity::by(NamedBy::RuntimeLog);
    if let Some((_, rest)) = line.split_once("RunPodSandbox for &PodSandboxMetadata{") {
        let (fields, _) = rest.split_once('}')?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.strip_prefix(name)).and_then(files::name)
        };
        let (pod, namespace) = (Some(field("Name:")?), Some(field("Namespace:")?));
        let runtime = Some("containerd".to_owned());
        return Some(Identity { runtime, pod_uid: field("Uid:"), pod, namespace, ..by });
    }
    let (_, rest) = line
        .split_once("Running pod sandbox: ")
        .or_else(|| line.split_once("Ran pod sandbox ")?.1.split_once("infra container: "))?;
    let (name, _) = rest.split_once("/POD")?;
    let (namespace, pod) = name.split_once('/')?;
    let (pod, namespace) = (Some(files::name(pod)?), Some(files::name(namespace)?));
    Some(Identity { runtime: Some("cri-o".to_owned()), pod, namespace, ..by })
}

/// The id in `failed to … for sandbox \"<id>\"`.
fn sandbox_id(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("sandbox \\\"")?;
    let (id, _) = rest.split_once("\\\"")?;
    is_id(id).then(|| id.to_owned())
}

/// The time of a line, in milliseconds since 1970: `time="…"` of Go's logrus.
fn time_ms(line: &str) -> Option<i64> {
    let (_, rest) = line.split_once("time=\"")?;
    let (time, _) = rest.split_once('"')?;
    time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-20T09:42:36.5Z";

    fn found(lines: &str) -> Vec<(String, Option<String>)> {
        let at = AT.parse::<Timestamp>().expect("a valid time").as_millisecond();
        let mut pods = Vec::new();
        for line in lines.lines() {
            apply_line(line, at - BEFORE_MS, at + AFTER_MS, &mut pods);
        }
        let name = |found: Identity| {
            let namespace = found.namespace.expect("a candidate has a namespace");
            (format!("{namespace}/{}", found.pod.expect("a candidate has a name")), found.pod_uid)
        };
        pods.into_iter().map(name).collect()
    }

    #[test]
    fn containerd_log_names_the_pod_being_started() {
        let lines = r#"time="2026-11-20T09:42:20.123456789Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:old,Uid:a,Namespace:default,Attempt:0,}"
Nov 20 09:42:35 node containerd[812]: time="2026-11-20T09:42:35.123456789Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:made,Uid:b,Namespace:default,Attempt:0,}"
time="2026-11-20T09:42:35.8Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:made,Uid:b,Namespace:default,Attempt:0,} returns sandbox id \"1234\""
time="2026-11-20T10:42:36.1+01:00" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:web-0,Uid:6f1c2d3e,Namespace:shop,Attempt:3,}"
time="2026-11-20T09:42:36.2Z" level=error msg="RunPodSandbox for &PodSandboxMetadata{Name:web-0,Uid:6f1c2d3e,Namespace:shop,Attempt:3,} failed, error" error="rpc error: …"
"#;
        assert_eq!(found(lines), [("shop/web-0".to_owned(), Some("6f1c2d3e".to_owned()))]);
    }

    #[test]
    fn containerd_log_of_a_failure_adds_the_sandbox_id() {
        let id = "38fa08b96efedb64edaf5a10c8e77f6d43686003362a1232db80c3ed628e2376";
        let began = r#"time="2026-11-20T09:42:36.1Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:web-0,Uid:a,Namespace:shop,Attempt:0,}""#;
        let failed = r#"time="2026-11-20T09:42:36.2Z" level=error msg="RunPodSandbox for &PodSandboxMetadata{Name:web-0,Uid:a,Namespace:shop,Attempt:0,} failed, error" error="failed to create network namespace for sandbox \"ID\": failed to setup netns: cannot allocate memory""#;
        let at = AT.parse::<Timestamp>().expect("a valid time").as_millisecond();
        let mut pods = Vec::new();
        for line in [began, &failed.replace("ID", id)] {
            apply_line(line, at - BEFORE_MS, at + AFTER_MS, &mut pods);
        }
        assert_eq!(pods.len(), 1);
        assert_eq!((pods[0].pod.as_deref(), pods[0].id.as_deref()), (Some("web-0"), Some(id)));
    }

    #[test]
    fn cri_o_log_names_the_pod_being_started() {
        let lines = r#"time="2026-11-20 09:42:35.123456789Z" level=info msg="Running pod sandbox: shop/web-0/POD" id=1 name=/runtime.v1.RuntimeService/RunPodSandbox
time="2026-11-20 09:42:35.2Z" level=info msg="Running pod sandbox: shop/web-1/POD" id=2 name=/runtime.v1.RuntimeService/RunPodSandbox
time="2026-11-20 09:42:35.9Z" level=info msg="Ran pod sandbox 0123 with infra container: shop/web-1/POD" id=2
"#;
        assert_eq!(found(lines), [("shop/web-0".to_owned(), None)]);
    }

    #[test]
    fn the_tag_says_which_process_logged() {
        let line = |tag: &str| format!("Nov 20 09:42:35 node {tag} time=\"…\" msg=\"a[7]: b\"");
        assert_eq!(tagged_pid(&line("containerd[812]:")), Some(812));
        for tag in ["containerd:", "containerd[]:", "containerd[x]:", "[812]", ""] {
            assert_eq!(tagged_pid(&line(tag)), None, "{tag}");
        }
        let dated = "2026-11-20T09:42:35.1+00:00 node crio[9]: time=\"…\"";
        assert_eq!(tagged_pid(dated), Some(9));
    }

    #[test]
    fn other_lines_give_no_candidate() {
        for line in [
            "",
            "RunPodSandbox for &PodSandboxMetadata{Name:web-0,Uid:a,Namespace:shop,Attempt:0,}",
            r#"time="yesterday" msg="RunPodSandbox for &PodSandboxMetadata{Name:a,Uid:a,Namespace:b,}""#,
            r#"time="2026-11-20T09:42:36.2Z" msg="RunPodSandbox for &PodSandboxMetadata{Name:,Uid:,Namespace:,}""#,
            r#"time="2026-11-20T09:42:36.2Z" msg="RunPodSandbox for &PodSandboxMetadata{Name:a"#,
            r#"time="2026-11-20T09:42:36.2Z" msg="Running pod sandbox: /POD""#,
        ] {
            assert_eq!(found(line), [], "{line}");
        }
    }
}
