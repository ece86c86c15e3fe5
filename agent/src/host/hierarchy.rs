//! The cgroups that exist when a trace starts.
use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use fragwatch_core::{attribution::cgroups::MAX_LIVING, model::event::CgroupPath};

use crate::kernel::environment;

/// Inode of a hierarchy's root (fs/kernfs: ids begin with 1).
const ROOT_INODE: u64 = 1;

/// Levels that are walked. Nested containers have about ten.
const MAX_DEPTH: usize = 24;

/// The cgroup hierarchy that identifies containers: that of the memory controller on v1, else v2's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// The hierarchy's id in the kernel; 0 is v2.
    pub id: u32,
    /// Its mount point; `None` if it is not mounted.
    mount: Option<PathBuf>,
}

impl Hierarchy {
    /// Reads it for the machine whose root directory is `root`.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        // The memory controller's line: name, hierarchy, …
        let id = text("proc/cgroups").lines().find_map(|line| {
            let mut fields = line.strip_prefix("memory\t")?.split('\t');
            fields.next()?.parse().ok()
        });
        let id = id.unwrap_or(0);
        let mounts = text("proc/self/mounts");
        let mount = if id == 0 {
            environment::mounted(&mounts, "cgroup2")
        } else {
            environment::v1_memory(&mounts)
        };
        let mount = mount.and_then(|at| Some(root.join(at.strip_prefix("/").ok()?)));
        Self { id, mount }
    }

    /// Passes its cgroups with their ids to `each`, parents first. They are [`MAX_LIVING`] at most, those of
    /// upper levels before deeper ones. Inside a cgroup namespace only cgroups below the namespace's root are
    /// visible, and their paths are marked as truncated.
    pub fn walk<E>(&self, mut each: impl FnMut(u64, CgroupPath) -> Result<(), E>) -> Result<(), E> {
        let Some(top) = &self.mount else { return Ok(()) };
        let truncated = inode(top).is_some_and(|inode| inode != ROOT_INODE);
        let mut left = VecDeque::from([top.clone()]);
        let mut found = 0;
        while let Some(directory) = left.pop_front() {
            let Some(id) = inode(&directory) else { continue };
            found += 1;
            let below = directory.strip_prefix(top).unwrap_or(&directory);
            let names = below.iter().map(|name| name.to_string_lossy().into_owned());
            let path = CgroupPath { names: names.collect(), truncated };
            let is_deepest = path.names.len() == MAX_DEPTH;
            each(id, path)?;
            if is_deepest {
                continue;
            }
            // A cgroup that was removed meanwhile is skipped.
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                if found + left.len() >= MAX_LIVING {
                    break;
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    left.push_back(entry.path());
                }
            }
        }
        Ok(())
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn all(hierarchy: &Hierarchy) -> Vec<(u64, CgroupPath)> {
        let mut found = Vec::new();
        let walked: Result<(), Infallible> = hierarchy.walk(|id, path| {
            found.push((id, path));
            Ok(())
        });
        assert_eq!(walked, Ok(()));
        found
    }

    /// A machine with these mounts and this `/proc/cgroups`, and a few cgroups at `mount`.
    fn machine(name: &str, mounts: &str, cgroups: &str, mount: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("proc/self")).expect("a directory of our own");
        fs::write(root.join("proc/self/mounts"), mounts).expect("a file of our own");
        fs::write(root.join("proc/cgroups"), cgroups).expect("a file of our own");
        fs::create_dir_all(root.join(mount).join("a/b")).expect("a directory of our own");
        fs::write(root.join(mount).join("a/tasks"), "").expect("a file of our own");
        root
    }

    #[test]
    fn v2_cgroups_are_walked_with_inodes_as_ids() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let cgroups = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t3\t1\n";
        let root = machine("walk-v2", mounts, cgroups, "sys/fs/cgroup");
        let hierarchy = Hierarchy::read(&root);
        let found = all(&hierarchy);
        let b = fs::metadata(root.join("sys/fs/cgroup/a/b")).expect("it is there").ino();
        fs::remove_dir_all(&root).expect("it was made");
        assert_eq!(hierarchy.id, 0);
        let paths: Vec<String> = found.iter().map(|(_, path)| path.display()).collect();
        // The test's directory does not have the root's inode, so it looks like a cgroup namespace.
        assert_eq!(paths, ["/…/", "/…/a", "/…/a/b"]);
        assert_eq!(found[2].0, b);
    }

    #[test]
    fn v1_memory_hierarchy_is_preferred() {
        let mounts = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0\n";
        let cgroups =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\nmemory\t9\t3\t1\n";
        let root = machine("walk-v1", mounts, cgroups, "sys/fs/cgroup/memory");
        let hierarchy = Hierarchy::read(&root);
        let found = all(&hierarchy);
        fs::remove_dir_all(&root).expect("it was made");
        assert_eq!((hierarchy.id, found.len()), (9, 3));
    }

    #[test]
    fn without_a_mounted_hierarchy_no_cgroup_is_found() {
        let hierarchy = Hierarchy::read(Path::new("/nowhere"));
        assert_eq!(hierarchy, Hierarchy::default());
        assert_eq!(all(&hierarchy), []);
    }
}
