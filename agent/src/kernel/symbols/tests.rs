//! Lookups in the symbols of a small kernel.
use super::*;

/// The format of 6.12: data symbols, suffixes, parts of functions, and a module.
const KALLSYMS: &str = "\
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

fn sample() -> Symbols {
    let mut symbols = Symbols::parse(KALLSYMS.as_bytes()).expect("reads from memory");
    symbols.ranges =
        parse_modules("fragwatch_pernet 12288 0 - Live 0xffffffffc0a01000 (OE)\nbroken line\n");
    symbols
}

#[test]
fn an_address_has_a_function_and_a_module() {
    let mut symbols = sample();
    let frame = symbols.frame(0xffff_ffff_81b0_0010, false).expect("kernel text");
    assert_eq!(frame.function.as_deref(), Some("ops_init"));
    assert_eq!(frame.module, None);
    let frame = symbols.frame(0xffff_ffff_c0a0_1010, true).expect("module text");
    assert_eq!(frame.function.as_deref(), Some("fw_pernet_init"));
    assert_eq!(frame.module.as_deref(), Some("fragwatch_pernet"));
}

#[test]
fn a_return_address_belongs_to_the_caller() {
    let mut symbols = sample();
    let next = 0xffff_ffff_81b0_0400;
    let at = |s: &mut Symbols, returned| s.frame(next, returned).and_then(|f| f.function);
    assert_eq!(at(&mut symbols, false).as_deref(), Some("copy_net_ns"));
    assert_eq!(at(&mut symbols, true).as_deref(), Some("ops_init.part.0"));
}

#[test]
fn a_kretprobe_trampoline_is_its_own_frame() {
    let lines = format!("{KALLSYMS}ffffffff81b00800 T kretprobe_trampoline\n");
    let mut symbols = Symbols::parse(lines.as_bytes()).expect("reads from memory");
    let frame = symbols.frame(0xffff_ffff_81b0_0800, true).expect("kernel text");
    assert_eq!(frame.function.as_deref(), Some("kretprobe_trampoline"));
}

#[test]
fn code_generated_at_run_time_has_no_frame() {
    assert_eq!(sample().frame(0xffff_ffff_c0f0_0000, true), None);
}

#[test]
fn a_probed_function_is_in_the_stack_once() {
    let (init, probed) = (0xffff_ffff_c0a0_1010, 0xffff_ffff_81b0_0040);
    let (trampoline, entry) = (0xffff_ffff_c0f0_0000, 0xffff_ffff_81b0_0005);
    let caller = 0xffff_ffff_81b0_0440;
    let names = |addresses: &[u64]| -> Vec<String> {
        sample().stack(addresses).into_iter().filter_map(|f| f.function).collect()
    };
    assert_eq!(
        names(&[init, probed, trampoline, entry, caller]),
        ["fw_pernet_init", "ops_init", "copy_net_ns"]
    );
    // A recursive function stays in the stack as often as it was called.
    assert_eq!(names(&[init, probed, probed]), ["fw_pernet_init", "ops_init", "ops_init"]);
}

#[test]
fn variants_omit_parts_of_functions() {
    let symbols = sample();
    assert_eq!(symbols.variants("__alloc_pages_slowpath"), ["__alloc_pages_slowpath.constprop.0"]);
    assert_eq!(symbols.variants("ops_init"), ["ops_init"]);
    assert!(symbols.variants("kmem_cache_create").is_empty());
}

#[test]
fn hidden_addresses_keep_names_and_give_no_function() {
    let zeros = KALLSYMS
        .lines()
        .map(|line| line.get(16..).map_or_else(String::new, |rest| format!("{:016x}{rest}\n", 0)))
        .collect::<String>();
    let mut symbols = Symbols::parse(zeros.as_bytes()).expect("reads from memory");
    assert!(matches!(symbols.check_addresses(), Err(SymbolError::Hidden)));
    assert_eq!(symbols.variants("ops_init"), ["ops_init"]);
    assert_eq!(symbols.address("ops_init"), None);
    let frame = symbols.frame(0xffff_ffff_81b0_0010, false).expect("an address is known");
    assert_eq!(frame.function, None);
    assert!(sample().check_addresses().is_ok());
    assert!(Symbols::default().check_addresses().is_err());
}

#[test]
fn functions_of_modules_are_no_variants() {
    let symbols = sample();
    assert!(symbols.variants("fw_pernet_init").is_empty());
    assert_eq!(symbols.address("fw_pernet_init"), None);
    assert_eq!(symbols.address("ops_init"), Some(0xffff_ffff_81b0_0000));
}

#[test]
fn an_ambiguous_name_is_returned_twice_and_has_no_address() {
    let twice = format!("{KALLSYMS}ffffffff81b00800 t ops_init\n");
    let symbols = Symbols::parse(twice.as_bytes()).expect("reads from memory");
    assert_eq!(symbols.variants("ops_init"), ["ops_init", "ops_init"]);
    assert_eq!(symbols.address("ops_init"), None);
}

#[test]
fn a_part_without_its_function_is_no_variant() {
    let cold = "ffffffff812d7000 t warn_alloc.cold\nffffffff812d7100 t warn_alloc.part.0\n";
    let symbols = Symbols::parse(cold.as_bytes()).expect("reads from memory");
    assert!(symbols.variants("warn_alloc").is_empty());
}
