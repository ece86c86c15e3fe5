//! Names of the kernel's code addresses.
//!
//! Since 5.13 the kernel itself prints them for a program, so no table of them is kept. Before, the
//! [table](table::Table) is made of /proc/kallsyms.
mod block;
pub mod modules;
pub mod printed;
pub mod table;

use std::collections::HashMap;

use fragwatch_core::model::frame::{Frame, TRAMPOLINES};

/// Frames that are kept; then all are forgotten.
const MAX_KNOWN: usize = 1024;

/// The symbol that an address lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// The function; `None` if names are hidden.
    pub function: Option<String>,
    /// The module; `None` for the kernel itself.
    pub module: Option<String>,
    /// Whether the address is the function's first.
    pub is_start: bool,
    /// Whether another symbol begins right after the address.
    pub is_end: bool,
}

/// A source of names.
pub trait Naming {
    /// The symbol of an address; `None` for code that was generated at run time, such as trampolines of
    /// probes.
    fn symbol(&mut self, address: u64) -> Option<Symbol>;
}

/// Names of addresses. Those that were looked up before are remembered, and that there is none too.
#[derive(Default)]
pub struct Symbols {
    /// `None` if there is no source.
    naming: Option<Box<dyn Naming>>,
    /// By address, and whether it is a return address.
    known: HashMap<(u64, bool), Option<Frame>>,
}

impl Symbols {
    /// Names from this source.
    pub fn new(naming: Box<dyn Naming>) -> Self {
        Self { naming: Some(naming), known: HashMap::new() }
    }

    /// Whether there is a source of names.
    pub fn is_available(&self) -> bool {
        self.naming.is_some()
    }

    /// Forgets what is remembered: a module may have taken another one's place.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The function and module of an address. A return address (`is_return`) may be one past the end of
    /// the calling function.
    ///
    /// `None` for code that was generated at run time.
    pub fn frame(&mut self, address: u64, is_return: bool) -> Option<Frame> {
        let Some(naming) = &mut self.naming else {
            return Some(Frame { function: None, module: None, address });
        };
        if let Some(known) = self.known.get(&(address, is_return)) {
            return known.clone();
        }
        let symbol =
            if is_return { of_return(naming.as_mut(), address) } else { naming.symbol(address) };
        let frame =
            symbol.map(|Symbol { function, module, .. }| Frame { function, module, address });
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert((address, is_return), frame.clone());
        frame
    }

    /// The frames of a stack, innermost first, without code generated at run time. A function that is
    /// entered through such code is on the stack twice, before and after it; it is returned once.
    pub fn stack(&mut self, addresses: &[u64]) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut through_trampoline = false;
        for (i, &address) in addresses.iter().enumerate() {
            let Some(frame) = self.frame(address, i != 0) else {
                through_trampoline = true;
                continue;
            };
            let is_same = frames.last().is_some_and(|last| last.function == frame.function);
            if !(through_trampoline && is_same) {
                frames.push(frame);
            }
            through_trampoline = false;
        }
        frames
    }
}

/// The symbol of a return address. The call before it may be the function's last instruction; before a
/// kretprobe's trampoline, which replaces a return address, there is no call.
fn of_return(naming: &mut dyn Naming, address: u64) -> Option<Symbol> {
    let caller = naming.symbol(address.saturating_sub(1));
    if caller.as_ref().is_some_and(|caller| caller.is_end) {
        let next = naming.symbol(address).filter(is_trampoline);
        return next.or(caller);
    }
    caller
}

fn is_trampoline(symbol: &Symbol) -> bool {
    let function = symbol.function.as_deref();
    symbol.is_start && function.is_some_and(|function| TRAMPOLINES.contains(&function))
}

#[cfg(test)]
mod tests;
