//! The kernel's function symbols, from /proc/kallsyms: names of addresses, and variants of functions.
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
};

use fragwatch_core::model::frame::{Frame, TRAMPOLINES};

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

/// Text symbols, stored compactly as sorted addresses and one string.
#[derive(Default)]
pub struct Symbols {
    /// Address, offset of the name in `names`, and index in `modules`. Sorted.
    entries: Vec<(u64, u32, u16)>,
    /// All names, each followed by a newline.
    names: String,
    /// Names of modules; index 0 is the kernel itself.
    modules: Vec<String>,
    /// False if every address reads as zero.
    has_addresses: bool,
    /// End of the kernel's own text (`_etext`); 0 if unknown.
    text_end: u64,
    /// Memory of the loaded modules.
    ranges: Vec<ModuleRange>,
}

/// A loaded module's memory, from /proc/modules.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ModuleRange {
    name: String,
    start: u64,
    len: u64,
}

impl Symbols {
    /// Reads the running kernel's symbols. Without the privilege to see addresses, names are still read.
    pub fn load() -> Result<Self, SymbolError> {
        let mut symbols = Self::parse(open("/proc/kallsyms")?)
            .map_err(|source| SymbolError::Read { path: "/proc/kallsyms".to_owned(), source })?;
        symbols.ranges = module_ranges()?;
        Ok(symbols)
    }

    /// Checks that addresses are visible; the error says what to do if not.
    pub fn check_addresses(&self) -> Result<(), SymbolError> {
        if self.has_addresses { Ok(()) } else { Err(SymbolError::Hidden) }
    }

    /// Parses the format of /proc/kallsyms: `address type name [\t[module]]`. Other lines are ignored.
    pub fn parse(mut lines: impl BufRead) -> io::Result<Self> {
        let mut symbols = Self { modules: vec![String::new()], ..Self::default() };
        let mut module_ids: BTreeMap<String, u16> = BTreeMap::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            symbols.add(&line, &mut module_ids);
        }
        symbols.entries.sort_unstable();
        symbols.entries.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    fn add(&mut self, line: &[u8], module_ids: &mut BTreeMap<String, u16>) {
        // Most lines are of data, and a start waits for all of them: the kind is looked at first.
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let is_text = matches!(kind, b"t" | b"T" | b"w" | b"W");
        let is_end = name == b"_etext";
        if !is_text && !is_end {
            return;
        }
        let (Some(address), Ok(name)) = (hexadecimal(address), str::from_utf8(name)) else {
            return;
        };
        if is_end {
            self.text_end = address;
        }
        if !is_text {
            return;
        }
        let module = match words.next().map(str::from_utf8) {
            Some(Ok(module)) => self.module_id(module.trim_matches(['[', ']']), module_ids),
            Some(Err(_)) => return,
            None => 0,
        };
        self.has_addresses |= address != 0;
        self.entries.push((address, self.names.len() as u32, module));
        self.names.push_str(name);
        self.names.push('\n');
    }

    fn module_id(&mut self, module: &str, module_ids: &mut BTreeMap<String, u16>) -> u16 {
        if let Some(&id) = module_ids.get(module) {
            return id;
        }
        let id = self.modules.len() as u16;
        module_ids.insert(module.to_owned(), id);
        self.modules.push(module.to_owned());
        id
    }

    /// Whether there are no symbols, not even names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All names of `function` in the kernel itself, not in modules: the plain name, and those with a
    /// suffix that the compiler gives to a whole function (`.constprop.0`, `.isra.0`). Parts of functions
    /// (`.cold`, `.part.0`) are omitted, because a probe there would not be at the entry. A name that two
    /// functions have is returned twice.
    pub fn variants(&self, function: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .own_beginning_with(function)
            .map(|(_, name)| name)
            .filter(|name| {
                name.strip_prefix(function).is_some_and(|rest| {
                    rest.is_empty()
                        || (rest.starts_with(".constprop.") || rest.starts_with(".isra."))
                            && !rest.contains(".cold")
                            && !rest.contains(".part.")
                })
            })
            .map(str::to_owned)
            .collect();
        // The plain name first.
        found.sort_unstable();
        found
    }

    /// The address of the kernel's only function with exactly this name; `None` if there is none or more
    /// than one, or if addresses are hidden.
    pub fn address(&self, function: &str) -> Option<u64> {
        let named = self.own_beginning_with(function).filter(|(_, name)| *name == function);
        let mut all = named.map(|(address, _)| address);
        let address = all.next().filter(|&address| address != 0)?;
        all.next().is_none().then_some(address)
    }

