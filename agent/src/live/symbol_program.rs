//! Names of addresses, printed by the running kernel.
use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, ensure};
use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::RawTracePoint,
};
use aya_obj::generated::bpf_cmd;
use fragwatch_ebpf::{SYMBOL_LEN, map, table::SYMBOL_NAME};

use crate::kernel::{
    bpf,
    symbols::{Naming, Symbol, printed},
};

/// The loaded program, which can be run again and again.
pub(super) struct SymbolProgram {
    program: OwnedFd,
    output: Array<MapData, [u8; SYMBOL_LEN]>,
}

impl SymbolProgram {
    /// Loads it. Fails on kernels before 5.13, which have no `bpf_snprintf`.
    pub(super) fn load(ebpf: &mut Ebpf) -> anyhow::Result<Self> {
        let output = ebpf.take_map(map::SYMBOL).context("there is no such map")?;
        let program: &mut RawTracePoint =
            ebpf.program_mut(SYMBOL_NAME).context("there is no such program")?.try_into()?;
        program.load()?;
        let program = program.fd()?.as_fd().try_clone_to_owned()?;
        let mut naming = Self { program, output: output.try_into()? };
        let text = naming.print(1)?;
        ensure!(text.starts_with("0x"), "the kernel printed {text} for 1");
        Ok(naming)
    }

    /// What the kernel prints for an address.
    fn print(&mut self, address: u64) -> anyhow::Result<String> {
        run(&self.program, address)?;
        let bytes = self.output.get(&0, 0)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        ensure!(!text.is_empty(), "the program could not print it");
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

impl Naming for SymbolProgram {
    fn symbol(&mut self, address: u64) -> Option<Symbol> {
        match self.print(address) {
            Ok(text) => printed::parse(&text),
            Err(error) => {
                log::debug!("{SYMBOL_NAME} of {address:#x}: {error:#}");
                Some(Symbol::default())
            }
        }
    }
}

/// The part of `union bpf_attr` that `BPF_PROG_TEST_RUN` reads.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// Runs a raw tracepoint's program with this argument.
fn run(program: &OwnedFd, argument: u64) -> io::Result<()> {
    let mut attributes = TestRun {
        program: program.as_raw_fd().cast_unsigned(),
        context_size_in: size_of_val(&argument) as u32,
        context_in: (&raw const argument).addr() as u64,
        ..TestRun::default()
    };
    // SAFETY: what the attributes point to is a word that the kernel only reads.
    unsafe { bpf::call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attributes) }.map(drop)
}
