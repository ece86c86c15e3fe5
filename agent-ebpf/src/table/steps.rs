//! The rows of steps of which only failures are recorded: on functions' exits, which return at once if
//! there is no error.
use super::{
    Candidate::{Exit, Return, Shared},
    Function, Global, Hook, HookInfo,
    global::{CGROUP_PATH, COUNTER, CSS_PARENT, MEMCG_CGROUP, MEMCG_COUNTERS, USER_PROCESSES},
};
use crate::StartStep;

/// `ERR_PTR` on failure.
const COPY_PROCESS: Function = Function::new(
    "struct task_struct *copy_process(struct pid *pid, int trace, int node, \
                struct kernel_clone_args *args)",
    "5.10-7.2; kernel/fork.c",
);

/// All of execve and execveat, also what fails before the file is looked at.
const DO_EXECVEAT_COMMON: Function = Function::new(
    "int do_execveat_common(int fd, struct filename *filename, struct user_arg_ptr argv, \
                struct user_arg_ptr envp, int flags)",
    "5.10-7.2, from 5.13 with a compiler's suffix or inlined; fs/exec.c",
);

/// What `do_execveat_common` calls when the arguments are copied.
const BPRM_EXECVE: Function =
    Function::new("int bprm_execve(struct linux_binprm *bprm)", "6.8-7.2; fs/exec.c");

/// The same before 6.8.
const BPRM_EXECVE_FILE: Function = Function::new(
    "int bprm_execve(struct linux_binprm *bprm, int fd, struct filename *filename, int flags)",
    "5.9-6.7; fs/exec.c",
);

/// What both call, for Ubuntu's 5.8, which has no `bprm_execve`.
const EXEC_BINPRM: Function =
    Function::new("int exec_binprm(struct linux_binprm *bprm)", "5.8; fs/exec.c");

/// `mount`, without what checks its arguments.
const PATH_MOUNT: Function = Function::new(
    "int path_mount(const char *dev_name, struct path *path, const char *type_page, \
                unsigned long flags, void *data_page)",
    "5.9-7.2; fs/namespace.c",
);

/// The same before 5.9; later `mount` does not go through it.
const DO_MOUNT: Function = Function::new(
    "long do_mount(const char *dev_name, const char __user *dir_name, \
                const char *type_page, unsigned long flags, void *data_page)",
    "5.8; fs/namespace.c",
);

/// `RTM_NEWLINK`.
const RTNL_NEWLINK: Function = Function::new(
    "int rtnl_newlink(struct sk_buff *skb, struct nlmsghdr *nlh, \
                struct netlink_ext_ack *extack)",
    "5.8-7.2; net/core/rtnetlink.c",
);

/// A write to `cgroup.procs`, `cgroup.threads` or v1's `tasks`.
const CGROUP_ATTACH_TASK: Function = Function::new(
    "int cgroup_attach_task(struct cgroup *dst_cgrp, struct task_struct *leader, \
                bool threadgroup)",
    "5.8-7.2; kernel/cgroup/cgroup.c",
);

/// `KEYCTL_JOIN_SESSION_KEYRING`; a key's serial number on success.
const JOIN_SESSION_KEYRING: Function = Function::new(
    "long join_session_keyring(const char *name)",
    "5.8-7.2; security/keys/process_keys.c",
);

/// `seccomp`, and prctl's way to it.
const DO_SECCOMP: Function = Function::new(
    "long do_seccomp(unsigned int op, unsigned int flags, void __user *uargs)",
    "5.8-7.2; kernel/seccomp.c",
);

/// A file descriptor on success.
const BPF_PROG_LOAD: Function = Function::new(
    "int bpf_prog_load(union bpf_attr *attr, union bpf_attr __user *uattr)",
    "5.8-5.14, later with other parameters behind the first; kernel/bpf/syscall.c",
);

/// What a failed step looks up: limits on processes, and the charge that was refused before it.
const READS: &[&[Global]] =
    &[USER_PROCESSES, MEMCG_COUNTERS, COUNTER, CGROUP_PATH, &[MEMCG_CGROUP, CSS_PARENT]];

