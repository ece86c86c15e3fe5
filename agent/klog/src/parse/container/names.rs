//! Which container and pod a message names.
use fragwatch_core::model::container::is_id;

/// Names and ids in a message, as far as it has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) container: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) pod_uid: Option<String>,
}

/// Finds them in a message.
pub(super) fn names(text: &str) -> Names {
    let forms = [name_and_uid, quoted_pod, metadata, docker_name, event_object, for_pod];
    let mut names = forms.iter().find_map(|form| form(text)).unwrap_or_default();
    names.container = container(text).or_else(|| lxc_name(text));
    names.pod_uid = names.pod_uid.or_else(|| uid_in_path(text));
    names
}

/// A container's id: 64 hex digits, after a word that says so if there are several. The id of a
/// layer of an image or of a snapshot is none.
fn container(text: &str) -> Option<String> {
    let hex = |c: char| c.is_ascii_hexdigit();
    let is_layer = |at: usize| {
        let before = &text[..at];
        ["/overlay2/", "/overlay/", "/layerdb/sha256/", "/diff/", "sha256:", "/aufs/mnt/", "/l/"]
            .iter()
            .any(|of_layer| before.ends_with(of_layer))
    };
    // Docker gives each exec an id of its own.
    let is_exec = |at: usize| text[..at].ends_with("running exec ");
    let mut runs = text.split(|c| !hex(c)).filter(|run| is_id(run)).filter(|run| {
        // Where the run stands: it is a part of `text`.
        let at = run.as_ptr() as usize - text.as_ptr() as usize;
        !is_layer(at) && !is_exec(at)
    });
    let named = [
        "id=",
        "containers/",
        "container ",
        "StartContainer for ",
        "ExecSync for ",
        "docker-",
        "libpod-",
        "crio-",
        "containerd-",
        "kata_",
    ];
    let after = |name: &str| {
        text.match_indices(name).find_map(|(at, _)| {
            let rest = text[at + name.len()..].trim_start_matches(['"', '\\']);
            rest.split(|c| !hex(c)).next().filter(|run| is_id(run))
        })
    };
    named.iter().find_map(|name| after(name)).or_else(|| runs.next()).map(str::to_owned)
}

/// The name that LXC puts before its messages: `lxc-start: web: ../src/lxc/start.c: …`, or in a log of
/// its own `lxc web 20250505100000.101 ERROR    start - …`.
fn lxc_name(text: &str) -> Option<String> {
    let at = text.find("lxc")?;
    let mut words = text[at..].split_ascii_whitespace();
    let tool = words.next()?;
    let name = words.next()?;
    let next = words.next()?;
    let named = if tool.ends_with(':') {
        let is_file = next.strip_suffix(".c:").is_some();
        name.strip_suffix(':').filter(|_| is_file)
    } else {
        Some(name).filter(|_| super::prose::is_lxc_time(next))
    }?;
    some(named)
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}

/// Whether it is a uid in the form that Kubernetes gives pods; static pods have 32 hex digits.
fn is_uid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && groups == [8, 4, 4, 4, 12]
        || text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn some(text: &str) -> Option<String> {
    is_name(text).then(|| text.to_owned())
}

/// kubelet's `name_namespace(uid)`, mostly in quotes.
fn name_and_uid(text: &str) -> Option<Names> {
    text.match_indices('(').find_map(|(at, _)| {
        let (uid, _) = text[at + 1..].split_once(')')?;
        let before = &text[..at];
        let named = before.rsplit(|c: char| !(is_name_char(c) || c == '_')).next()?;
        let (name, namespace) = named.split_once('_')?;
        let is_pod = is_name(name) && is_name(namespace);
        let quoted =
            text[at..].split_once(')').is_some_and(|(_, rest)| rest.starts_with(['"', '\\']));
        (is_pod && (is_uid(uid) || quoted && is_name(uid))).then(|| Names {
            pod: some(name),
            namespace: some(namespace),
            pod_uid: some(uid),
            container: None,
        })
    })
}

/// The value in quotes behind a key, `pod="shop/web-1"`.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key)?.1.split(['"', '\\']).next()
}

/// kubelet's `pod="namespace/name" podUID="…"`; before 1.28 `podUID=…` without quotes.
fn quoted_pod(text: &str) -> Option<Names> {
    let (namespace, name) = quoted(text, "pod=\"")?.split_once('/')?;
    let bare = || text.split_once("podUID=")?.1.split([' ', ',']).next();
    let uid = quoted(text, "podUID=\"").or_else(bare);
    (is_name(name) && is_name(namespace)).then(|| Names {
        pod: some(name),
        namespace: some(namespace),
        pod_uid: uid.and_then(some),
        container: None,
    })
}

/// containerd's `&PodSandboxMetadata{Name:web-1,Uid:…,Namespace:shop,Attempt:0,}`.
fn metadata(text: &str) -> Option<Names> {
    let (_, fields) = text.split_once("PodSandboxMetadata{")?;
    let fields = fields.split('}').next()?;
    let value = |key: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(key));
    let pod = value("Name:").and_then(some)?;
    Some(Names {
        pod: Some(pod),
        namespace: value("Namespace:").and_then(some),
        pod_uid: value("Uid:").and_then(some),
        container: None,
    })
}

