//! Symbols as the kernel prints them with `%pS` (kernel/kallsyms.c, `__sprint_symbol`):
//! `name+0xoffset/0xsize [module]`, or the address where there is none.
use crate::kernel::symbols::Symbol;

/// What the kernel names as the module of code that was generated at run time (kernel/bpf/core.c,
/// kernel/trace/ftrace.c, kernel/kprobes.c).
const GENERATED: [&str; 3] = ["bpf", "__builtin__ftrace", "__builtin__kprobes"];

/// Parses it; `None` for an address without symbol, and for generated code.
pub fn parse(text: &str) -> Option<Symbol> {
    let (symbol, module) = match text.strip_suffix(']').and_then(|text| text.split_once(" [")) {
        Some((symbol, module)) => (symbol, Some(module)),
        None => (text, None),
    };
    if module.is_some_and(|module| GENERATED.contains(&module)) {
        return None;
    }
    let (name, place) = symbol.rsplit_once("+0x")?;
    let (offset, size) = place.split_once("/0x")?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let (offset, size) = (number(offset)?, number(size)?);
    Some(Symbol {
        function: Some(name.to_owned()),
        module: module.map(str::to_owned),
        is_start: offset == 0,
        is_end: offset.checked_add(1) == Some(size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(function: &str, module: Option<&str>, is_start: bool, is_end: bool) -> Symbol {
        let module = module.map(str::to_owned);
        Symbol { function: Some(function.to_owned()), module, is_start, is_end }
    }

    #[test]
    fn symbols_of_the_kernel_and_of_modules_are_parsed() {
        assert_eq!(
            parse("copy_net_ns+0x10f/0x2b0"),
            Some(symbol("copy_net_ns", None, false, false))
        );
        assert_eq!(parse("ops_init+0x0/0x170"), Some(symbol("ops_init", None, true, false)));
        assert_eq!(
            parse("fw_pernet_init+0x4f/0x50 [fragwatch_pernet]"),
            Some(symbol("fw_pernet_init", Some("fragwatch_pernet"), false, true))
        );
        assert_eq!(
            parse("__alloc_pages_slowpath.constprop.0+0x1/0xd20"),
            Some(symbol("__alloc_pages_slowpath.constprop.0", None, false, false))
        );
    }

    #[test]
    fn generated_code_and_bare_addresses_are_no_symbols() {
        for text in [
            "bpf_trampoline_6442543987+0x5d/0x1000 [bpf]",
            "ftrace_trampoline+0x30/0x8000 [__builtin__ftrace]",
            "kprobe_insn_page+0x0/0x1000 [__builtin__kprobes]",
            "0xffffffffc0a01000",
            "",
            "name+0x/0x",
            "name+0x1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
