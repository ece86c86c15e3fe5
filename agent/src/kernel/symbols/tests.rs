//! Lookups in the symbols of a small kernel.
use super::*;
use crate::kernel::{
    kallsyms::{self, tests::KALLSYMS},
    symbols::table::Table,
};

fn table(lines: &str) -> Table {
    let mut table = Table::default();
    kallsyms::read(lines.as_bytes(), |line| table.add(line)).expect("reads from memory");
    let modules = modules::of(
        "fragwatch_pernet 12288 0 - Live 0xffffffffc0a01000 (OE)\nbroken line\n",
        lines,
    );
    *table.modules().lock().expect("no thread panicked") = modules;
    table
}

fn sample() -> Symbols {
    Symbols::new(Box::new(table(KALLSYMS)))
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
    let lines = KALLSYMS.replace(
        "ffffffff82000000 T _etext",
        "ffffffff81b00800 T kretprobe_trampoline\nffffffff82000000 T _etext",
    );
    let mut symbols = Symbols::new(Box::new(table(&lines)));
    let frame = symbols.frame(0xffff_ffff_81b0_0800, true).expect("kernel text");
    assert_eq!(frame.function.as_deref(), Some("kretprobe_trampoline"));
}

#[test]
fn code_generated_at_run_time_has_no_frame() {
    assert_eq!(sample().frame(0xffff_ffff_c0f0_0000, true), None);
    // Between the kernel's text and its modules.
    assert_eq!(sample().frame(0xffff_ffff_8210_0000, true), None);
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
fn without_a_source_frames_are_addresses() {
    let mut symbols = Symbols::default();
    assert!(!symbols.is_available());
    let frame = Frame { function: None, module: None, address: 0xffff_ffff_81b0_0010 };
    assert_eq!(symbols.frame(frame.address, false), Some(frame));
}

/// Counts how often it is asked, and knows one function.
struct Counting(std::rc::Rc<std::cell::Cell<u32>>);

impl Naming for Counting {
    fn symbol(&mut self, address: u64) -> Option<Symbol> {
        self.0.set(self.0.get() + 1);
        (address == 7).then(|| Symbol { function: Some("seven".to_owned()), ..Symbol::default() })
    }
}

#[test]
fn an_address_is_looked_up_once_until_it_is_forgotten() {
    let asked = std::rc::Rc::default();
    let mut symbols = Symbols::new(Box::new(Counting(std::rc::Rc::clone(&asked))));
    for _ in 0..3 {
        assert!(symbols.frame(7, false).is_some());
        assert_eq!(symbols.frame(8, false), None, "there is no symbol");
    }
    assert_eq!(asked.get(), 2);
    symbols.forget();
    assert!(symbols.frame(7, false).is_some());
    assert_eq!(asked.get(), 3);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut symbols = Symbols::new(Box::new(Counting(std::rc::Rc::default())));
    for address in 0..3 * MAX_KNOWN as u64 {
        symbols.frame(address, false);
        assert!(symbols.known.len() <= MAX_KNOWN);
    }
}
