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
    pub why: &'static str,
}
