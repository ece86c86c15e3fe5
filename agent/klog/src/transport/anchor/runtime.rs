//! Where in a line the message of a runtime, or of what passes one on, begins.
//!
//! It begins where one of them speaks (`docker: `, `Error: crun: `), with a word of failure, with a
//! phrase that only a failed start has, or as a whole string of a shipper's. From there on it must say
//! that a start failed, and what stands before it must not read like a part of it.
mod tag;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::REACH;
use crate::{parse::container, transport::head};

/// Places in a line that are tried.
const MAX_PLACES: usize = 24;
/// Strings of a line that are tried.
const MAX_STRINGS: usize = 12;

/// Words that errors begin with; lower case.
const WORDS_OF_FAILURE: &[&str] = &[
    "error: ",
    "error response",
    "error c",
    "error s",
    "error r",
    "error a",
    "error i",
    "error w",
    "fatal: ",
    "fatal error",
    "fata[",
    "erro[",
    "failed to ",
    "failed creat",
    "failed start",
    "failed: ",
    "unable to ",
    "cannot ",
    "can't ",
    "could not ",
    "couldn't ",
    "mkdir: ",
    "mkdir /",
    "unshare: ",
    "newuidmap: ",
    "newgidmap: ",
    "rtnetlink answers",
    "rpc error",
    "fork/exec ",
    "message: ",
    "reason: ",
];
/// Words of failure that are levels too.
const LEVELS: &[&str] = &["error", "fatal", "err", "erro", "fata", "warning", "failed"];

static STARTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = WORDS_OF_FAILURE.iter().chain(container::speakers()).chain(container::phrases());
    AhoCorasick::builder().ascii_case_insensitive(true).build(words.copied()).ok()
});

/// The byte at which such a message begins, if there is one in the line.
pub(super) fn find(line: &str) -> Option<usize> {
    if !container::may_be_failure(line) {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let reach = line.floor_char_boundary(REACH);
    let words = STARTS.as_ref()?.find_overlapping_iter(&lower[..reach]);
    let mut places: Vec<usize> = words.map(|found| found.start()).collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|&at| super::begins_there(line, at));
    // The first one decides: what follows it is a part of it.
    let first = places.into_iter().take(MAX_PLACES).find(|&at| starts(&lower[at..]));
    let first = [first, row(line)].into_iter().flatten().min();
    if first == Some(0) {
        return first;
    }
    whole_string(line, first.unwrap_or(reach)).or_else(|| {
        let at = first.filter(|&at| !line[..at].ends_with('"') && reads_as_head(&line[..at]));
        let at = at.unwrap_or(reach);
        // Of several tags the first: what is behind it is read as a log of its own.
        let tag = tag::first(&line[..at]).or((at < reach).then_some(at))?;
        container::is_failure(&line[tag..]).then_some(tag)
    })
}

/// Whether a text in lower case begins as such messages do.
fn starts(rest: &str) -> bool {
    let speaks = || container::speaks(rest);
    let fails = || WORDS_OF_FAILURE.iter().any(|word| rest.starts_with(word));
    let says = || container::phrases().any(|phrase| rest.starts_with(phrase));
    (speaks() || fails()) && !is_tag(rest) || says()
}

/// Whether a word is a tag, or a level: a sign that ends one follows it.
fn is_tag(rest: &str) -> bool {
    let part = rest.split(": ").next().unwrap_or_default();
    [" | ", " >> ", " > ", "] ", ") ", "\t"]
        .iter()
        .any(|end| part.find(end).is_some_and(|at| !part[..at].contains(['[', '(', '"'])))
}

