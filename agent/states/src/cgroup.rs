//! Cgroups of a state's own: where controllers are mounted, and limits.
use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    reached::Reached,
    spec::{CgroupLimit, Limit},
    undo::{Changes, Undo},
};

/// Where a controller's cgroups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The mount point.
    pub mount: String,
    /// Whether it is v2's.
    pub v2: bool,
}

impl Hierarchy {
    /// Finds the hierarchy of a controller, such as `memory`.
    ///
    /// # Errors
    /// If this kernel does not have it, or it is not mounted.
    pub fn of(controller: &str) -> Result<Self> {
        let mounts = read_mounts()?;
        let v2_controllers = |mount: &str| {
            fs::read_to_string(format!("{mount}/cgroup.controllers")).unwrap_or_default()
        };
        find(&mounts, controller, v2_controllers).with_context(|| {
            format!(
                "this kernel has no {controller} controller for cgroups, or it is not mounted: neither \
                 cgroup v2 nor v1 offers it"
            )
        })
    }

    /// The directory of a cgroup with that path.
    pub fn directory(&self, cgroup: &str) -> String {
        format!("{}{cgroup}", self.mount)
    }

    /// Makes a cgroup with that controller, in which cgroups with limits can be made.
    pub(crate) fn make(
        &self,
        cgroup: &str,
        controller: &str,
        changes: &mut Changes,
    ) -> Result<String> {
        let directory = self.directory(cgroup);
        if Path::new(&directory).exists() {
            bail!(
                "cgroup {cgroup} is there already: another run uses it, or an earlier one left it \
                 (rmdir {directory})"
            );
        }
        if self.v2 {
            let file = format!("{}/cgroup.subtree_control", self.mount);
            let given =
                fs::read_to_string(&file).with_context(|| format!("could not read {file}"))?;
            if !given.split_ascii_whitespace().any(|name| name == controller) {
                changes.note(Undo::Write { path: file.clone(), text: format!("-{controller}") })?;
                write(&file, &format!("+{controller}"))?;
            }
        }
        changes.note(Undo::RemoveCgroup { directory: directory.clone() })?;
        // A runtime makes it in the other hierarchies of v1 too, and removes only the container's own below.
        for mount in mounts(&read_mounts()?) {
            let other = format!("{mount}{cgroup}");
            if other != directory && !Path::new(&other).exists() {
                changes.note(Undo::RemoveCgroup { directory: other })?;
            }
        }
        fs::create_dir(&directory).with_context(|| format!("could not make {directory}"))?;
        if self.v2 {
            write(&format!("{directory}/cgroup.subtree_control"), &format!("+{controller}"))?;
        }
        Ok(directory)
    }
}

fn read_mounts() -> Result<String> {
    let path = "/proc/self/mounts";
    fs::read_to_string(path).with_context(|| format!("could not read {path}"))
}

/// Where hierarchies of either version are mounted.
fn mounts(text: &str) -> Vec<&str> {
    fn of_cgroups(line: &str) -> Option<&str> {
        let mut fields = line.split(' ').skip(1);
        let (mount, kind) = (fields.next()?, fields.next()?);
        matches!(kind, "cgroup" | "cgroup2").then_some(mount)
    }
    text.lines().filter_map(of_cgroups).collect()
}

fn find(
    mounts: &str,
    controller: &str,
    v2_controllers: impl Fn(&str) -> String,
) -> Option<Hierarchy> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (mount, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let v2 = match kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let has = if v2 {
            v2_controllers(mount).split_ascii_whitespace().any(|name| name == controller)
        } else {
            options.split(',').any(|name| name == controller)
        };
        has.then(|| Hierarchy { mount: mount.to_owned(), v2 })
    })
}

/// Makes the cgroup with its limit.
pub(crate) fn limit(spec: &CgroupLimit, changes: &mut Changes) -> Result<Reached> {
    let (controller, value) = match spec.limit {
        Limit::Memory(headroom_kib) => ("memory", headroom_kib * 1024),
        Limit::Pids(left) => ("pids", left),
    };
    let hierarchy = Hierarchy::of(controller)?;
    let directory = hierarchy.make(&spec.cgroup, controller, changes)?;
    let (file, used, unit) = match (spec.limit, hierarchy.v2) {
        (Limit::Memory(_), true) => ("memory.max", "memory.current", "bytes of memory"),
        (Limit::Memory(_), false) => {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "bytes of memory")
        }
        (Limit::Pids(_), _) => ("pids.max", "pids.current", "processes"),
    };
    let (used, most) = set_limit(&directory, file, used, value)?;
    let sentence = format!(
        "cgroup {} and those below it together may have {most} {unit} ({file}); {used} are in use",
        spec.cgroup
    );
    Ok(Reached { sentences: vec![sentence], ..Reached::default() })
}

/// Limits what a cgroup may have to what it has and so much more: `set_limit(directory, "pids.max",
/// "pids.current", 1)`. Returns what it has, and the limit.
pub fn set_limit(directory: &str, file: &str, usage: &str, more: u64) -> Result<(u64, u64)> {
    let path = format!("{directory}/{usage}");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let used: u64 = text.trim().parse().with_context(|| format!("{path} holds no number"))?;
    let most = used + more;
    write(&format!("{directory}/{file}"), &most.to_string())?;
    Ok((used, most))
}

pub(crate) fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("could not write {text} to {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_found_in_both_versions() {
        let v2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let found = find(v2, "memory", |_| "cpuset cpu memory pids\n".to_owned());
        assert_eq!(found, Some(Hierarchy { mount: "/sys/fs/cgroup".to_owned(), v2: true }));
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = find(hybrid, "memory", |_| String::new());
        assert_eq!(found, Some(Hierarchy { mount: "/sys/fs/cgroup/memory".to_owned(), v2: false }));
        assert_eq!(find(hybrid, "pids", |_| String::new()), None);
        assert_eq!(mounts(hybrid), ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]);
    }
}
