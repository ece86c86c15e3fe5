//! What a hook can be attached to: a function of the kernel.

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, without a suffix of the compiler's.
    pub name: &'static str,
    /// How many parameters it has. Behind them an fexit program finds the return value, so a
    /// trampoline is used only where BTF says the same number.
    pub parameters: u32,
    /// Its prototype.
    pub prototype: &'static str,
    /// The kernels that have it with this prototype, and the file that it is in.
    pub kernels: &'static str,
}

impl Function {
    pub(super) const fn new(
        name: &'static str,
        parameters: u32,
        prototype: &'static str,
        kernels: &'static str,
    ) -> Self {
        Self { name, parameters, prototype, kernels }
    }
}
