//! Whether a directory can be a store's, and the lock that keeps a second process out of it.
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::statfs::{self, FsType},
    unistd::geteuid,
};

use super::{Lane, MIN_SIZE};

/// The file that is locked.
const LOCK: &str = "lock";

/// File systems on which a store would not keep its promises, with the reason.
const REFUSED: [(FsType, &str, &str); 5] = [
    (statfs::NFS_SUPER_MAGIC, "NFS", NETWORK),
    (statfs::SMB_SUPER_MAGIC, "SMB", NETWORK),
    (FsType(0xff53_4d42), "CIFS", NETWORK),
    (FsType(0xfe53_4d42), "SMB", NETWORK),
    (
        statfs::OVERLAYFS_SUPER_MAGIC,
        "overlayfs",
        "it is gone with its container: mount a volume or a directory of the node there",
    ),
];

const NETWORK: &str = "a network that hangs would hang the store: name a directory of a local disk";

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It would be too small.
    #[error("a store of {0} bytes is too small: it needs at least {MIN_SIZE}")]
    TooSmall(u64),
    /// The directory can't be created or read.
    #[error("could not open the store {path}: {error}")]
    Refused {
        /// The directory.
        path: String,
        /// The reason.
        error: io::Error,
    },
    /// It is a file.
    #[error("could not open the store {0}: it is no directory")]
    NoDirectory(String),
    /// Another user's.
    #[error(
        "could not open the store {path}: it belongs to user {owner}, and fragwatch runs as user \
         {user}: chown it, or name another directory"
    )]
    Owner {
        /// The directory.
        path: String,
        /// Its owner's id.
        owner: u32,
        /// The id of this process's user.
        user: u32,
    },
    /// Others may write to it.
    #[error(
        "could not open the store {0}: users other than its owner may write to it: chmod go-w it"
    )]
    Writable(String),
    /// The file system.
    #[error("could not use {path} as a store: it is on {kind}, and {reason}")]
    FileSystem {
        /// The directory.
        path: String,
        /// The file system.
        kind: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// Another process has it open.
    #[error(
        "could not open the store {0}: another fragwatch writes to it; end that one, or name \
         another directory"
    )]
    Locked(String),
    /// A symbolic link, or another thing that is no directory or file, stands in its place.
    #[error(
        "could not open the store {0}: it is a symbolic link or no directory; remove it, or name \
         another directory for the store"
    )]
    Odd(String),
}

/// Holds the lock of a store until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

/// Checks a store's directory, creates it if it does not exist, and locks it.
pub(super) fn prepare(directory: &Path) -> Result<Lock, OpenError> {
    let path = directory.display().to_string();
    let refused = |error: io::Error| OpenError::Refused { path: path.clone(), error };
    match fs::create_dir(directory) {
        Ok(()) => restrict(directory).map_err(refused)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refused(error)),
    }
    let metadata = fs::metadata(directory).map_err(refused)?;
    if !metadata.is_dir() {
        return Err(OpenError::NoDirectory(path));
    }
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(OpenError::Owner { path, owner: metadata.uid(), user });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(OpenError::Writable(path));
    }
    let kind = statfs::statfs(directory).map_err(|error| refused(error.into()))?.filesystem_type();
    if let Some((kind, reason)) = why_refused(kind) {
        return Err(OpenError::FileSystem { path, kind, reason });
    }
    for name in Lane::ALL.map(Lane::name) {
        let lane = directory.join(name);
        let odd = match fs::symlink_metadata(&lane) {
            Ok(metadata) if !metadata.is_dir() => Some(lane),
            Ok(_) => link_in(&lane).map_err(refused)?,
            Err(_) => None,
        };
        if let Some(odd) = odd {
            return Err(OpenError::Odd(odd.display().to_string()));
        }
    }
    lock(directory)
}

/// A symbolic link in a directory: no segment of ours is one.
fn link_in(directory: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn lock(directory: &Path) -> Result<Lock, OpenError> {
    let lock = directory.join(LOCK);
    let path = lock.display().to_string();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&lock)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => OpenError::Odd(path.clone()),
            _ => OpenError::Refused { path: path.clone(), error },
        })?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => Ok(Lock { _file: file }),
        Err((_, nix::Error::EWOULDBLOCK)) => {
            Err(OpenError::Locked(directory.display().to_string()))
        }
        Err((_, error)) => Err(OpenError::Refused { path, error: error.into() }),
    }
}

fn restrict(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

fn why_refused(kind: FsType) -> Option<(&'static str, &'static str)> {
    let of_kind = REFUSED.iter().find(|(refused, ..)| *refused == kind);
    of_kind.map(|(_, name, reason)| (*name, *reason))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn file_systems_that_do_not_keep_a_store_are_refused() {
        let kind = |kind| why_refused(kind).map(|(name, _)| name);
        assert_eq!(kind(statfs::NFS_SUPER_MAGIC), Some("NFS"));
        assert_eq!(kind(statfs::OVERLAYFS_SUPER_MAGIC), Some("overlayfs"));
        for usable in [statfs::EXT4_SUPER_MAGIC, statfs::XFS_SUPER_MAGIC, statfs::TMPFS_MAGIC] {
            assert_eq!(kind(usable), None);
        }
    }

    #[test]
    fn a_directory_that_others_own_or_write_to_is_refused() {
        let path = Path::new("/dev/shm").join(format!("fragwatch-owner-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let lock = prepare(&path).expect("it can be created");
        drop(lock);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("it is ours");
        let writable = prepare(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        assert!(matches!(writable, Err(OpenError::Writable(_))));
        drop(prepare(&path).expect("the control: now it can be used"));
        // Only root can give it away.
        if chown(&path, Some(65_534), None).is_ok() {
            let owned = prepare(&path);
            assert!(matches!(owned, Err(OpenError::Owner { owner: 65_534, .. })), "{owned:?}");
        }
        fs::remove_dir_all(&path).expect("it is empty but for the lock");
    }

    #[test]
    fn a_symbolic_link_anywhere_in_it_is_refused() {
        let path = Path::new("/dev/shm").join(format!("fragwatch-links-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        drop(prepare(&path).expect("it can be created"));
        let lane = path.join(Lane::ALL[0].name());
        for link in [path.join(LOCK), lane.clone(), lane.join("0000000001-1.jsonl")] {
            if link.starts_with(&lane) && link != lane {
                fs::create_dir(&lane).expect("it is ours");
            }
            let _ = fs::remove_file(&link);
            symlink("/etc/passwd", &link).expect("it is ours");
            let odd = prepare(&path);
            assert!(
                matches!(&odd, Err(OpenError::Odd(named)) if Path::new(named) == link),
                "{odd:?}"
            );
            fs::remove_file(&link).expect("it is a link");
        }
        drop(prepare(&path).expect("the control: without a link it can be used"));
        fs::remove_dir_all(&path).expect("it is ours");
    }
}
