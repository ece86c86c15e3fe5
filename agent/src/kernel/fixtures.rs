//! Extracts of real kernels, made by `cargo xtask fixtures`.

/// A kernel as far as it can be known from its files.
pub(crate) struct Fixture {
    /// Its series, and what is special about it.
    pub(crate) name: &'static str,
    /// The types that fragwatch needs, as `/sys/kernel/btf/vmlinux` has them.
    pub(crate) btf: &'static [u8],
    /// The functions that hooks are attached to, as `/proc/kallsyms` shows them to root.
    pub(crate) kallsyms: &'static str,
}

impl Fixture {
    /// kallsyms as it is shown with kptr_restrict=2: every address is zero.
    pub(crate) fn hidden_kallsyms(&self) -> String {
        let lines = self.kallsyms.lines().filter_map(|line| line.get(16..));
        lines.flat_map(|rest| ["0000000000000000", rest, "\n"]).collect()
    }
}

macro_rules! fixture {
    ($name:literal) => {
        Fixture {
            name: $name,
            btf: include_bytes!(concat!("../../../tests/fixtures/btf/", $name, ".btf")),
            kallsyms: include_str!(concat!("../../../tests/fixtures/kallsyms/", $name, ".txt")),
        }
    };
}

/// The kernels that virtual machines boot, oldest first.
pub(crate) const SERIES: [Fixture; 4] =
    [fixture!("5.10"), fixture!("6.1"), fixture!("6.12"), fixture!("7.2")];

/// One that was built without `CONFIG_KPROBES`.
pub(crate) const NO_KPROBES: Fixture = fixture!("6.18-no-kprobes");
