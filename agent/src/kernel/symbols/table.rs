//! The kernel's functions as a table, from /proc/kallsyms, for kernels that print no names for a program.
use std::{ops::ControlFlow, sync::Arc};

use crate::kernel::{
    kallsyms::Line,
    symbols::{
        Naming, Symbol,
        modules::{Module, Modules, SharedModules},
    },
};

/// Functions sorted by their addresses, which have their upper 32 bits in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    upper: u64,
    /// The lower bits of the address, and where the name begins in `names`.
    entries: Vec<(u32, u32)>,
    /// All names, each followed by a newline.
    names: String,
}

impl Block {
    /// Adds a function. One that is too far from the first is left out.
    pub(super) fn add(&mut self, address: u64, name: &str) {
        let (upper, lower) = (address >> 32, address as u32);
        if self.entries.is_empty() {
            self.upper = upper;
        }
        if upper == self.upper {
            self.entries.push((lower, self.names.len() as u32));
            self.names.push_str(name);
            self.names.push('\n');
        }
    }

    /// To be called after the last [`Block::add`].
    pub(super) fn finish(&mut self) {
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// The function at or before an address.
    fn find(&self, address: u64, module: Option<&str>) -> Option<Symbol> {
        if address >> 32 != self.upper {
            return None;
        }
        let lower = address as u32;
        let next = self.entries.partition_point(|&(start, _)| start <= lower);
        let &(start, name) = self.entries.get(next.checked_sub(1)?)?;
        let name = self.names.get(name as usize..)?.split('\n').next()?;
        let following = self.entries.get(next).map(|&(start, _)| start);
        Some(Symbol {
            function: Some(name.to_owned()),
            module: module.map(str::to_owned),
            is_start: start == lower,
            is_end: following.is_some() && lower.checked_add(1) == following,
        })
    }
}

/// The kernel's own functions, and those of modules.
#[derive(Default)]
pub struct Table {
    kernel: Block,
    /// End of the kernel's own text; 0 until it is known.
    text_end: u64,
    modules: SharedModules,
}

impl Table {
    /// Adds a line of /proc/kallsyms; to be called for all until the end of the kernel's text.
    pub fn add(&mut self, line: Line) -> ControlFlow<()> {
        match line {
            Line::Function(function) => {
                if let Some((name, None)) = function.names() {
                    self.kernel.add(function.address(), name);
                }
            }
            Line::TextEnd(address) => {
                self.text_end = address;
                self.kernel.finish();
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// The loaded modules, for the thread that keeps them up to date.
    pub fn modules(&self) -> SharedModules {
        Arc::clone(&self.modules)
    }

    fn in_module(modules: &Modules, address: u64) -> Option<Symbol> {
        // Of ranges that overlap, one has the symbol.
        let mut around = modules.iter().filter(|module| module.range.contains(address));
        around.find_map(|Module { range, block }| block.find(address, Some(&range.name)))
    }
}

impl Naming for Table {
    fn symbol(&mut self, address: u64) -> Option<Symbol> {
        if address < self.text_end {
            return Some(self.kernel.find(address, None).unwrap_or_default());
        }
        let modules = self.modules.lock().ok()?;
        Self::in_module(&modules, address)
    }
}
