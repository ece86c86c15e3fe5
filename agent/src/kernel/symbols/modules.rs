//! Functions of loaded modules, from /proc/modules and /proc/kallsyms.
use std::{
    fs, io,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use crate::kernel::{
    kallsyms::{self, Line, SymbolError},
    symbols::block::Block,
};

/// A loaded module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its memory.
    pub(super) range: ModuleRange,
    /// Its functions.
    pub(super) block: Block,
}

/// All loaded modules.
pub type Modules = Vec<Module>;

/// Loaded modules, replaced as a whole when others are loaded.
pub type SharedModules = Arc<Mutex<Modules>>;

/// A loaded module's memory. /proc/modules has one start address and the total size of all parts of a
/// module, so ranges may overlap or be too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModuleRange {
    pub(super) name: String,
    start: u64,
    len: u64,
}

impl ModuleRange {
    pub(super) fn contains(&self, address: u64) -> bool {
        (self.start..self.start.saturating_add(self.len)).contains(&address)
    }
}

/// Reads the modules again if others are loaded than before. Takes as long as reading all of
/// /proc/kallsyms then, so it is not for a thread that something waits for.
pub fn refresh(shared: &SharedModules) -> Result<(), SymbolError> {
    let ranges = ranges()?;
    let Ok(known) = shared.lock().map(|modules| is_known(&modules, &ranges)) else { return Ok(()) };
    if known {
        return Ok(());
    }
    let mut modules = empty(ranges);
    kallsyms::read(kallsyms::open()?, |line| add(&mut modules, line))
        .map_err(kallsyms::read_error)?;
    for module in &mut modules {
        module.block.finish();
    }
    if let Ok(mut shared) = shared.lock() {
        *shared = modules;
    }
    Ok(())
}

fn is_known(modules: &Modules, ranges: &[ModuleRange]) -> bool {
    modules.iter().map(|module| &module.range).eq(ranges)
}

fn empty(ranges: Vec<ModuleRange>) -> Modules {
    ranges.into_iter().map(|range| Module { range, block: Block::default() }).collect()
}

fn add(modules: &mut Modules, line: Line) -> ControlFlow<()> {
    if let Line::Function(function) = line
        && let Some((name, Some(of))) = function.names()
        && let Some(module) = modules.iter_mut().find(|module| module.range.name == of)
    {
        module.block.add(function.address(), name);
    }
    ControlFlow::Continue(())
}

fn ranges() -> Result<Vec<ModuleRange>, SymbolError> {
    let path = "/proc/modules";
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        // A kernel built without modules has no list of them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(SymbolError::Read { path: path.to_owned(), source }),
    }
}

/// Parses /proc/modules: `name size refcount users state 0xaddress …`.
fn parse(text: &str) -> Vec<ModuleRange> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let start = u64::from_str_radix(words.get(5)?.strip_prefix("0x")?, 16).ok()?;
            let name = (*words.first()?).to_owned();
            Some(ModuleRange { name, start, len: words.get(1)?.parse().ok()? })
        })
        .collect()
}

/// Modules of these texts of /proc/modules and /proc/kallsyms.
#[cfg(test)]
pub(super) fn of(modules: &str, kallsyms: &str) -> Modules {
    let mut modules = empty(parse(modules));
    kallsyms::read(kallsyms.as_bytes(), |line| add(&mut modules, line)).expect("reads from memory");
    for module in &mut modules {
        module.block.finish();
    }
    modules
}
