//! Whether a message says that a container's start, exec or attach failed: by who speaks, or what it
//! is about, together with a verb of starting and a failure.
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{
    errno::{self, ERRNO_WORDS, Innermost},
    prose,
    words::{
        BEGINNINGS, BETWEEN, CALLS, FAILED, NOT_STARTING, OBJECTS, PHRASES, RUNTIMES, STARTING,
        VERBS,
    },
};
use crate::parse;

/// Finds lines that have such a phrase or an errno's words: most have none.
static RELEVANT: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words =
        PHRASES.iter().chain(CALLS).copied().chain(ERRNO_WORDS.iter().map(|(words, _)| *words));
    let names = ["enomem", "enospc", "eagain", "os error ", "errno"];
    let translated = errno::TRANSLATED.iter().map(|(words, _)| *words);
    let words = words.chain(names).chain(translated);
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
});

/// Whether it is worth a closer look: it has such words, and no sign of what only quotes them.
pub(super) fn may_be_failure(text: &str, program: Option<&str>) -> bool {
    let words = match RELEVANT.as_ref() {
        None => 0,
        Some(relevant) => match relevant.find(text) {
            Some(found) => found.start(),
            None => return false,
        },
    };
    let of_runtime = is_of_runtime(program);
    !(parse::is_pattern(text)
        || prose::is_comment(text)
        || prose::is_query(text)
        || prose::is_advice(text, of_runtime)
        || !of_runtime && prose::quotes(text, words)
        || prose::is_below_error(text))
}

/// Whether a message, in lower case, says that a start failed. `has_errno` says that it names an
/// error of the kernel's.
pub(super) fn is_failed_start(lower: &str, program: Option<&str>, has_errno: bool) -> bool {
    if !FAILED.iter().any(|word| lower.contains(word)) {
        return false;
    }
    if PHRASES.iter().any(|phrase| has_phrase(lower, phrase)) {
        return true;
    }
    if CALLS.iter().any(|call| call_failed(lower, call, program)) {
        return true;
    }
    if !has_errno {
        return false;
    }
    let starting = || STARTING.iter().any(|word| lower.contains(word));
    let other = || NOT_STARTING.iter().any(|word| lower.contains(word));
    names_start_of_object(lower)
        || is_runtime(lower, program) && starting() && !other()
        || lower.contains("plugin type=") && lower.contains("(add)")
}

/// Whether it has that phrase in words of its own: what is glued to other words is a type's name or a
/// table of strings. `Failed` may stand before it, `Error` and a plural's `s` behind it.
fn has_phrase(lower: &str, phrase: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic();
    lower.match_indices(phrase).any(|(at, _)| {
        let (before, behind) = (&lower[..at], &lower[at + phrase.len()..]);
        let begins = !before.ends_with(letter) || before.ends_with("failed");
        let behind = behind.strip_prefix("error").unwrap_or(behind);
        let behind = behind.strip_prefix('s').unwrap_or(behind);
        begins && !(phrase.ends_with(letter) && behind.starts_with(letter))
    })
}

/// Whether a text in lower case is an error and not a sentence about one: a runtime's own message, or
/// a chain of errors that colons separate.
pub(super) fn reads_as_error(lower: &str, innermost: Option<&Innermost>) -> bool {
    let phrase_alone = PHRASES.contains(&lower.trim());
    is_runtime(lower, None) && !phrase_alone
        || lower.contains("rpc error: ")
        || innermost.is_some_and(|found| found.ends_a_chain(lower))
        || PHRASES.iter().chain(CALLS).any(|phrase| {
            lower.match_indices(phrase).any(|(at, _)| {
                let behind = &lower[at + phrase.len()..];
                // `CreatePodSandbox for pod failed: …`.
                let failed = behind.split(": ").next().is_some_and(|part| {
                    part.len() < 24 && part.ends_with("failed") && part.len() < behind.len()
                });
                behind.starts_with(": ")
                    // `container_linux.go:348: starting container process caused "…"`.
                    || behind.starts_with(|c: char| c.is_ascii_digit())
                    || failed
                    || phrase.ends_with(':') && behind.starts_with(' ') && at == 0
                    || lower[..at].ends_with(": ") && behind.is_empty()
            })
        })
}

/// Whether such a call failed: the kernel's error follows it, behind a colon or in brackets, or who
/// may map which ids does.
fn call_failed(lower: &str, call: &str, program: Option<&str>) -> bool {
    let Some(at) = lower.find(call) else { return false };
    // A shell's own forks, in a terminal.
    let of_shell = lower.contains("sh: fork: ") || lower.contains("fork: retry");
    if program.is_none() && call.contains("fork: ") && of_shell {
        return false;
    }
    let behind = &lower[at..];
    // What an application's own fork lacks is its own memory.
    let of_process = ["fork", "thread"].iter().any(|word| call.contains(word));
    let lacks_memory = || errno::innermost(behind).is_some_and(|found| found.errno == libc::ENOMEM);
    if of_process && !is_runtime(lower, program) && lacks_memory() {
        return false;
    }
    let refused = ["not allowed", "no subuid", "no subgid"];
    refused.iter().any(|words| behind.contains(words))
        || errno::innermost(behind).is_some_and(|found| found.ends_a_chain(behind))
}

