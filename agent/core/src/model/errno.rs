//! Names of error numbers.
use nix::errno::Errno;

/// The name of a positive errno, `errno 4000` if it has none.
pub fn name(errno: i32) -> String {
    match Errno::from_raw(errno) {
        Errno::UnknownErrno => format!("errno {errno}"),
        known => format!("{known:?}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_errnos() {
        assert_eq!(super::name(libc::ENOMEM), "ENOMEM");
        assert_eq!(super::name(4000), "errno 4000");
    }
}
