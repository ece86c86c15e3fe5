//! Who puts programs in their places: the kernel, or in tests somebody who answers as one did.

/// Puts one program in one place. A refusal leaves nothing attached.
pub trait Attacher {
    /// Before a function, by a BPF trampoline.
    fn fentry(&mut self, program: &'static str, function: &str) -> Result<(), AttachError>;
    /// Behind a function, by a BPF trampoline.
    fn fexit(&mut self, program: &'static str, function: &str) -> Result<(), AttachError>;
    /// At a function's entry; `what` is what the program makes of it, a kprobe or a kretprobe.
    fn kprobe(
        &mut self,
        program: &'static str,
        what: &'static str,
        function: &str,
    ) -> Result<(), AttachError>;
    /// At an address, on every CPU that is online now.
    fn breakpoint(
        &mut self,
        program: &'static str,
        function: &str,
        address: u64,
    ) -> Result<(), AttachError>;
    /// At a tracepoint.
    fn tracepoint(
        &mut self,
        program: &'static str,
        category: &str,
        event: &str,
    ) -> Result<(), AttachError>;
    /// Takes back a program that has no use without its partner.
    fn unload(&mut self, program: &'static str);
}

/// Why a program could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The function is not there under any name.
    #[error("this kernel has no function {0}")]
    NoFunction(String),
    /// There are two of that name.
    #[error("this kernel has more than one function {0}")]
    Ambiguous(String),
    /// Its address is hidden.
    #[error("the address of {0} is not known: /proc/kallsyms hides it")]
    NoAddress(String),
    /// The function takes other arguments.
    #[error("{function} takes {found} arguments on this kernel, not {expected}")]
    OtherPrototype {
        /// Which function.
        function: String,
        /// How many arguments it takes.
        found: u32,
        /// How many the programs rely on.
        expected: u32,
    },
    /// tracefs is not there.
    #[error(
        "tracefs, which {0} is to be found in, is not mounted: mount -t tracefs tracefs \
         /sys/kernel/tracing"
    )]
    NoTracefs(String),
    /// tracefs is root's alone.
    #[error(
        "could not look for {function} in /sys/kernel/tracing: {reason}; only root \
         may, and who has CAP_DAC_READ_SEARCH"
    )]
    ClosedTracefs {
        /// Which tracepoint.
        function: String,
        /// What the kernel answered.
        reason: std::io::Error,
    },
    /// tracefs is there with nothing in it.
    #[error("tracefs is empty, as lockdown=confidentiality leaves it, and has no {0}")]
    EmptyTracefs(String),
    /// A tracepoint's record is not described as the programs read it.
    #[error("this kernel's BTF has no {0} as it is known")]
    NoRecord(&'static str),
    /// No tracepoint shows it, and nothing else was asked for.
    #[error("no tracepoint shows it")]
    NoTracepoint,
    /// The kernel said no.
    #[error("the kernel refused {what} on {function}: {reason}")]
    Refused {
        /// `fentry`, `kprobe`, …
        what: &'static str,
        /// Which function.
        function: String,
        /// What it answered.
        reason: String,
    },
    /// Nobody asked the kernel.
    #[error("not tried")]
    NotTried,
    /// The kernel programs lack it: agent and programs are not of one build.
    #[error("the kernel side has no program {0}")]
    NoProgram(&'static str),
}
