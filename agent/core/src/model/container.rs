//! The container or pod that a creation is for.

use crate::model::identity::{Identity, NamedBy, Query};

/// A container, or a pod without a known container. All text is from outside and may hold anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The runtime, if known: docker, containerd, cri-o, podman, buildah, lxc,
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
    /// The source of the names.
    pub named_by: Option<NamedBy>,
    /// Whether its cgroup is below a user's own slice. Users choose those names, so they are not looked up
    /// in root's records.
    pub is_users: bool,
}

impl Container {
    /// The query for its missing names; `None` if none are missing or they can't be looked up.
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

    /// Fills missing names. False, without a change, if `known` is about another container or pod.
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
}

/// Whether `text` is a container id: 64 hex digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A container that a creation may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The container.
    pub container: Container,
    /// Why it may be this one.
    pub why: CandidateReason,
}

/// Why something may have been done for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateReason {
    /// The process that did it created the container's cgroup as well.
    MadeItsCgroup,
    /// Of the pods without a container it is the one created last.
    NewestPod,
    /// It is a pod without a container.
    FreePod,
    /// The runtime's log says that its start was under way.
    RuntimeLog,
    /// The runtime's state says that it was created just before.
    RuntimeState,
    /// It is a pod without a container, and the runtime's log says that its start was under way.
    PodInRuntimeLog,
}

impl CandidateReason {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::MadeItsCgroup => "the same process created its cgroup",
            Self::NewestPod => "the newest pod without a container",
            Self::FreePod => "a pod without a container",
            Self::RuntimeLog => "a runtime's log says that its start was under way",
            Self::RuntimeState => "it was created just before",
            Self::PodInRuntimeLog => {
                "it has no container yet, and a runtime's log says that its start was under way"
            }
        }
    }
}

#[cfg(test)]
mod tests;
