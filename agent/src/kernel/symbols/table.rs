//! The kernel's functions as a table, from /proc/kallsyms, for kernels that print no names for a program.
use std::{ops::ControlFlow, sync::Arc};

use crate::kernel::{
    kallsyms::Line,
    symbols::{
        Naming, Symbol,
        block::Block,
        modules::{Module, Modules, SharedModules},
    },
};

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
