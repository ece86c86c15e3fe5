//! Commands of bpf(2) that aya has no call for, or that would take it more memory than all else: numbers and
//! structures are those of include/uapi/linux/bpf.h.
use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type};

/// Bytes of a program's name, with its NUL.
const NAME_LEN: usize = 16;

/// What the verifier may say when it refuses a program.
const LOG_LEN: usize = 256 << 10;

/// `BPF_F_KPROBE_MULTI_RETURN`
const KPROBE_MULTI_RETURN: u32 = 1;

/// What a program is loaded for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// A function's entry, by a trampoline; the function's id in the kernel's BTF.
    Fentry(u32),
    /// A function's exit, in the same way.
    Fexit(u32),
    /// An iterator; the id of its function `bpf_iter_…` in the kernel's BTF (5.8 and later).
    Iterator(u32),
    /// A link of kprobes or kretprobes, which needs no perf event (5.18 and later).
    KprobeMulti,
}

/// Calls bpf(2). `attributes` must be those of the command.
///
/// # Safety
///
/// Pointers in the attributes must be valid for what the command does with them.
pub unsafe fn call<T>(command: bpf_cmd, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the attributes outlive the call, their size is theirs, and for pointers the caller vouches.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attributes).cast::<libc::c_void>(),
            size_of::<T>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// As [`call`], for commands that return a file descriptor.
///
/// # Safety
///
/// As for [`call`], and the command must be such a one.
unsafe fn open<T>(command: bpf_cmd, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for the attributes.
    let result = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}

/// `BPF_PROG_LOAD`, up to what is set here.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_LEN],
    interface: u32,
    expected_attach_type: u32,
    btf: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
    attach_to: u32,
    padding: u32,
}

/// Loads a program. What the verifier says if it refuses is logged.
pub fn load(
    name: &str,
    purpose: Purpose,
    instructions: &[bpf_insn],
    license: &CStr,
) -> io::Result<OwnedFd> {
    let (prog_type, attach_type, id) = match purpose {
        Purpose::Fentry(id) => {
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_TRACE_FENTRY, id)
        }
        Purpose::Fexit(id) => {
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_TRACE_FEXIT, id)
        }
        Purpose::Iterator(id) => {
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_TRACE_ITER, id)
        }
        Purpose::KprobeMulti => {
            (bpf_prog_type::BPF_PROG_TYPE_KPROBE, bpf_attach_type::BPF_TRACE_KPROBE_MULTI, 0)
        }
    };
    let mut attributes = ProgLoad {
        prog_type: prog_type as u32,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        expected_attach_type: attach_type as u32,
        attach_btf_id: id,
        ..ProgLoad::default()
    };
    for (into, byte) in attributes.name[..NAME_LEN - 1].iter_mut().zip(name.bytes()) {
        *into = byte;
    }
    // SAFETY: the instructions and the licence outlive the call.
    let loaded = unsafe { open(bpf_cmd::BPF_PROG_LOAD, &mut attributes) };
    if loaded.is_err() && log::log_enabled!(log::Level::Debug) {
        let mut text = vec![0_u8; LOG_LEN];
        (attributes.log_level, attributes.log_size) = (1, LOG_LEN as u32);
        attributes.log = text.as_mut_ptr().addr() as u64;
        // SAFETY: as above, and the log's buffer is as large as is said.
        let _ = unsafe { open(bpf_cmd::BPF_PROG_LOAD, &mut attributes) };
        let said = text.split(|&byte| byte == 0).next().unwrap_or_default();
        log::debug!("the verifier about {name}: {}", String::from_utf8_lossy(said));
    }
    loaded
}

/// `BPF_RAW_TRACEPOINT_OPEN`
#[repr(C)]
struct RawTracepoint {
    name: u64,
    program: u32,
    padding: u32,
}

/// Attaches a program that was loaded for a trampoline.
pub fn attach_trampoline(program: BorrowedFd) -> io::Result<OwnedFd> {
    let mut attributes =
        RawTracepoint { name: 0, program: program.as_raw_fd().cast_unsigned(), padding: 0 };
    // SAFETY: there is no name: the program says where.
    unsafe { open(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attributes) }
}

