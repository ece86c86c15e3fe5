//! What runtimes and their callers print when a container doesn't start: runc, crun, dockerd,
//! containerd, CRI-O, kubelet, podman, CNI plug-ins, LXC, Incus, systemd-nspawn. Their words change
//! from release to release, so a failure is recognised by its parts (`recognise`), and its reason by
//! the innermost error (`reason`).
mod errno;
mod excerpt;
mod names;
mod prose;
mod reason;
mod recognise;
mod words;

use fragwatch_core::model::program_message::ContainerFailure;

/// Parses a line of a program; `program` is the name that it logs under.
pub(super) fn parse(text: &str, program: Option<&str>) -> Option<ContainerFailure> {
    if !recognise::may_be_failure(text, program) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let innermost = errno::innermost(&lower);
    let mkdir = reason::refused_mkdir(text, &lower);
    if mkdir.is_none() && !recognise::is_failed_start(&lower, program, innermost.is_some()) {
        return None;
    }
    let names = names::names(text);
    if names == names::Names::default() && mkdir.is_none() {
        let errno = innermost.is_some();
        if prose::is_template(text, errno) || !errno && prose::is_bare(text) {
            return None;
        }
        // The text itself must show that it is a message.
        if !recognise::is_of_runtime(program)
            && !recognise::reads_as_error(&lower, innermost.as_ref())
        {
            return None;
        }
    }
    Some(ContainerFailure {
        program: program.map(str::to_owned),
        container: names.container,
        pod: names.pod,
        namespace: names.namespace,
        pod_uid: names.pod_uid,
        errno: innermost.as_ref().map(|innermost| innermost.errno),
        error: reason::error(&lower, innermost.as_ref(), mkdir),
        said: excerpt::excerpt(text, innermost.map(|innermost| innermost.end)),
    })
}

/// Whether a message says by itself that a start failed.
pub(crate) fn is_failure(text: &str) -> bool {
    parse(text, None).is_some()
}

/// Whether a message ends with an error of the kernel's.
pub(crate) fn ends_with_errno(text: &str) -> bool {
    let lower = text.trim_end().to_ascii_lowercase();
    errno::innermost(&lower).is_some_and(|found| found.end == lower.len())
}

/// Whether a line may hold such a message.
pub(crate) fn may_be_failure(line: &str) -> bool {
    recognise::may_be_failure(line, None)
}

/// Whether a text in lower case begins with the name of a runtime that speaks.
pub(crate) fn speaks(lower: &str) -> bool {
    recognise::is_runtime(lower, None)
}

/// Whether a text names a container or a pod.
pub(crate) fn names_any(text: &str) -> bool {
    names::names(text) != names::Names::default()
}

/// The names that runtimes log under, and what else their messages begin with; lower case.
pub(crate) fn speakers() -> impl Iterator<Item = &'static &'static str> {
    words::RUNTIMES.iter().chain(words::BEGINNINGS)
}

/// Phrases that only a failed start has; lower case.
pub(crate) fn phrases() -> impl Iterator<Item = &'static &'static str> {
    words::PHRASES.iter()
}

/// Whether a word in lower case is one of failure.
pub(crate) fn is_word_of_failure(word: &str) -> bool {
    words::FAILED.iter().any(|failed| word.starts_with(failed))
}

/// Whether it can be a name of Kubernetes'.
pub(crate) fn is_name(text: &str) -> bool {
    names::is_name(text)
}

#[cfg(test)]
mod tests;
