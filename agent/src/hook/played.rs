//! Kernels that answer as real ones did, for tests.
use fragwatch_core::model::hook::HookStatus;

use crate::{
    hook::{
        Preference, Target,
        attach::attach_all,
        attacher::{AttachError, Attacher},
    },
    kernel::{btf::Btf, fixtures::Fixture, offsets, symbols::Symbols},
};

/// What a kernel refuses: the way, the function (`*` for any), and its answer.
pub(crate) type Refusal = (&'static str, &'static str, &'static str);

/// What Debian's kernels answer, all four of them.
pub(crate) const STOCK: &[Refusal] =
    &[("a kprobe", "__alloc_pages_slowpath.constprop.0", "Invalid argument (os error 22)")];

/// What a kernel without `CONFIG_KPROBES` answers.
pub(crate) const NO_KPROBES: &[Refusal] = &[
    ("a kprobe", "*", "No such file or directory (os error 2)"),
    ("a kretprobe", "*", "No such file or directory (os error 2)"),
    ("fentry", "*", "Operation not permitted (os error 1)"),
    ("fexit", "*", "Operation not permitted (os error 1)"),
    ("an execution breakpoint", "*", "Invalid argument (os error 22)"),
];

/// A kernel that takes what it does not refuse.
pub(crate) struct Played {
    refuses: &'static [Refusal],
    /// Programs that are attached now.
    pub(crate) attached: Vec<&'static str>,
}

impl Played {
    pub(crate) fn new(refuses: &'static [Refusal]) -> Self {
        Self { refuses, attached: Vec::new() }
    }

    fn answer(
        &mut self,
        program: &'static str,
        what: &'static str,
        function: &str,
    ) -> Result<(), AttachError> {
        let refusal = self
            .refuses
            .iter()
            .find(|(way, name, _)| *way == what && (*name == "*" || *name == function));
        if let Some((.., reason)) = refusal {
            let (function, reason) = (function.to_owned(), (*reason).to_owned());
            return Err(AttachError::Refused { what, function, reason });
        }
        self.attached.push(program);
        Ok(())
    }
}

impl Attacher for Played {
    fn fentry(&mut self, program: &'static str, function: &str) -> Result<(), AttachError> {
        self.answer(program, "fentry", function)
    }

    fn fexit(&mut self, program: &'static str, function: &str) -> Result<(), AttachError> {
        self.answer(program, "fexit", function)
    }

    fn kprobe(
        &mut self,
        program: &'static str,
        what: &'static str,
        function: &str,
    ) -> Result<(), AttachError> {
        self.answer(program, what, function)
    }

    fn breakpoint(
        &mut self,
        program: &'static str,
        function: &str,
        address: u64,
    ) -> Result<(), AttachError> {
        assert_ne!(address, 0, "a breakpoint at 0 would never be hit");
        self.answer(program, "an execution breakpoint", function)
    }

    fn tracepoint(
        &mut self,
        program: &'static str,
        category: &str,
        event: &str,
    ) -> Result<(), AttachError> {
        self.answer(program, "a tracepoint", &format!("{category}:{event}"))
    }

    fn unload(&mut self, program: &'static str) {
        self.attached.retain(|attached| *attached != program);
    }
}

/// The hooks on a kernel of which this is the extract, with its kallsyms as they are given.
pub(crate) fn play(
    kernel: &Fixture,
    kallsyms: &str,
    preference: Preference,
    attacher: &mut dyn Attacher,
) -> Vec<HookStatus> {
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    let symbols = Symbols::parse(kallsyms.as_bytes()).expect("reads from memory");
    let unusable_records = &offsets::resolve(&types).unusable_records;
    let target = Target { symbols: &symbols, types: &types, unusable_records, preference };
    attach_all(attacher, &target)
}
