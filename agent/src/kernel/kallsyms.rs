//! Reading /proc/kallsyms.
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    ops::ControlFlow,
};

/// The file.
pub const PATH: &str = "/proc/kallsyms";

/// Digits of an address on a 64-bit kernel.
const DIGITS: usize = 16;

/// Why symbols can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file could not be read.
    #[error("could not read {path}: {source}")]
    Read {
        /// The file's path.
        path: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// All addresses read as zero.
    #[error(
        "/proc/kallsyms hides its addresses: run as root, or with CAP_SYSLOG and \
         kernel.kptr_restrict below 2"
    )]
    Hidden,
}

/// A line that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A function's symbol.
    Function(Function<'a>),
    /// The end of the kernel's own text (`_etext`). The kernel's symbols are in the order of their
    /// addresses, so what follows is data, code for the boot, and modules.
    TextEnd(u64),
}

/// A function's symbol. There are a hundred thousand of them, so what they say is parsed when it is asked
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    address: &'a [u8],
    /// The name, and the module's behind it.
    words: &'a [u8],
}

impl<'a> Function<'a> {
    /// Its address; 0 if addresses are hidden.
    pub fn address(&self) -> u64 {
        hexadecimal(self.address).unwrap_or(0)
    }

    /// The first byte of its name; 0 if it has none.
    pub fn first_byte(&self) -> u8 {
        self.words.first().copied().unwrap_or(0)
    }

    /// Whether its name begins so.
    pub fn begins_with(&self, start: &str) -> bool {
        self.words.starts_with(start.as_bytes())
    }

    /// Its name, and its module; `None` for the kernel itself.
    pub fn names(&self) -> Option<(&'a str, Option<&'a str>)> {
        let mut words = str::from_utf8(self.words).ok()?.split_ascii_whitespace();
        Some((words.next()?, words.next().map(|module| module.trim_matches(['[', ']']))))
    }
}

/// Opens the running kernel's file.
pub fn open() -> Result<impl BufRead, SymbolError> {
    let file = File::open(PATH).map_err(read_error)?;
    Ok(BufReader::with_capacity(64 * 1024, file))
}

/// The error of reading it.
pub fn read_error(source: io::Error) -> SymbolError {
    SymbolError::Read { path: PATH.to_owned(), source }
}

/// Calls `each` for lines that matter until it breaks. Their format is `address type name [\t[module]]`;
/// other lines are ignored.
pub fn read(
    mut lines: impl BufRead,
    mut each: impl FnMut(Line) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(found) = parse(&line)
            && each(found).is_break()
        {
            return Ok(());
        }
    }
}

fn parse(line: &[u8]) -> Option<Line<'_>> {
    let (address, rest) = line.split_at_checked(DIGITS)?;
    // Most lines are of data, and a start waits for all of them: the kind is looked at first.
    let [b' ', b't' | b'T' | b'w' | b'W', b' ', words @ ..] = rest else { return None };
    if words.strip_suffix(b"\n").unwrap_or(words) == b"_etext" {
        return Some(Line::TextEnd(hexadecimal(address)?));
    }
    Some(Line::Function(Function { address, words }))
}

/// A number of [`DIGITS`].
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number: u64, &digit| {
        Some(number << 4 | u64::from(char::from(digit).to_digit(16)?))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The format of 6.12: data symbols, suffixes, parts of functions, and a module.
    pub(crate) const KALLSYMS: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff812d4b00 T wake_all_kswapds
ffffffff812d6a10 t __alloc_pages_slowpath.constprop.0
ffffffff812d7000 t __alloc_pages_slowpath.constprop.0.cold
ffffffff81b00000 t ops_init
ffffffff81b00200 t ops_init.part.0
ffffffff81b00400 T copy_net_ns
ffffffff82000000 T _etext
ffffffff82200000 D init_net
garbage
ffffffffc0a01000 t fw_pernet_init\t[fragwatch_pernet]
ffffffffc0a01200 t fw_pernet_exit\t[fragwatch_pernet]
";

    /// kallsyms as it is shown with kptr_restrict=2: every address is zero.
    pub(crate) fn hidden() -> String {
        let hide = |line: &str| Some(format!("{:016x}{}\n", 0, line.get(16..)?));
        KALLSYMS.lines().filter_map(hide).collect()
    }

    #[test]
    fn functions_and_the_end_of_text_are_found() {
        let mut found = Vec::new();
        read(KALLSYMS.as_bytes(), |line| {
            found.push(match line {
                Line::Function(function) => {
                    let (name, module) = function.names().expect("UTF-8");
                    format!("{:x} {name} {}", function.address(), module.unwrap_or("-"))
                }
                Line::TextEnd(address) => format!("end {address:x}"),
            });
            ControlFlow::Continue(())
        })
        .expect("reads from memory");
        assert_eq!(found.len(), 10, "{found:#?}");
        assert_eq!(found[1], "ffffffff812d4b00 wake_all_kswapds -");
        assert_eq!(found[7], "end ffffffff82000000");
        assert_eq!(found[8], "ffffffffc0a01000 fw_pernet_init fragwatch_pernet");
    }

    #[test]
    fn reading_stops_where_it_is_asked_to() {
        let mut count = 0;
        let stop = |_: Line| {
            count += 1;
            if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        read(KALLSYMS.as_bytes(), stop).expect("reads from memory");
        assert_eq!(count, 2);
    }
}
