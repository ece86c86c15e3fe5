//! Paths of cgroups that are created, renamed, removed or only partly known.
use super::*;

const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";

fn path(spelled: &str) -> CgroupPath {
    CgroupPath::parse(&spelled.replace("ID", ID))
}

fn pod(n: u32) -> String {
    format!("/kubepods/pod6f1c2d3e-4a5b-4c6d-8e9f-{n:012x}")
}

const fn by(at_ns: u64, pid: u32) -> Made {
    Made { at_ns, pid }
}

#[test]
fn a_removed_cgroups_path_stays_known() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(7, &path("/a"), Some(by(5, 1)));
    cgroups.remove(7);
    assert_eq!(cgroups.path(7), Some(path("/a")));
    assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
    // Another cgroup takes the same path.
    cgroups.insert(8, &path("/a"), Some(by(9, 2)));
    assert_eq!(cgroups.made(&path("/a")), Some(by(9, 2)));
    assert_eq!(cgroups.path(7), Some(path("/a")));
    assert_eq!(cgroups.path(9), None);
}

#[test]
fn cgroups_are_bounded_and_existing_ones_are_kept_longer() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &path("/stays"), None);
    for id in 2..20_000 {
        cgroups.insert(id, &path(&format!("/storm/{id}")), Some(by(id, 1)));
        cgroups.remove(id);
    }
    assert_eq!(cgroups.path(1), Some(path("/stays")));
    assert_eq!(cgroups.path(19_999), Some(path("/storm/19999")));
    assert_eq!((cgroups.by_id.len(), cgroups.ids.len()), (MAX_GONE + 1, MAX_GONE + 1));
    for id in 20_000..40_000 {
        cgroups.insert(id, &path(&format!("/many/{id}")), Some(by(id, 1)));
    }
    assert_eq!(cgroups.path(1), None, "the first one is dropped first");
    assert_eq!(cgroups.by_id.len(), MAX_GONE + MAX_LIVING);
    assert_eq!((cgroups.living.len(), cgroups.gone.len()), (MAX_LIVING, MAX_GONE));
}

#[test]
fn renaming_changes_all_paths_below() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &path("/a"), None);
    cgroups.insert(2, &path("/a/b"), Some(by(5, 1)));
    cgroups.insert(3, &path("/ab"), None);
    cgroups.rename(1, &path("/z"));
    assert_eq!(cgroups.path(1), Some(path("/z")));
    assert_eq!(cgroups.path(2), Some(path("/z/b")));
    assert_eq!(cgroups.made(&path("/z/b")), Some(by(5, 1)));
    assert_eq!(cgroups.made(&path("/a/b")), None);
    assert_eq!(cgroups.path(3), Some(path("/ab")), "it has the same prefix but is not below");
    cgroups.rename(9, &path("/new"));
    assert_eq!(cgroups.path(9), Some(path("/new")));
}

#[test]
fn in_a_cgroup_namespace_one_complete_path_completes_all() {
    let cut = |spelled: &str| CgroupPath { truncated: true, ..path(spelled) };
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &cut("/"), None);
    cgroups.insert(2, &cut("/a"), None);
    cgroups.insert(3, &cut("/a/b"), None);
    cgroups.insert(4, &path("/…/b"), None);
    assert_eq!(cgroups.path(3), Some(cut("/a/b")));
    cgroups.complete(3, &path("/other"));
    cgroups.complete(3, &cut("/docker/a/b"));
    assert_eq!(cgroups.path(3), Some(cut("/a/b")), "neither is its complete path");
    cgroups.complete(3, &path("/docker/ID/a/b"));
    assert_eq!(cgroups.path(1), Some(path("/docker/ID")));
    assert_eq!(cgroups.path(2), Some(path("/docker/ID/a")));
    assert_eq!(cgroups.path(4), Some(path("/…/b")), "this name is not the prefix");
}

#[test]
fn complete_path_of_an_outer_cgroup_completes_all() {
    let cut = |spelled: &str| CgroupPath { truncated: true, ..path(spelled) };
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &cut("/a"), None);
    cgroups.insert(2, &cut("/a/b"), None);
    for unrelated in ["/node", "/node/b", "/"] {
        cgroups.complete_below(2, &path(unrelated));
        assert_eq!(cgroups.path(2), Some(cut("/a/b")), "{unrelated}");
    }
    cgroups.complete_below(2, &path("/node/a"));
    assert_eq!(cgroups.path(2), Some(path("/node/a/b")));
    assert_eq!(cgroups.path(1), Some(path("/node/a")));
    cgroups.insert(3, &cut("/c"), None);
    cgroups.complete_below(3, &path("/node/c"));
    assert_eq!(cgroups.path(3), Some(path("/node/c")), "its own path");
}

#[test]
fn truncated_names_are_completed() {
    let long = path(&format!("/{}", "x".repeat(255)));
    let cut = path(&format!("/{}", "x".repeat(127)));
    let mut cgroups = Cgroups::default();
    assert_eq!(cgroups.whole(1, cut.clone()), cut);
    cgroups.insert(1, &long, Some(by(5, 1)));
    assert_eq!(cgroups.whole(1, cut), long);
    assert_eq!(cgroups.whole(1, path("/a")), path("/a"), "it was complete");
}

#[test]
fn the_initial_walk_keeps_a_seen_creation() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &path("/a"), Some(by(5, 1)));
    cgroups.insert(1, &path("/a"), None);
    assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
}

#[test]
fn pods_without_container_are_the_newest_first() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &path(&pod(1)), None);
    cgroups.insert(2, &path(&pod(2)), Some(by(5, 1)));
    cgroups.insert(3, &path(&format!("{}/ID", pod(2))), Some(by(6, 1)));
    cgroups.insert(4, &path(&pod(3)), Some(by(7, 1)));
    cgroups.insert(5, &path(&pod(4)), Some(by(8, 1)));
    cgroups.remove(5);
    cgroups.insert(6, &path("/system.slice"), None);
    let free = cgroups.pods_without_container();
    assert_eq!(free, [(path(&pod(3)), Some(by(7, 1))), (path(&pod(1)), None)]);
}

#[test]
fn the_container_cgroup_that_a_process_created_is_found() {
    let mut cgroups = Cgroups::default();
    cgroups.insert(1, &path("/machine.slice/libpod-ID.scope"), Some(by(5, 70)));
    cgroups.insert(2, &path("/machine.slice/libpod-ID.scope/container"), Some(by(6, 70)));
    cgroups.insert(3, &path("/elsewhere"), Some(by(7, 70)));
    let found = cgroups.container_made_by(70, 5);
    assert_eq!(found, Some(path("/machine.slice/libpod-ID.scope/container")));
    assert_eq!(cgroups.container_made_by(70, 7), None, "it was created before");
    assert_eq!(cgroups.container_made_by(71, 0), None);
}
