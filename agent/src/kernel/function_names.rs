//! The functions that hooks are attached to, as this kernel names them.
use std::{
    io::{self, BufRead},
    ops::ControlFlow,
};

use fragwatch_ebpf::table::HOOKS;

use crate::kernel::kallsyms::{self, Line, SymbolError};

/// What a kernel with `CONFIG_FPROBE` has (kernel/trace/fprobe.c, 5.18 and later).
const FPROBE: &str = "register_fprobe_ips";

/// The names of the kernel's own functions, not of modules, that a hook may be attached to.
#[derive(Default)]
pub struct FunctionNames {
    /// Those whose names begin with a candidate's, with their addresses; 0 if those are hidden.
    found: Vec<(String, u64)>,
    /// Whether one program can be put behind the returns of several functions.
    has_fprobe: bool,
    /// False if there was no symbol at all.
    any: bool,
    /// False if every address reads as zero.
    has_addresses: bool,
}

impl FunctionNames {
    /// Reads the running kernel's functions up to the end of its text, or with modules if `each` goes on
    /// there; `each` gets every line that is read. Without the privilege to see addresses, names are still
    /// read.
    pub fn load(each: impl FnMut(Line) -> ControlFlow<()>) -> Result<Self, SymbolError> {
        Self::read(kallsyms::open()?, each).map_err(kallsyms::read_error)
    }

    /// As [`FunctionNames::load`], from lines of /proc/kallsyms.
    pub fn read(
        lines: impl BufRead,
        mut each: impl FnMut(Line) -> ControlFlow<()>,
    ) -> io::Result<Self> {
        let candidates = HOOKS.iter().flat_map(|hook| hook.candidates);
        // By the first byte, because a start waits for this.
        let mut wanted: [Vec<&str>; 256] = [const { Vec::new() }; 256];
        for name in candidates.filter_map(|candidate| Some(candidate.function()?.name)) {
            let alike = &mut wanted[usize::from(name.as_bytes()[0])];
            if !alike.contains(&name) {
                alike.push(name);
            }
        }
        let mut names = Self::default();
        kallsyms::read(lines, |line| {
            if let Line::Function(function) = line {
                names.any = true;
                names.has_addresses = names.has_addresses || function.address() != 0;
                names.has_fprobe = names.has_fprobe || function.begins_with(FPROBE);
                let alike = &wanted[usize::from(function.first_byte())];
                if alike.iter().any(|wanted| function.begins_with(wanted))
                    && let Some((name, None)) = function.names()
                {
                    names.found.push((name.to_owned(), function.address()));
                }
            }
            each(line)
        })?;
        Ok(names)
    }

    /// Checks that addresses are visible; the error says what to do if not.
    pub fn check_addresses(&self) -> Result<(), SymbolError> {
        if self.has_addresses { Ok(()) } else { Err(SymbolError::Hidden) }
    }

    /// Whether there are no symbols, not even names.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// Whether one program can be put behind the returns of several functions.
    pub fn has_fprobe(&self) -> bool {
        self.has_fprobe
    }

    /// The address of a function by its whole name; `None` if it is hidden.
    pub fn address(&self, name: &str) -> Option<u64> {
        let (_, address) = self.found.iter().find(|(found, _)| found == name)?;
        (*address != 0).then_some(*address)
    }

    /// All names of a candidate's `function`: the plain name, and those with a suffix that the compiler
    /// gives to a whole function (`.constprop.0`, `.isra.0`, `.llvm.123`). Parts of functions (`.cold`, `.part.0`) are
    /// omitted, because a probe there would not be at the entry. A name that two functions have is returned
    /// twice.
    pub fn variants(&self, function: &str) -> Vec<String> {
        let names = self.found.iter().map(|(name, _)| name);
        let mut found: Vec<String> =
            names.filter(|name| is_variant(name, function)).cloned().collect();
        // The plain name first.
        found.sort_unstable();
        found
    }
}

/// Suffixes that compilers give to whole functions: gcc's two, and clang's with link-time optimisation.
const WHOLE: [&str; 3] = [".constprop.", ".isra.", ".llvm."];

/// Whether `name` is `function`, as a whole, with or without a compiler's suffix.
fn is_variant(name: &str, function: &str) -> bool {
    name.strip_prefix(function).is_some_and(|suffix| {
        suffix.is_empty()
            || WHOLE.iter().any(|kind| suffix.starts_with(kind))
                && !suffix.contains(".cold")
                && !suffix.contains(".part.")
    })
}

/// Stops at the end of the kernel's own text.
pub fn own_text(line: Line) -> ControlFlow<()> {
    if let Line::TextEnd(_) = line { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kallsyms::tests::{KALLSYMS, hidden};

    fn read(lines: &str) -> FunctionNames {
        FunctionNames::read(lines.as_bytes(), |_| ControlFlow::Continue(()))
            .expect("reads from memory")
    }

    #[test]
    fn variants_omit_parts_of_functions() {
        let names = read(KALLSYMS);
        assert_eq!(
            names.variants("__alloc_pages_slowpath"),
            ["__alloc_pages_slowpath.constprop.0"]
        );
        assert_eq!(names.variants("ops_init"), ["ops_init"]);
        assert!(names.variants("kmem_cache_create").is_empty());
    }

    #[test]
    fn hidden_addresses_keep_names() {
        let names = read(&hidden());
        assert!(matches!(names.check_addresses(), Err(SymbolError::Hidden)));
        assert_eq!(names.variants("ops_init"), ["ops_init"]);
        assert!(read(KALLSYMS).check_addresses().is_ok());
        assert!(FunctionNames::default().check_addresses().is_err());
    }

    #[test]
    fn functions_of_modules_are_no_variants() {
        let names = read(&format!("{KALLSYMS}ffffffffc0b01000 t warn_alloc\t[fragwatch_pernet]\n"));
        assert!(names.variants("warn_alloc").is_empty());
        assert_eq!(names.variants("ops_init"), ["ops_init"]);
    }

    #[test]
    fn an_ambiguous_name_is_returned_twice() {
        let names = read(&format!("{KALLSYMS}ffffffff81b00800 t ops_init\n"));
        assert_eq!(names.variants("ops_init"), ["ops_init", "ops_init"]);
    }

    #[test]
    fn a_part_without_its_function_is_no_variant() {
        let names =
            read("ffffffff812d7000 t warn_alloc.cold\nffffffff812d7100 t warn_alloc.part.0\n");
        assert!(names.variants("warn_alloc").is_empty());
    }

    #[test]
    fn own_text_ends_before_modules() {
        let after = KALLSYMS.replace("D init_net", "t warn_alloc");
        let names = FunctionNames::read(after.as_bytes(), own_text).expect("reads from memory");
        assert!(names.variants("warn_alloc").is_empty());
        assert_eq!(names.variants("copy_net_ns"), ["copy_net_ns"]);
    }
}
