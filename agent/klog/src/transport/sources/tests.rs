use crate::lines::Lines;

fn messages(log: &str) -> Vec<(u32, String)> {
    let lines = Lines::new(std::io::Cursor::new(log.to_owned().into_bytes()));
    lines.map(|line| line.expect("it can be read")).map(|line| (line.source, line.text)).collect()
}

#[test]
fn a_counter_before_each_line() {
    let log = "7 bcachefs: page allocation failure: order:5, mode:0x40cc0(GFP_KERNEL)\n\
               7 CPU: 0 PID: 901 Comm: bcachefs Not tainted 6.8.0 #88\n\
               8  <TASK>\n8 something else\n";
    let found = messages(log);
    assert_eq!(found[0].1, "bcachefs: page allocation failure: order:5, mode:0x40cc0(GFP_KERNEL)");
    assert_eq!(found[1].1, "CPU: 0 PID: 901 Comm: bcachefs Not tainted 6.8.0 #88");
    assert_eq!(found[3].1, "something else");
}

#[test]
fn two_sources_stay_two() {
    let log = "[a] Mem-Info:\n[b] Mem-Info:\n[a] x\n[b] y\n";
    let found = messages(log);
    let source = |text: &str| found.iter().find(|(_, own)| own == text).expect(text).0;
    assert_ne!(source("x"), source("y"));
    assert_ne!(source("x"), 0);
}

#[test]
fn a_name_of_two_words_stays_whole() {
    let log = "Web Content: page allocation failure: order:5, mode:0x40cc0(GFP_KERNEL)\n\
               CPU: 0 PID: 901 Comm: Web Content Not tainted 6.8.0 #88\n";
    assert!(messages(log)[0].1.starts_with("Web Content: "));
}
