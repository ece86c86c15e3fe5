//! One program at the returns of several functions (`BPF_TRACE_KPROBE_MULTI`, 5.18 and later with
//! `CONFIG_FPROBE`): the kernel changes all functions at once, where each trampoline or kprobe has it go through
//! its whole list of functions again. aya 0.14 can neither load such a program nor attach it.
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::{Object, generated::bpf_insn};

use crate::hook::attacher::SharedReturn;

/// The maps of the loaded programs, which programs that are loaded otherwise share.
#[derive(Default)]
pub struct SharedMaps(Vec<(String, OwnedFd)>);

impl SharedMaps {
    /// Takes a handle of each map; to be called before any is taken out.
    pub fn of(ebpf: &Ebpf) -> io::Result<Self> {
        let handle = |(name, map): (&str, &Map)| {
            let fd = data(map)?.fd().as_fd().try_clone_to_owned();
            Some(fd.map(|fd| (name.to_owned(), fd)))
        };
        ebpf.maps().filter_map(handle).collect::<io::Result<_>>().map(Self)
    }

    fn fd(&self, name: &str) -> Option<i32> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, fd)| fd.as_raw_fd())
    }
}

/// What is behind a map of the kinds that the programs have.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

/// Loads the program of this name from an object file and attaches it to the returns of these functions. It stays
/// attached as long as what is returned is open.
pub(super) fn attach(
    object: &[u8],
    name: &str,
    maps: &SharedMaps,
    returns: &[SharedReturn],
) -> anyhow::Result<OwnedFd> {
    let mut object = Object::parse(object)?;
    object.programs.retain(|other, _| other == name);
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    let described = std::mem::take(&mut object.maps);
    let known =
        described.iter().filter_map(|(name, map)| Some((name.as_str(), maps.fd(name)?, map)));
    object.relocate_maps(known, &sections)?;
    object.relocate_calls(&sections)?;
    let program = object.programs.get(name).context("there is no such program")?;
    let function =
        object.functions.get(&program.function_key()).context("the program has no code")?;
    let program = load(&function.instructions, &program.license)
        .context("the kernel did not take the program")?;
    link(&program, returns).context("the kernel did not attach the program")
}

/// Commands and constants of bpf(2) (include/uapi/linux/bpf.h).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_KPROBE_MULTI: u32 = 42;
const BPF_F_KPROBE_MULTI_RETURN: u32 = 1;

/// The part of `union bpf_attr` that loading reads.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

/// The part of `union bpf_attr` that attaching to several functions reads.
#[repr(C)]
#[derive(Default)]
struct Link {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    multi_flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}

fn load(instructions: &[bpf_insn], license: &CStr) -> io::Result<OwnedFd> {
    let mut attributes = Load {
        program_type: BPF_PROG_TYPE_KPROBE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        name: *b"failed_steps\0\0\0\0",
        expected_attach_type: BPF_TRACE_KPROBE_MULTI,
        ..Load::default()
    };
    // SAFETY: the attributes outlive the call and their size is theirs; the kernel only reads what they point
    // to, which is as long as they say, or ends with a NUL.
    unsafe { bpf(BPF_PROG_LOAD, &mut attributes) }
}

fn link(program: &OwnedFd, returns: &[SharedReturn]) -> io::Result<OwnedFd> {
    // By names the kernel goes through all its symbols.
    let addresses: Option<Vec<u64>> = returns.iter().map(|function| function.address).collect();
    let names: Vec<CString> =
        returns.iter().filter_map(|f| CString::new(f.function.as_str()).ok()).collect();
    let symbols: Vec<u64> = names.iter().map(|name| name.as_ptr().addr() as u64).collect();
    let address_of = |words: &[u64]| words.as_ptr().addr() as u64;
    let (symbols, addresses) = match &addresses {
        Some(addresses) => (0, address_of(addresses)),
        None => (address_of(&symbols), 0),
    };
    let cookies: Vec<u64> = returns.iter().map(|function| function.cookie).collect();
    let mut attributes = Link {
        program: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_TRACE_KPROBE_MULTI,
        multi_flags: BPF_F_KPROBE_MULTI_RETURN,
        count: returns.len() as u32,
        symbols,
        addresses,
        cookies: cookies.as_ptr().addr() as u64,
        ..Link::default()
    };
    // SAFETY: as above; the arrays have `count` elements each, as no function's name has a NUL in it.
    unsafe { bpf(BPF_LINK_CREATE, &mut attributes) }
}

/// A command that returns a file descriptor.
///
/// # Safety
/// The attributes are those of the command, and what they point to is valid during the call.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: by this function's contract.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes).cast::<libc::c_void>(),
            size_of::<T>(),
        )
    };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