/// The name that kubelet gives Docker's and CRI-O's containers and sandboxes:
/// `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; CRI-O's sandboxes lack the container.
fn docker_name(text: &str) -> Option<Names> {
    let (_, name) = text.split_once("k8s_")?;
    let name = name.split(|c: char| !(is_name_char(c) || c == '_')).next()?;
    let parts: Vec<&str> = name.split('_').collect();
    let uid = (2..parts.len().min(5)).find(|&at| is_uid(parts[at]))?;
    Some(Names {
        pod: some(parts[uid - 2]),
        namespace: some(parts[uid - 1]),
        pod_uid: some(parts[uid]),
        container: None,
    })
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

/// A row of `kubectl get events`: the reason, `pod/name` in the next column; with `-A` the namespace
/// stands first.
fn event_object(text: &str) -> Option<Names> {
    let words = text.split_ascii_whitespace();
    let place = words.clone().position(|word| matches!(word, "Warning" | "Normal"))?;
    let object = words.clone().nth(place + 2)?;
    let pod = object.strip_prefix("pod/").or_else(|| object.strip_prefix("Pod/"))?;
    // Before the type stands how long ago, and the namespace before that.
    let ago = place.checked_sub(1).and_then(|at| words.clone().nth(at));
    let is_ago = ago.is_some_and(|ago| {
        ago.starts_with(|c: char| c.is_ascii_digit()) && ago.ends_with(['s', 'm', 'h', 'd'])
    });
    let namespace = place.checked_sub(2).filter(|_| is_ago).and_then(|at| words.clone().nth(at));
    Some(Names {
        pod: Some(some(pod)?),
        namespace: namespace.and_then(some),
        pod_uid: None,
        container: None,
    })
}

/// `for pod "name"`, `for pod "name_namespace"`.
fn for_pod(text: &str) -> Option<Names> {
    let name = quoted(text, "for pod \"").or_else(|| quoted(text, "for pod \\\""))?;
    // Old kubelets write `name_namespace`.
    let (name, namespace) = name.split_once('_').unwrap_or((name, ""));
    Some(Names { pod: Some(some(name)?), namespace: some(namespace), ..Names::default() })
}

/// The uid in a pod's cgroup: `/pod22415752-705f-…/`, or with systemd's underscores.
fn uid_in_path(text: &str) -> Option<String> {
    text.match_indices("pod")
        .find_map(|(at, _)| {
            let before = text[..at].chars().next_back()?;
            let rest = text[at + 3..].trim_start_matches('/');
            let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '-' | '_')));
            let uid = rest[..end.unwrap_or(rest.len())].replace('_', "-");
            // `pods/<uid>` is kubelet's directory.
            (matches!(before, '/' | '-') && is_uid(&uid)).then_some(uid)
        })
        .or_else(|| {
            let (_, rest) = text.split_once("/kubelet/pods/")?;
            let uid = rest.split('/').next()?;
            is_uid(uid).then(|| uid.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
    const UID: &str = "485fd485-1ed6-11e9-8661-0a587f8021ea";

    #[track_caller]
    fn check(text: &str, pod: Option<&str>, namespace: Option<&str>, uid: Option<&str>) {
        let found = names(text);
        let found = (found.pod.as_deref(), found.namespace.as_deref(), found.pod_uid.as_deref());
        assert_eq!(found, (pod, namespace, uid), "{text}");
    }

    #[test]
    fn pods_in_all_forms() {
        let (pod, namespace, uid) = (Some("web-1"), Some("shop"), Some(UID));
        check(&format!("for pod \"web-1_shop({UID})\" failed"), pod, namespace, uid);
        check("err=\"rpc error\" pod=\"shop/web-1\"", pod, namespace, None);
        check(&format!("pod=\"shop/web-1\" podUID={UID} err"), pod, namespace, uid);
        check("failed to start sandbox for pod \"web-1\": no", pod, None, None);
        let metadata = format!(
            "RunPodSandbox for &PodSandboxMetadata{{Name:web-1,Uid:{UID},Namespace:shop,Attempt:0,}}"
        );
        check(&metadata, pod, namespace, uid);
        check(&format!("name \"/k8s_POD_web-1_shop_{UID}_0\""), pod, namespace, uid);
        check(&format!("pod network sandbox k8s_web-1_shop_{UID}_0(64be)"), pod, namespace, uid);
        check(&format!("start failed in pod web-1_shop({UID}): no"), pod, namespace, uid);
        check("shop   14s   Warning   Failed   pod/web-1   Error: x", pod, namespace, None);
        check("14s   Warning   Failed   pod/web-1   Error: x", pod, None, None);
    }

    #[test]
    fn uids_in_paths() {
        let systemd = UID.replace('-', "_");
        for path in [
            format!("/sys/fs/cgroup/memory/kubepods/besteffort/pod{UID}/x"),
            format!("/kubepods.slice/kubepods-besteffort-pod{systemd}.slice/x"),
            format!("/var/lib/kubelet/pods/{UID}/volumes"),
        ] {
            check(&path, None, None, Some(UID));
        }
        check("/podman/0a", None, None, None);
    }

    #[test]
    fn names_of_lxc() {
        let found = |text: &str| names(text).container;
        let file = "lxc web-2 20250505100000.101 ERROR    start - start.c:lxc_spawn:1840 - No";
        assert_eq!(found(file).as_deref(), Some("web-2"));
        let tool = "lxc-start: 104: ../src/lxc/start.c: lxc_spawn: 1733 Cannot allocate memory - x";
        assert_eq!(found(tool).as_deref(), Some("104"));
        assert_eq!(found("lxc-start: failed to spawn 'web'"), None);
        assert_eq!(found("Error: lxc is down: 7"), None);
    }

    #[test]
    fn ids_of_containers_and_of_layers() {
        let found = |text: &str| names(text).container;
        assert_eq!(found(&format!("/kata_{ID}/x")).as_deref(), Some(ID));
        assert_eq!(found(&format!("container {ID}")).as_deref(), Some(ID));
        assert_eq!(found(&format!("mkdir /var/lib/docker/overlay2/{ID}-init: x")), None);
        assert_eq!(found(&format!("pull sha256:{ID}")), None);
    }
}
