//! Functions of the kernel or of one module, in little memory.
use crate::kernel::symbols::Symbol;

/// Functions sorted by their addresses, which have their upper 32 bits in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
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
    pub(super) fn find(&self, address: u64, module: Option<&str>) -> Option<Symbol> {
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