    /// Addresses and names of functions in the kernel itself, not in modules, whose names begin so.
    fn own_beginning_with(&self, prefix: &str) -> impl Iterator<Item = (u64, &str)> {
        let names = self.names.as_bytes();
        self.entries
            .iter()
            .filter(move |&&(_, start, module)| {
                let name = names.get(start as usize..).unwrap_or_default();
                module == 0 && name.starts_with(prefix.as_bytes())
            })
            .map(|&(address, start, _)| (address, self.name(start)))
    }

    fn name(&self, start: u32) -> &str {
        let rest = self.names.get(start as usize..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default()
    }

    /// The function and module of an address. A return address (`is_return`) may be one past the end of
    /// the calling function.
    ///
    /// `None` for code that was generated at run time, such as trampolines of probes.
    pub fn frame(&mut self, address: u64, is_return: bool) -> Option<Frame> {
        // The call before the return address may be the function's last instruction.
        let inside = if is_return && !self.is_trampoline(address) {
            address.saturating_sub(1)
        } else {
            address
        };
        let in_kernel = self.text_end == 0 || inside < self.text_end;
        if !in_kernel && !self.in_a_module(inside) {
            // Either a module that was loaded since, or code generated at run time.
            self.refresh();
            if !self.in_a_module(inside) {
                return None;
            }
        }
        let at = self.entries.partition_point(|&(start, ..)| start <= inside).checked_sub(1);
        // With hidden addresses every name would be wrong.
        let entry = at.filter(|_| self.has_addresses).and_then(|i| self.entries.get(i));
        // The symbol before the address may belong to another module, or to the kernel.
        let owned = entry.and_then(|&(_, start, owner)| {
            let module = self.modules.get(owner as usize)?;
            let inside_owner = if module.is_empty() {
                in_kernel
            } else {
                self.ranges.iter().any(|r| r.name == *module && r.contains(inside))
            };
            inside_owner.then(|| (self.name(start).to_owned(), module.clone()))
        });
        if owned.is_none() && !in_kernel && self.has_addresses {
            return None;
        }
        let (function, module) = owned.unzip();
        Some(Frame { function, module: module.filter(|name| !name.is_empty()), address })
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

    /// Whether this is a kretprobe's trampoline, which replaces a return address: there is no call before
    /// it.
    fn is_trampoline(&self, address: u64) -> bool {
        let at = self.entries.partition_point(|&(start, ..)| start < address);
        let mut begins_here = self.entries.iter().skip(at).take_while(|entry| entry.0 == address);
        begins_here.any(|&(_, name, _)| TRAMPOLINES.contains(&self.name(name)))
    }

    /// Reads the symbols again if modules were loaded since. Cheap if none was. Called periodically, so
    /// that a report rarely has to wait for it.
    pub fn refresh(&mut self) {
        let Ok(ranges) = module_ranges() else { return };
        let known = ranges.iter().all(|range| self.ranges.contains(range));
        self.ranges = ranges;
        if known || !self.has_addresses {
            return;
        }
        let loaded = Self::load().and_then(|new| new.check_addresses().map(|()| new));
        match loaded {
            Ok(symbols) => *self = symbols,
            Err(error) => log::warn!("symbols of newly loaded modules are missing: {error}"),
        }
    }

    /// Whether the address may be in a loaded module. /proc/modules has one start address and the total
    /// size of all parts of a module, so ranges may overlap or be too long.
    fn in_a_module(&self, address: u64) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }
}

/// A number of up to 16 hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, &digit| {
        Some(number << 4 | u64::from(char::from(digit).to_digit(16)?))
    })
}

impl ModuleRange {
    fn contains(&self, address: u64) -> bool {
        (self.start..self.start.saturating_add(self.len)).contains(&address)
    }
}

fn open(path: &str) -> Result<BufReader<File>, SymbolError> {
    let file =
        File::open(path).map_err(|source| SymbolError::Read { path: path.to_owned(), source })?;
    Ok(BufReader::with_capacity(64 * 1024, file))
}

fn module_ranges() -> Result<Vec<ModuleRange>, SymbolError> {
    let path = "/proc/modules";
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse_modules(&text)),
        // A kernel built without modules has no list of them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(SymbolError::Read { path: path.to_owned(), source }),
    }
}

/// Parses /proc/modules: `name size refcount users state 0xaddress …`.
fn parse_modules(text: &str) -> Vec<ModuleRange> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let start = u64::from_str_radix(words.get(5)?.strip_prefix("0x")?, 16).ok()?;
            let name = (*words.first()?).to_owned();
            Some(ModuleRange { name, start, len: words.get(1)?.parse().ok()? })
        })
        .collect()
}

#[cfg(test)]
mod tests;