/// Whether a runtime speaks: by the name that it logs under, or by how the message begins.
pub(super) fn is_runtime(lower: &str, program: Option<&str>) -> bool {
    if is_of_runtime(program) {
        return true;
    }
    let mut rest = without_level(lower);
    let first = rest.split(' ').next().unwrap_or_default();
    if is_runtime_name(first) && prose::lxc_level(lower).is_some() {
        return true;
    }
    // `Error: netavark: …`; `docker: Error response from daemon: …`.
    for _ in 0..2 {
        if BEGINNINGS.iter().any(|begin| rest.starts_with(begin)) {
            return true;
        }
        let Some((first, after)) = rest.split_once(": ") else { return false };
        // `pinns [-d /var/run …] failed: …`, `lxc web7 20251003081512.388 ERROR …`.
        let name = first.split([' ', '[', '(']).next().unwrap_or(first);
        let name = name.rsplit('/').next().unwrap_or(name);
        if is_runtime_name(name) {
            return true;
        }
        if first.contains("error") {
            rest = after.trim_start();
        } else {
            return false;
        }
    }
    false
}

/// Whether it is logged under a runtime's name.
pub(super) fn is_of_runtime(program: Option<&str>) -> bool {
    program.is_some_and(|program| is_runtime_name(&program.to_ascii_lowercase()))
}

/// A message without logrus' `FATA[0002] ` or the like before it.
fn without_level(lower: &str) -> &str {
    let text = lower.trim_start();
    let behind = ["fata[", "erro[", "warn[", "info["]
        .iter()
        .find_map(|level| text.strip_prefix(level)?.split_once(']'));
    behind.map_or(text, |(_, rest)| rest.trim_start())
}

fn is_runtime_name(name: &str) -> bool {
    RUNTIMES.iter().any(|runtime| {
        // docker-compose passes on what applications print.
        name.strip_prefix(runtime).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('-') && !rest.starts_with("-compose")
        })
    })
}

/// Whether it says that the start of a container failed, whatever program says it.
fn names_start_of_object(lower: &str) -> bool {
    VERBS.iter().any(|verb| {
        lower.match_indices(verb).any(|(at, _)| {
            let word_begins = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            // `Error: creating container storage: …` has it before the colon.
            let mut segments = lower[..at].rsplit([':', ';', '"']);
            let segment = segments.find(|segment| !segment.trim().is_empty()).unwrap_or_default();
            let failed = FAILED.iter().any(|word| segment.contains(word));
            word_begins && failed && object_follows(&lower[at + verb.len()..])
        })
    })
}

/// Whether an object of a start comes next, with nothing but little words before it.
fn object_follows(mut rest: &str) -> bool {
    // Each word is looked at once.
    for _ in 0..6 {
        let Some(after) = rest.strip_prefix(' ') else { return false };
        if OBJECTS.iter().any(|object| after.starts_with(object)) {
            return true;
        }
        let end = after.find(' ').unwrap_or(after.len());
        let (word, behind) = after.split_at(end);
        if !BETWEEN.contains(&word) {
            return false;
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_by_their_parts() {
        for (text, program) in [
            (
                "failed to add new veth interfaces (ve-a:host0): cannot allocate memory",
                Some("systemd-nspawn"),
            ),
            (
                "error: unable to start container \"a\": netavark: create veth pair: cannot allocate memory",
                Some("web"),
            ),
            (
                "fata[0002] run pod sandbox: rpc error: failed to setup network for sandbox: cannot allocate memory",
                None,
            ),
            (
                "pinns [-d /var/run -u] failed: [pinns:e]: failed to unshare namespaces: no space left on device",
                None,
            ),
            (
                "docker: error response from daemon: mkdir /var/lib/docker/overlay2/a-init: no space left on device",
                None,
            ),
            ("error: netavark: create bridge: cannot allocate memory (os error 12)", None),
            ("could not create a new oci container: cannot allocate memory", Some("deploy")),
        ] {
            assert!(is_failed_start(text, program, true), "{text}");
        }
    }

    #[test]
    fn what_applications_and_runtimes_say_of_other_things() {
        for (text, program) in [
            ("error cannot start worker: convert: cannot allocate memory", Some("docker-compose")),
            ("failed to create cache: cannot allocate memory", Some("app")),
            (
                "web-1 | java.io.ioexception: cannot run program \"convert\": error=12, cannot allocate memory",
                None,
            ),
            ("failed to delete container: no space left on device", Some("containerd")),
            ("failed to pull image: write: no space left on device", Some("dockerd")),
            (
                "failed to mkdir for snapshot error=mkdir /var/lib/etcd/tmp: no space left on device",
                Some("etcd"),
            ),
        ] {
            assert!(!is_failed_start(text, program, true), "{text}");
        }
    }

    #[test]
    fn rules_and_comments_are_none() {
        for text in [
            "\"pattern\": \"failed to create shim task: .*cannot allocate memory\"",
            "# failed to create shim task: cannot allocate memory",
            "lxc web 20250505100000.101 WARN     start - start.c:lxc_spawn:1840 - File exists - Failed",
            "summary: {{ $labels.pod }}: failed to create shim task: out of memory",
            "2. If you see `failed to create shim task: ...: cannot allocate memory`, add memory.",
        ] {
            assert!(!may_be_failure(text, None), "{text}");
        }
    }
}
