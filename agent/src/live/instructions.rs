//! The instructions of the programs, with the maps in them that aya has made.
//!
//! aya itself loads a program at a trampoline only with BTF in which the function has the kernel's id: its copy
//! of a hundred thousand types would be the most memory that a start takes. And it can't load a program for
//! [`Purpose::KprobeMulti`].
use std::{
    collections::HashSet,
    ffi::CStr,
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::Object;

use crate::{
    kernel::bpf::{self, Purpose},
    live::load::PROGRAMS,
};

/// All programs, to be loaded.
pub struct Instructions(Object);

impl Instructions {
    /// Of the programs whose maps these are. All of the maps must still be there.
    pub(super) fn of(ebpf: &Ebpf) -> anyhow::Result<Self> {
        let mut object = Object::parse(PROGRAMS).context("the programs can't be parsed")?;
        let maps = mem::take(&mut object.maps);
        let made = ebpf.maps().filter_map(|(name, map)| {
            let fd = data(map)?.fd().as_fd().as_raw_fd();
            Some((name, fd, maps.get(name)?))
        });
        let sections: HashSet<usize> = object.functions.keys().map(|key| key.0).collect();
        object.relocate_maps(made, &sections)?;
        object.relocate_calls(&sections)?;
        Ok(Self(object))
    }

    /// Loads a program.
    pub fn load(&self, name: &str, purpose: Purpose) -> io::Result<OwnedFd> {
        let program = self.0.programs.get(name);
        let function = program.and_then(|program| self.0.functions.get(&program.function_key()));
        let (Some(program), Some(function)) = (program, function) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        let license: &CStr = &program.license;
        bpf::load(name, purpose, &function.instructions, license)
    }
}

/// Of the kinds of maps that the programs have.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerfEventArray(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}
