//! The kernel's errors in a message: their words, names and numbers.

/// errno's words, lower case (glibc, musl, Go and Rust agree on these).
pub(super) const ERRNO_WORDS: &[(&str, i32)] = &[
    ("cannot allocate memory", libc::ENOMEM),
    ("not enough memory", libc::ENOMEM),
    (OUT_OF_MEMORY, libc::ENOMEM),
    ("no space left on device", libc::ENOSPC),
    ("resource temporarily unavailable", libc::EAGAIN),
    ("try again", libc::EAGAIN),
    ("operation not permitted", libc::EPERM),
    ("permission denied", libc::EACCES),
    ("device or resource busy", libc::EBUSY),
    ("resource busy", libc::EBUSY),
    ("invalid argument", libc::EINVAL),
    ("numerical result out of range", libc::ERANGE),
    ("too many open files", libc::EMFILE),
    ("too many levels of symbolic links", libc::ELOOP),
    ("exchange full", libc::EXFULL),
    ("file exists", libc::EEXIST),
    ("read-only file system", libc::EROFS),
    ("exec format error", libc::ENOEXEC),
    ("function not implemented", libc::ENOSYS),
    ("operation not supported", libc::EOPNOTSUPP),
    ("protocol not supported", libc::EPROTONOSUPPORT),
    ("no such device", libc::ENODEV),
    ("no such file or directory", libc::ENOENT),
    ("not a directory", libc::ENOTDIR),
    ("connection refused", libc::ECONNREFUSED),
    ("disk quota exceeded", libc::EDQUOT),
    ("key has expired", libc::EKEYEXPIRED),
    ("input/output error", libc::EIO),
    // iptables' words.
    ("memory allocation problem", libc::ENOMEM),
    ("no buffer space available", libc::ENOBUFS),
    ("argument list too long", libc::E2BIG),
    ("file name too long", libc::ENAMETOOLONG),
    ("text file busy", libc::ETXTBSY),
    ("too many users", libc::EUSERS),
    ("too many links", libc::EMLINK),
    ("connection timed out", libc::ETIMEDOUT),
    ("no route to host", libc::EHOSTUNREACH),
    ("stale file handle", libc::ESTALE),
    ("is a directory", libc::EISDIR),
    ("directory not empty", libc::ENOTEMPTY),
];

/// The same in other languages, as coreutils and shells print them (glibc's translations).
pub(super) const TRANSLATED: &[(&str, i32)] = &[
    ("hauptspeicher verfügbar", libc::ENOMEM),
    ("impossible d'allouer de la mémoire", libc::ENOMEM),
    ("impossible d’allouer de la mémoire", libc::ENOMEM),
    ("no se pudo asignar memoria", libc::ENOMEM),
    ("impossibile allocare memoria", libc::ENOMEM),
    ("possível alocar memória", libc::ENOMEM),
    ("Невозможно выделить память", libc::ENOMEM),
    ("无法分配内存", libc::ENOMEM),
    ("メモリを確保できません", libc::ENOMEM),
    ("kein speicherplatz mehr verfügbar", libc::ENOSPC),
    ("aucun espace disponible sur le périphérique", libc::ENOSPC),
    ("no queda espacio en el dispositivo", libc::ENOSPC),
    ("spazio esaurito sul device", libc::ENOSPC),
    ("espaço disponível no dispositivo", libc::ENOSPC),
    ("На устройстве не осталось свободного места", libc::ENOSPC),
    ("设备上没有空间", libc::ENOSPC),
    ("デバイスに空き領域がありません", libc::ENOSPC),
];

/// musl's words for ENOMEM, with which other sentences go on.
const OUT_OF_MEMORY: &str = "out of memory";

/// Names and numbers of those that may come of memory or a limit, in lower case.
const ERRNO_NAMES: &[(&str, i32)] = &[
    ("enomem", libc::ENOMEM),
    ("enospc", libc::ENOSPC),
    ("eagain", libc::EAGAIN),
    ("edquot", libc::EDQUOT),
    ("os error 12)", libc::ENOMEM),
    ("os error 28)", libc::ENOSPC),
    ("os error 11)", libc::EAGAIN),
    ("errno=12", libc::ENOMEM),
    ("errno=28", libc::ENOSPC),
    ("errno=11", libc::EAGAIN),
    ("errno 12", libc::ENOMEM),
    ("errno 28", libc::ENOSPC),
    ("errno 11", libc::EAGAIN),
    ("errno: 12", libc::ENOMEM),
    ("errno: 28", libc::ENOSPC),
    ("errno: 11", libc::EAGAIN),
];

/// The error that stands last in a message.
pub(super) struct Innermost {
    pub(super) errno: i32,
    /// Byte where its words begin.
    start: usize,
    /// Byte behind its words.
    pub(super) end: usize,
}

/// Finds it. Programs wrap errors from the left, so it is the last one.
pub(super) fn innermost(lower: &str) -> Option<Innermost> {
    let known = ERRNO_WORDS.iter().chain(ERRNO_NAMES).chain(TRANSLATED);
    let found = known.filter_map(|&(words, errno)| {
        let start = last_word(lower, words)?;
        Some(Innermost { errno, start, end: start + words.len() })
    });
    found.max_by_key(|innermost| innermost.start)
}

/// Where `words` stand last as whole words.
fn last_word(lower: &str, words: &str) -> Option<usize> {
    let alone = |at: usize| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let behind = &lower[at + words.len()..];
        let goes_on = words == OUT_OF_MEMORY
            && behind.strip_prefix(' ').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        // Podman's name for a kind of errors, which it puts behind the kernel's.
        let kind = lower[..at].ends_with(": oci ");
        !lower[..at].ends_with(inside) && !behind.starts_with(inside) && !goes_on && !kind
    };
    lower.rmatch_indices(words).map(|(at, _)| at).find(|&at| alone(at))
}

impl Innermost {
    /// Whether it stands where an error does: behind a colon, a bracket or a number, and at the end
    /// of a part.
    pub(super) fn ends_a_chain(&self, lower: &str) -> bool {
        let before = lower[..self.start].trim_end();
        let before = before.is_empty()
            || before.ends_with([':', '(', ';', '=', '-', '['])
            || before.ends_with(|c: char| c.is_ascii_digit());
        let after = lower[self.end..].chars().next();
        before && after.is_none_or(|c| !c.is_alphanumeric() && c != ',')
    }

    /// What the error is about: its own part of the chain and the one around it; with what stands
    /// behind a dash, as LXC writes it.
    pub(super) fn about(&self, lower: &str) -> String {
        const PARTS: usize = 3;
        let before = &lower[..self.start];
        let mut parts = before.rmatch_indices(": ").map(|(at, _)| at + 2);
        let from = parts.nth(PARTS - 1).unwrap_or(0);
        let behind = lower[self.end..].strip_prefix(" - ").unwrap_or_default();
        format!("{}{behind}", &before[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_counts() {
        let text = "no such file or directory: failed: cannot allocate memory";
        assert_eq!(innermost(text).map(|found| found.errno), Some(libc::ENOMEM));
        assert!(innermost("errno=119").is_none());
        assert!(innermost("out of memory in shared pool").is_none());
        assert!(innermost("start: out of memory (12)").is_some());
    }
}
