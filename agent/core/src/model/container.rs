//! Who a creation was for: by the cgroup's path, and by what the runtime and the kubelet say.

use crate::model::identity::{Identity, NamedBy, Query};

/// A container, or a pod of which no container is known. All text is from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The runtime, where anything says it: docker, containerd, cri-o, podman, buildah, lxc,
    /// systemd-nspawn, runc, crun.
    pub runtime: Option<String>,
    /// The container's id: 64 hex digits with most runtimes, a name with others.
    pub id: Option<String>,
    /// The pod's uid: with dashes, or a static pod's 32 hex digits.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// The container's own name.
    pub name: Option<String>,
    /// Where the names come from.
    pub named_by: Option<NamedBy>,
    /// It is below a user's own slice, who calls cgroups what they like: no record of root's is about
    /// it.
    pub is_users: bool,
}

impl Container {
    /// What can be asked about it, if not all of it is known.
    pub fn query(&self) -> Option<Query> {
        if self.runtime.is_some() && (self.pod.is_some() || self.name.is_some()) {
            return None;
        }
        match (&self.id, &self.pod_uid) {
            _ if self.is_users => None,
            (Some(id), pod_uid) if is_id(id) => {
                Some(Query::Container { id: id.clone(), pod_uid: pod_uid.clone() })
            }
            (_, Some(uid)) => Some(Query::Pod { uid: uid.clone() }),
            _ => None,
        }
    }

    /// Takes over what is not known yet. What contradicts the path is another container's, and
    /// is left: false.
    pub fn learn(&mut self, known: &Identity) -> bool {
        let agrees = |ours: &Option<String>, theirs: &Option<String>| {
            ours.is_none() || theirs.is_none() || ours == theirs
        };
        let same_pod = match (&self.pod_uid, &known.pod_uid) {
            (Some(ours), Some(theirs)) => ours.replace('-', "") == theirs.replace('-', ""),
            _ => true,
        };
        if !same_pod || !agrees(&self.id, &known.id) || !agrees(&self.pod, &known.pod) {
            return false;
        }
        if self.pod.is_none()
            && self.name.is_none()
            && (known.pod.is_some() || known.name.is_some())
        {
            self.named_by = Some(known.by);
        }
        let take = |ours: &mut Option<String>, theirs: &Option<String>| {
            if ours.is_none() {
                ours.clone_from(theirs);
            }
        };
        take(&mut self.runtime, &known.runtime);
        take(&mut self.id, &known.id);
        take(&mut self.pod_uid, &known.pod_uid);
        take(&mut self.pod, &known.pod);
        take(&mut self.namespace, &known.namespace);
        take(&mut self.name, &known.name);
        true
    }

    /// What it is called in a headline: `namespace/pod` where that is known, else the runtime and the
    /// beginning of the id. Not yet fit for a terminal.
    pub fn label(&self) -> String {
        if let Some(pod) = &self.pod {
            return match &self.namespace {
                Some(namespace) => format!("{namespace}/{pod}"),
                None => format!("pod {pod}"),
            };
        }
        let runtime = self.runtime.as_deref().unwrap_or("container");
        match (&self.name, &self.id, &self.pod_uid) {
            (Some(name), ..) => format!("{runtime} {name}"),
            (None, Some(id), _) if is_id(id) => format!("{runtime} {}", &id[..12]),
            (None, Some(id), _) => format!("{runtime} {id}"),
            (None, None, Some(uid)) => format!("pod {uid}"),
            (None, None, None) => runtime.to_owned(),
        }
    }
}

/// Whether it is a container's id: 64 hex digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A container that something may have been done for: a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub container: Container,
    /// Why it may be.
    pub why: CandidateReason,
}

/// Why something may have been done for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateReason {
    /// The process that did it made the container's cgroup as well.
    MadeItsCgroup,
    /// Of the pods without a container it is the one made last.
    NewestPod,
    /// It is a pod without a container.
    FreePod,
    /// The runtime's log says that its start was under way.
    RuntimeLog,
    /// The runtime's state says that it was made just before.
    RuntimeState,
    /// It is a pod without a container, and the runtime's log says that its start was under way.
    PodInRuntimeLog,
}

impl CandidateReason {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::MadeItsCgroup => "the same process made its cgroup",
            Self::NewestPod => "the newest pod without a container",
            Self::FreePod => "a pod without a container",
            Self::RuntimeLog => "a runtime's log says that its start was under way",
            Self::RuntimeState => "it was made just before",
            Self::PodInRuntimeLog => {
                "it has no container yet, and a runtime's log says that its start was under way"
            }
        }
    }
}
