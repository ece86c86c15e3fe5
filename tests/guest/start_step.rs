//! Steps of a container's start that a creator takes beside namespaces and cgroups.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Uid, execv, fork, setresuid};

/// A step.
#[derive(Clone, Copy)]
pub(crate) enum StartStep {
    /// Take this name.
    Name(&'static str),
    /// Set `RLIMIT_NPROC`.
    LimitProcesses(u64),
    /// Set `RLIMIT_MEMLOCK`, in bytes.
    LimitLocked(u64),
    /// Become this user, without any privilege.
    BecomeUser(u32),
    /// Execute a file in a child.
    Execute(&'static str),
    /// Mount the test module's file system.
    Mount,
    /// Make a network link of the test module's type.
    Link,
    /// Join a session keyring of this name.
    Keyring(&'static str),
    /// Take a seccomp filter that allows everything.
    Seccomp,
    /// Load a cgroup's device filter that allows everything.
    DeviceFilter,
}

/// Where the test module's file system is mounted.
const MOUNT_POINT: &str = "/fwmnt";

impl StartStep {
    /// The line that asks for it.
    pub(crate) fn line(self) -> String {
        match self {
            Self::Name(name) => format!("name {name}"),
            Self::LimitProcesses(limit) => format!("limit-processes {limit}"),
            Self::LimitLocked(limit) => format!("limit-locked {limit}"),
            Self::BecomeUser(uid) => format!("become-user {uid}"),
            Self::Execute(path) => format!("execute {path}"),
            Self::Mount => "mount".to_owned(),
            Self::Link => "link".to_owned(),
            Self::Keyring(name) => format!("keyring {name}"),
            Self::Seccomp => "seccomp".to_owned(),
            Self::DeviceFilter => "device-filter".to_owned(),
        }
    }
}

/// Takes the step of a line.
pub(crate) fn take(step: &str, what: &str) -> Result<super::creator::Outcome> {
    Ok(match step {
        "name" => errno(fs::write("/proc/self/comm", what)),
        "limit-processes" => {
            let limit = what.parse().context("the limit is no number")?;
            setrlimit(Resource::RLIMIT_NPROC, limit, limit)
        }
        "limit-locked" => {
            let limit = what.parse().context("the limit is no number")?;
            setrlimit(Resource::RLIMIT_MEMLOCK, limit, limit)
        }
        "become-user" => {
            let uid = Uid::from_raw(what.parse().context("the user is no number")?);
            setresuid(uid, uid, uid)
        }
        "execute" => execute(&CString::new(what)?),
        "mount" => mount_and_unmount(),
        "link" => make_link(),
        "keyring" => join_keyring(&CString::new(what)?),
        "seccomp" => take_filter(),
        "device-filter" => load_device_filter(),
        _ => bail!("the creator has no step {step}"),
    })
}

fn errno(result: io::Result<()>) -> super::creator::Outcome {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn execute(path: &CStr) -> super::creator::Outcome {
    // SAFETY: this process has one thread, so that the new one may do what it likes.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let failed = execv(path, &[path, c"nothing"]).err();
            std::process::exit(failed.map_or(0, |error| error as i32));
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, number) => Err(Errno::from_raw(number)),
            _ => Err(Errno::ECHILD),
        },
    }
}

fn mount_and_unmount() -> super::creator::Outcome {
    if !Path::new(MOUNT_POINT).exists() {
        errno(fs::create_dir(MOUNT_POINT))?;
    }
    mount(Some("none"), MOUNT_POINT, Some("fragwatch"), MsFlags::empty(), None::<&str>)?;
    umount2(MOUNT_POINT, MntFlags::empty())
}

fn join_keyring(name: &CStr) -> super::creator::Outcome {
    // SAFETY: the name is a string that outlives the call.
    let serial = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr())
    };
    if serial < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// As long as a filter may be (`BPF_MAXINSNS`), so that it takes 32 KiB.
fn take_filter() -> super::creator::Outcome {
    nix::sys::prctl::set_no_new_privs()?;
    // `BPF_RET | BPF_K` of include/uapi/linux/bpf_common.h.
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let mut filter = vec![allow; 4096];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: program and instructions outlive the call.
    let taken = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if taken < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// The first fields of what `BPF_PROG_LOAD` takes (include/uapi/linux/bpf.h).
#[repr(C)]
struct ProgLoad {
    kind: u32,
    instruction_count: u32,
    instructions: *const u64,
    license: *const libc::c_char,
}

fn load_device_filter() -> super::creator::Outcome {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    /// `r0 = 1`, and exit.
    const ALLOW: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];
    let load = ProgLoad {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: 2,
        instructions: ALLOW.as_ptr(),
        license: c"GPL".as_ptr(),
    };
    // SAFETY: instructions and licence outlive the call, and the size is that of the structure.
    let program = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<ProgLoad>())
    };
    if program < 0 {
        return Err(Errno::last());
    }
    // SAFETY: it was just opened, and nothing else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(program as i32) });
    Ok(())
}

/// Makes a link of the type `fragwatch` and removes it again, as `ip link add` and `ip link delete` do.
fn make_link() -> super::creator::Outcome {
    const NAME: &[u8] = b"fw0\0";
    let (create, delete) = (libc::RTM_NEWLINK, libc::RTM_DELLINK);
    let kind = attribute(libc::IFLA_INFO_KIND, b"fragwatch\0");
    let name = attribute(libc::IFLA_IFNAME, NAME);
    let info = attribute(libc::IFLA_LINKINFO, &kind);
    let new = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    request(create, new, &[name.as_slice(), info.as_slice()].concat())?;
    request(delete, 0, &name)
}

/// A netlink attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Asks for a change of a link, and waits for the kernel's answer.
fn request(kind: u16, flags: u16, attributes: &[u8]) -> super::creator::Outcome {
    /// Bytes of `struct nlmsghdr` and of `struct ifinfomsg`.
    const HEADS: usize = 16 + 16;
    // SAFETY: the call takes numbers only.
    let socket = unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
    };
    if socket < 0 {
        return Err(Errno::last());
    }
    // SAFETY: it was just opened, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut message = ((HEADS + attributes.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.resize(HEADS, 0);
    message.extend(attributes);
    let descriptor = socket.as_raw_fd();
    // SAFETY: the buffer is as long as is said.
    let sent = unsafe { libc::send(descriptor, message.as_ptr().cast(), message.len(), 0) };
    if sent < 0 {
        return Err(Errno::last());
    }
    let mut answer = [0u8; 1024];
    // SAFETY: as above.
    let received = unsafe { libc::recv(descriptor, answer.as_mut_ptr().cast(), answer.len(), 0) };
    if received < 20 {
        return Err(Errno::EBADMSG);
    }
    // `struct nlmsgerr` begins with the negative errno, 0 if all went well.
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if error == 0 { Ok(()) } else { Err(Errno::from_raw(-error)) }
}