pub(super) const FORK: HookInfo = HookInfo {
    hook: Hook::Fork,
    name: "fork",
    function: COPY_PROCESS,
    candidates: &[
        Shared { function: COPY_PROCESS, step: StartStep::Fork },
        Exit { function: COPY_PROCESS, program: "fork_fexit" },
        Return { function: COPY_PROCESS, program: "fork_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "forks that fail for another reason than a cgroup's limit on processes",
    supports_others: false,
};

pub(super) const EXEC: HookInfo = HookInfo {
    hook: Hook::Exec,
    name: "exec",
    function: DO_EXECVEAT_COMMON,
    candidates: &[
        Shared { function: DO_EXECVEAT_COMMON, step: StartStep::Exec },
        Return { function: DO_EXECVEAT_COMMON, program: "exec_kretprobe" },
        Exit { function: BPRM_EXECVE, program: "exec_fexit" },
        Exit { function: BPRM_EXECVE_FILE, program: "exec_file_fexit" },
        Return { function: BPRM_EXECVE, program: "exec_kretprobe" },
        Return { function: EXEC_BINPRM, program: "exec_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "programs that can't be executed",
    supports_others: false,
};

pub(super) const MOUNT: HookInfo = HookInfo {
    hook: Hook::Mount,
    name: "mount",
    function: PATH_MOUNT,
    candidates: &[
        Shared { function: PATH_MOUNT, step: StartStep::Mount },
        Exit { function: PATH_MOUNT, program: "mount_fexit" },
        Return { function: PATH_MOUNT, program: "mount_kretprobe" },
        Exit { function: DO_MOUNT, program: "mount_fexit" },
        Return { function: DO_MOUNT, program: "mount_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "file systems that can't be mounted",
    supports_others: false,
};

pub(super) const LINK: HookInfo = HookInfo {
    hook: Hook::Link,
    name: "link",
    function: RTNL_NEWLINK,
    candidates: &[
        Shared { function: RTNL_NEWLINK, step: StartStep::Link },
        Exit { function: RTNL_NEWLINK, program: "link_fexit" },
        Return { function: RTNL_NEWLINK, program: "link_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "network links that can't be made",
    supports_others: false,
};

pub(super) const CGROUP_ENTRY: HookInfo = HookInfo {
    hook: Hook::CgroupEntry,
    name: "cgroup_entry",
    function: CGROUP_ATTACH_TASK,
    candidates: &[
        Shared { function: CGROUP_ATTACH_TASK, step: StartStep::CgroupEntry },
        Exit { function: CGROUP_ATTACH_TASK, program: "cgroup_entry_fexit" },
        Return { function: CGROUP_ATTACH_TASK, program: "cgroup_entry_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "processes that can't enter a cgroup",
    supports_others: false,
};

pub(super) const KEYRING: HookInfo = HookInfo {
    hook: Hook::Keyring,
    name: "keyring",
    function: JOIN_SESSION_KEYRING,
    candidates: &[
        Shared { function: JOIN_SESSION_KEYRING, step: StartStep::Keyring },
        Exit { function: JOIN_SESSION_KEYRING, program: "keyring_fexit" },
        Return { function: JOIN_SESSION_KEYRING, program: "keyring_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "processes that get no session keyring",
    supports_others: false,
};

pub(super) const SECCOMP: HookInfo = HookInfo {
    hook: Hook::Seccomp,
    name: "seccomp",
    function: DO_SECCOMP,
    candidates: &[
        Shared { function: DO_SECCOMP, step: StartStep::Seccomp },
        Exit { function: DO_SECCOMP, program: "seccomp_fexit" },
        Return { function: DO_SECCOMP, program: "seccomp_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "processes that get no seccomp filter",
    supports_others: false,
};

pub(super) const BPF_PROGRAM: HookInfo = HookInfo {
    hook: Hook::BpfProgram,
    name: "bpf_program",
    function: BPF_PROG_LOAD,
    // From 5.15 on a parameter is a structure, and where an exit finds its result depends on it.
    candidates: &[
        Shared { function: BPF_PROG_LOAD, step: StartStep::BpfProgram },
        Return { function: BPF_PROG_LOAD, program: "bpf_program_kretprobe" },
    ],
    guards: &[],
    reads: READS,
    lost: "BPF programs that can't be loaded, such as a cgroup's device filter",
    supports_others: false,
};
