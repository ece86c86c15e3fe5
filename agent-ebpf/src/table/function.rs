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
    /// Takes the name and the number of parameters from the prototype.
    pub(super) const fn new(prototype: &'static str, kernels: &'static str) -> Self {
        let bytes = prototype.as_bytes();
        let (mut opening, mut depth, mut parameters, mut at) = (0, 0, 1, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'(' => {
                    if opening == 0 {
                        opening = at;
                    }
                    depth += 1;
                }
                b')' => depth -= 1,
                b',' if depth == 1 => parameters += 1,
                _ => {}
            }
            at += 1;
        }
        let mut start = opening;
        while start > 0 && (bytes[start - 1].is_ascii_alphanumeric() || bytes[start - 1] == b'_') {
            start -= 1;
        }
        assert!(start > 0 && start < opening, "a prototype has a type, a name and parameters");
        let (_, name) = prototype.split_at(start);
        let (name, _) = name.split_at(opening - start);
        Self { name, parameters, prototype, kernels }
    }
}
