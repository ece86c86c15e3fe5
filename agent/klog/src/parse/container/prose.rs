//! Texts that have the words of a failure and report none: comments, manuals, templates, tables of
//! strings.

/// Whether a sentence quotes the message at this byte: `expected error "failed to …: …"`.
pub(super) fn quotes(text: &str, at: usize) -> bool {
    // Markdown's mark of something that is quoted.
    if text[..at].ends_with('`')
        && text[at..].split_once('`').is_some_and(|(quoted, _)| quoted.contains(' '))
    {
        return true;
    }
    // In a string the quotes are escaped.
    let before = text[..at].strip_suffix(['"', '`', '“']).map(|rest| rest.trim_end_matches('\\'));
    let before = before.and_then(|rest| rest.strip_suffix(' '));
    let quoted = text[at..].split(['"', '`', '”', '\\']).next().unwrap_or_default();
    before.is_some_and(|rest| rest.ends_with(|c: char| c.is_ascii_lowercase()))
        && quoted.contains(": ")
}

/// Whether LXC logs it as something that ends nothing: `lxc web 20250505100000.101 WARN     start - …`.
pub(super) fn is_below_error(text: &str) -> bool {
    let below = ["WARN", "NOTICE", "INFO", "DEBUG", "TRACE"];
    lxc_level(text).is_some_and(|level| below.contains(&level))
}

/// The level of a line of LXC's log, which stands behind its time.
pub(super) fn lxc_level(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace().take(6).skip_while(|word| !is_lxc_time(word));
    words.next()?;
    words.next()
}

/// Whether it is a time as LXC writes one, `20250505100000.101`.
pub(super) fn is_lxc_time(word: &str) -> bool {
    word.len() == 18 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whether it is a sentence of a manual about such a message. Behind a runtime's own message it may
/// follow as a hint.
pub(super) fn is_advice(text: &str, of_runtime: bool) -> bool {
    ["If you ", "If the ", "If a ", "Look for ", "See "].iter().any(|begin| {
        text.match_indices(begin).any(|(at, _)| {
            if of_runtime && !text[..at].trim().is_empty() {
                return false;
            }
            let before = text[..at].trim_end_matches([' ', '-', '*', '.']);
            before.is_empty() || !before.ends_with(char::is_alphabetic)
        })
    })
}

/// Whether it is a comment of a configuration file or of source code.
pub(super) fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    // `#11 ERROR: …` is BuildKit's.
    let numbered =
        text.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    !numbered && ["#", "//", "/*", "* ", ";"].iter().any(|mark| text.starts_with(mark))
}

/// How many directives of printf's a message that names nothing may hold: of `date +%s`, which did
/// not start.
const DIRECTIVES: usize = 1;
/// Words of a table of strings that a small and a capital letter glue together.
const GLUED: usize = 8;

/// Whether a text that names no container is what messages are made of: it has directives of printf's,
/// or is a stretch of a program's strings, which have nothing between them.
pub(super) fn is_template(text: &str, has_errno: bool) -> bool {
    let directives = directives(text);
    let glued = || {
        let bytes = text.as_bytes().windows(2);
        bytes.filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count()
    };
    // The keys of an object are such words too.
    let is_table = || !text.contains("\":") && glued() >= GLUED;
    directives > DIRECTIVES || !has_errno && (directives > 0 || is_table())
}

/// How many directives of printf's or of Go's it has, whatever follows them: `%s`, `%+v`, `%.7s`. The
/// escapes of an address (`%d0`) are none.
fn directives(text: &str) -> usize {
    let rest = text.split('%').skip(1);
    let begins = rest.filter(|rest| {
        let verb = rest.trim_start_matches(|c: char| "+#-.".contains(c) || c.is_ascii_digit());
        let escape = rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        !escape && verb.starts_with(['s', 'd', 'u', 'v', 'w', 'q', 'x', 'T'])
    });
    begins.count()
}

/// Whether it is a query of a log monitor's: `{job="kernel"} |= "…"`.
pub(super) fn is_query(text: &str) -> bool {
    ["|= \"", "|~ \"", "=~ \"", "== \""].iter().any(|operator| text.contains(operator))
}

/// Whether it is a sentence of plain words, which says neither what failed nor why.
pub(super) fn is_bare(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '.' | '-' | ')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_and_bare_sentences() {
        assert!(is_template("%s - Failed to create cgroup %s", false));
        assert!(is_template("Failed to spawn container \"%s\"", false));
        assert!(!is_template("exec: \"date +%s\": cannot allocate memory", true));
        assert!(is_template("level %dopen and %vread: too many links", true));
        assert!(!is_template("GET /%d0%b0%d0: too many links", true));
        let keys = "{\"taskArn\":1,\"stopCode\":\"TaskFailedToStart\",\"lastStatus\":\"STOPPED\",\"stoppedReason\":\"CannotStartContainerError\"}";
        assert!(!is_template(keys, false) && is_template(&keys.replace("\":", ""), false));
        assert!(is_bare("Failed to create container from template"));
        assert!(!is_bare("Failed to create container: no"));
    }
}