/// `BPF_LINK_CREATE` for kprobes.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    kprobe_flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}

/// Attaches a program that was loaded as [`Purpose::KprobeMulti`] to a function's entry, or to its return.
pub fn attach_kprobe(program: BorrowedFd, function: &CStr, at_return: bool) -> io::Result<OwnedFd> {
    let symbols = [function.as_ptr()];
    let mut attributes = LinkCreate {
        program: program.as_raw_fd().cast_unsigned(),
        target: 0,
        attach_type: bpf_attach_type::BPF_TRACE_KPROBE_MULTI as u32,
        flags: 0,
        kprobe_flags: if at_return { KPROBE_MULTI_RETURN } else { 0 },
        count: 1,
        symbols: symbols.as_ptr().addr() as u64,
        addresses: 0,
        cookies: 0,
    };
    // SAFETY: the array has one name, which outlives the call.
    unsafe { open(bpf_cmd::BPF_LINK_CREATE, &mut attributes) }
}

/// The part of `BPF_LINK_CREATE` that an iterator without parameters needs.
#[repr(C)]
struct IteratorLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// `BPF_ITER_CREATE`
#[repr(C)]
struct IterCreate {
    link: u32,
    flags: u32,
}

/// A file that a program which was loaded as [`Purpose::Iterator`] writes while it is read.
pub fn iterate(program: BorrowedFd) -> io::Result<OwnedFd> {
    let mut link = IteratorLink {
        program: program.as_raw_fd().cast_unsigned(),
        target: 0,
        attach_type: bpf_attach_type::BPF_TRACE_ITER as u32,
        flags: 0,
    };
    // SAFETY: the attributes have no pointers.
    let link = unsafe { open(bpf_cmd::BPF_LINK_CREATE, &mut link) }?;
    let mut iterator = IterCreate { link: link.as_raw_fd().cast_unsigned(), flags: 0 };
    // SAFETY: as above.
    unsafe { open(bpf_cmd::BPF_ITER_CREATE, &mut iterator) }
}

/// `BPF_MAP_UPDATE_ELEM`
#[repr(C)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Puts a program into an array of programs.
pub fn put_program(map: BorrowedFd, index: u32, program: BorrowedFd) -> io::Result<()> {
    let value = program.as_raw_fd();
    let mut attributes = MapUpdate {
        map: map.as_raw_fd().cast_unsigned(),
        padding: 0,
        key: (&raw const index).addr() as u64,
        value: (&raw const value).addr() as u64,
        flags: 0,
    };
    // SAFETY: key and value have four bytes, as those of such an array, and outlive the call.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes) }.map(drop)
}

/// `BPF_OBJ_GET_INFO_BY_FD`
#[repr(C)]
struct GetInfo {
    object: u32,
    length: u32,
    info: u64,
}

/// How often the kernel skipped a program because it was running on that CPU already; 0 before 5.12, which
/// does not count that.
pub fn recursion_misses(program: BorrowedFd) -> io::Result<u64> {
    // SAFETY: it has only numbers, for which 0 is a value; the kernel asks for nothing else that is 0.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attributes = GetInfo {
        object: program.as_raw_fd().cast_unsigned(),
        length: size_of::<bpf_prog_info>() as u32,
        info: (&raw mut info).addr() as u64,
    };
    // SAFETY: the kernel writes no more than the length, which is that of the structure; it outlives the call.
    unsafe { call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info.recursion_misses)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd as _};

    use super::*;

    #[test]
    fn what_is_no_program_has_skipped_none() {
        let file = File::open("/dev/null").expect("every Linux has it");
        assert!(recursion_misses(file.as_fd()).is_err());
        // include/uapi/linux/bpf.h: an older kernel's structure ends before it, and it stays 0.
        assert_eq!(std::mem::offset_of!(bpf_prog_info, recursion_misses), 208);
    }
}