/// A string that a shipper put a message in: where its content begins, or, if the string is a field
/// in a line of its own as in indented JSON, where its key does. Strings that begin behind `last` are
/// parts of the message.
fn whole_string(line: &str, last: usize) -> Option<usize> {
    let quotes = line.match_indices('"').map(|(at, _)| at).filter(|at| *at < last.max(1));
    let opens = quotes.filter(|&at| {
        let before = line[..at].trim_end_matches([' ', '\\']);
        let key =
            before.strip_suffix(['=', ':']).map(|before| before.trim_end_matches(['"', '\\']));
        key.is_some_and(|key| key.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            || line[..at].ends_with([',', '['])
    });
    opens.take(MAX_STRINGS).map(|at| at + 1).find_map(|at| {
        let key = line[..at - 1].trim_end_matches([':', '=', ' ', '"', '\\']);
        let is_part =
            ["error", "err", "desc", "reason", "caused"].iter().any(|end| key.ends_with(end));
        if is_part || !container::is_failure(&head::split(line, at).1) {
            return None;
        }
        let begin = key.rfind('"').unwrap_or(key.len());
        let alone = line[..begin].trim_end_matches('\\');
        let pretty = line[..at].trim_end().ends_with(": \"") && begin < key.len();
        let pretty = pretty && (alone.trim().is_empty() || alone.ends_with("  "));
        Some(if pretty { begin } else { at })
    })
}

/// Whether what stands before a message can be a shipper's: it names no container, it is no sentence,
/// and it does not speak of a failure itself.
fn reads_as_head(head: &str) -> bool {
    if container::names_any(head) {
        return false;
    }
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    let mut last_plain = false;
    for word in head.split_ascii_whitespace() {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation()).to_ascii_lowercase();
        let level = bare.len() <= 7 && (LEVELS.contains(&bare.as_str()) || is_level(&bare));
        if !level && container::is_word_of_failure(&bare) || level && word.ends_with(':') {
            return false;
        }
        let plain = is_plain(word) && !level;
        // A part of a program, as of `client.driver_mgr`, is no source.
        let component = word.strip_suffix(':').is_some_and(|name| {
            name.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '-'))
        });
        if plain && last_plain || component {
            return false;
        }
        last_plain = plain;
    }
    // Nothing separates a word from what follows but a column's blanks.
    !last_plain || head.ends_with("  ") || head.ends_with('\t')
}

fn is_level(word: &str) -> bool {
    ["debug", "info", "notice", "warn", "crit", "alert", "emerg", "trace"].contains(&word)
}

/// Where a row of `kubectl get events` or of `kubectl describe` begins.
fn row(line: &str) -> Option<usize> {
    const KIND: &str = "Warning";
    let blank = |c: char| c == ' ' || c == '\t';
    let at = line.match_indices(KIND).map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        line[at + KIND.len()..].starts_with(blank)
            && before.is_none_or(|c| blank(c) || c.is_ascii_punctuation())
    })?;
    // An event in a description: its reason, and how long ago.
    if line[at + KIND.len()..].split_ascii_whitespace().nth(1).is_some_and(is_age) {
        return Some(at);
    }
    let word_before = |end: usize| {
        let before = line[..end].trim_end_matches(blank);
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let begin = before.trim_end_matches(name).len();
        (before.len() < end && begin < before.len()).then(|| (begin, &before[begin..]))
    };
    let (begin, _) = word_before(at).filter(|(_, word)| is_age(word))?;
    // With -A the namespace stands before it, in a column of its own.
    let namespace = word_before(begin).filter(|(_, name)| container::is_name(name));
    Some(namespace.filter(|_| line[..begin].ends_with("  ")).map_or(begin, |(begin, _)| begin))
}

/// `14s`, `3m12s`.
fn is_age(word: &str) -> bool {
    let number = word.trim_end_matches(['s', 'm', 'h', 'd']);
    number.len() < word.len() && number.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, message: &str) {
        assert_eq!(find(&format!("{head}{message}")), Some(head.len()), "{head}{message}");
    }

    #[test]
    fn messages_behind_tags() {
        let crun = "Error: crun: clone: Cannot allocate memory";
        for head in [
            "",
            "[db-1] ",
            "71) node-7 | ",
            "warn edge-2 >> ",
            "a/b.txt: ",
            "ERROR\tn1 ",
            "(x)    ",
        ] {
            check(head, crun);
        }
        check("n1 | ", "bwrap: Creating new namespace failed: No space left on device");
        check(
            "n1 | ",
            "shop   14s   Warning   Failed   pod/a   Error: unshare: cannot allocate memory",
        );
        check("n1 | ", "Warning  Failed  9s  kubelet  Error: unshare: cannot allocate memory");
    }

    #[test]
    fn messages_in_strings() {
        let unshare = "unshare: unshare failed: Cannot allocate memory";
        for head in ["{\"n\":1,\"x\":\"", "a=1 body=\"", "\"n1\",7,\""] {
            check(head, &format!("{unshare}\""));
        }
        check("  ", "\"message\": \"Failed to start container: Cannot allocate memory\",");
    }

    #[test]
    fn parts_of_messages_are_none() {
        for line in [
            "    create containerd task: failed to create shim task: OCI runtime create",
            "returned error: OCI runtime create failed: mkdir x: cannot allocate memory",
            "[ERROR] client.driver: failed to start container: cannot allocate memory",
            "expr: count({job=\"kernel\"} |= \"OCI runtime create failed\" [5m]) > 0",
            "What does \"OCI runtime create failed\" mean?",
            "- fix OCI runtime create failed after an error",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
    }
}
