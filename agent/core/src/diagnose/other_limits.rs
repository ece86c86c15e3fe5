//! What helps against limits that are none of memory.
use crate::model::{program_message::OtherLimit, verdict::Remedy};

const fn look(title: &'static str, command: &'static str) -> Remedy {
    Remedy { title, command, risk: "none", durable: false }
}

const fn raise(title: &'static str, command: &'static str, risk: &'static str) -> Remedy {
    Remedy { title, command, risk, durable: true }
}

/// What to look at, and what to change.
pub(super) fn remedies(limit: OtherLimit) -> Vec<Remedy> {
    match limit {
        OtherLimit::Cgroups => vec![
            look(
                "see how many cgroups there are below which limit",
                "cd /sys/fs/cgroup; grep . $(find . -name cgroup.max.descendants -o -name cgroup.max.depth) | grep -v max$; grep nr_ cgroup.stat",
            ),
            raise(
                "raise the limit of the cgroup above, or remove empty cgroups below it",
                "echo max > /sys/fs/cgroup/<path>/cgroup.max.descendants",
                "more cgroups can be left behind; it lasts until that cgroup is made again",
            ),
        ],
        OtherLimit::Keys => vec![
            look(
                "see whose keys they are: each container makes a session keyring for its user",
                "cat /proc/key-users; sysctl kernel.keys",
            ),
            raise(
                "raise the limits of keys; root has limits of its own",
                "sysctl -w kernel.keys.maxkeys=2000 kernel.keys.maxbytes=200000 (root: kernel.keys.root_maxkeys)",
                "users may hold more kernel memory; put it under /etc/sysctl.d to keep it",
            ),
        ],
        OtherLimit::Inotify => vec![
            look("see the limits", "sysctl fs.inotify"),
            raise(
                "raise the limit that is used up",
                "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288",
                "watches hold kernel memory; put it under /etc/sysctl.d to keep it",
            ),
        ],
        OtherLimit::Mounts => vec![
            look(
                "see which mount namespace has so many mounts, and what leaves them behind",
                "wc -l /proc/[0-9]*/mountinfo | sort -n | tail -5; sysctl fs.mount-max",
            ),
            raise(
                "raise the limit",
                "sysctl -w fs.mount-max=200000",
                "more mounts make mounting slower; put it under /etc/sysctl.d to keep it",
            ),
        ],
        OtherLimit::OpenFiles => vec![
            look(
                "see the limit and what holds the files",
                "cat /proc/$(pidof -s dockerd containerd kubelet)/limits; sysctl fs.file-nr",
            ),
            raise(
                "raise the limit of the service",
                "systemctl edit <unit>: LimitNOFILE=1048576",
                "open files hold kernel memory",
            ),
        ],
        OtherLimit::BridgePorts => vec![
            look("count the bridge's ports: the kernel allows 1024", "bridge link | wc -l"),
            raise(
                "spread the containers over more networks",
                "docker network create …",
                "containers of different networks don't reach each other",
            ),
        ],
        OtherLimit::Resctrl => vec![look(
            "remove groups that no container uses any more",
            "ls /sys/fs/resctrl; cat /sys/fs/resctrl/info/L3/num_closids",
        )],
        OtherLimit::Cpuset => vec![
            look(
                "see which CPUs and memory nodes the cgroup and those above it have",
                "cat /sys/fs/cgroup/<path>/cpuset.{cpus,mems} (v1: /sys/fs/cgroup/cpuset/<path>/)",
            ),
            raise(
                "give the cgroup above CPUs and memory nodes",
                "docker run --cpuset-cpus=… --cpuset-mems=…; kubelet: CPU Manager policy and its state file",
                "none",
            ),
        ],
        OtherLimit::FileSystem => vec![
            look("see which file system is full, of blocks or of inodes", "df -h; df -i"),
            raise(
                "remove what is not used any more",
                "docker system prune; crictl rmi --prune; journalctl --vacuum-size=1G",
                "what is removed is gone",
            ),
        ],
        OtherLimit::FileQuota => {
            vec![look("see the quotas", "repquota -a; xfs_quota -x -c report")]
        }
    }
}
