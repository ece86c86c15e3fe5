//! A kernel that answers as real ones did, for tests.
use std::{io, ops::ControlFlow};

use fragwatch_core::model::hook::{AttachKind, HookStatus, Refusal};

use crate::{
    hook::{
        Preference, Target,
        attach::attach_all,
        attacher::{AttachPoint, Attacher, SharedReturn},
    },
    kernel::{btf::Btf, fixtures::Fixture, function_names::FunctionNames, offsets},
};

/// What a kernel refuses: what is to be attached, where (`*` for anywhere), and its answer.
pub(crate) type Rule = (AttachKind, &'static str, Answer);

/// How a kernel refuses.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// By an errno.
    Errno(i32),
    /// It was built without kprobes.
    NoKprobes,
    /// tracefs is not mounted.
    NoTracefs,
}

/// What Debian's kernels answer, all four of them.
pub(crate) const STOCK: &[Rule] =
    &[(AttachKind::Kprobe, "__alloc_pages_slowpath.constprop.0", Answer::Errno(libc::EINVAL))];

/// What a kernel without `CONFIG_KPROBES` answers.
pub(crate) const NO_KPROBES: &[Rule] = &[
    (AttachKind::Kprobe, "*", Answer::NoKprobes),
    (AttachKind::Kretprobe, "*", Answer::NoKprobes),
    (AttachKind::Fentry, "*", Answer::Errno(libc::EPERM)),
    (AttachKind::Fexit, "*", Answer::Errno(libc::EPERM)),
];

/// A kernel that accepts what no rule refuses.
pub(crate) struct FakeKernel {
    rules: &'static [Rule],
    /// Programs that are attached now.
    pub(crate) attached: Vec<&'static str>,
}

impl FakeKernel {
    pub(crate) fn new(rules: &'static [Rule]) -> Self {
        Self { rules, attached: Vec::new() }
    }
}

impl Attacher for FakeKernel {
    fn attach(&mut self, program: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        let target = point.target();
        let rule = self
            .rules
            .iter()
            .find(|(kind, name, _)| *kind == point.kind() && (*name == "*" || *name == target));
        match rule {
            Some((.., Answer::Errno(errno))) => {
                let reason = io::Error::from_raw_os_error(*errno).to_string();
                Err(point.refused(Some(*errno), reason))
            }
            Some((.., Answer::NoKprobes)) => Err(Refusal::KprobesNotBuiltIn),
            Some((.., Answer::NoTracefs)) => Err(Refusal::NoTracefs(target)),
            None => {
                self.attached.push(program);
                Ok(())
            }
        }
    }

    fn attach_shared(
        &mut self,
        program: &'static str,
        functions: &[SharedReturn],
    ) -> Result<(), Refusal> {
        let kind = AttachKind::KretprobeMulti;
        let refused = self.rules.iter().find(|(refused, ..)| *refused == kind);
        if let Some((.., Answer::Errno(errno))) = refused {
            let names: Vec<&str> = functions.iter().map(|f| f.function.as_str()).collect();
            let reason = io::Error::from_raw_os_error(*errno).to_string();
            let target = names.join(", ");
            return Err(Refusal::Refused { kind, target, errno: Some(*errno), reason });
        }
        self.attached.push(program);
        Ok(())
    }

    fn unload(&mut self, program: &'static str) {
        self.attached.retain(|attached| *attached != program);
    }
}

/// Attaches the hooks on a kernel of which this is the extract, with its kallsyms as they are given.
pub(crate) fn attach_on(
    kernel: &Fixture,
    kallsyms: &str,
    preference: Preference,
    attacher: &mut dyn Attacher,
) -> Vec<HookStatus> {
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    let symbols = FunctionNames::read(kallsyms.as_bytes(), |_| ControlFlow::Continue(()))
        .expect("reads from memory");
    let unusable_records = &offsets::resolve(&types).unusable_records;
    let target = Target { symbols: &symbols, types: &types, unusable_records, preference };
    attach_all(attacher, &target)
}
