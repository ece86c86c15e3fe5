use super::*;

#[track_caller]
fn at(line: &str, message: &str) {
    let expected = line.find(message).expect("it is in the line");
    assert_eq!(find(line), Some(Anchor::At(expected)), "{line}");
}

#[test]
fn messages_behind_anything() {
    at("318442 CPU: 0 PID: 901 Comm: bcachefs Not tainted 6.8.0 #88", "CPU: ");
    at("[pod/a/tail] [70112.2] Mem-Info:", "Mem-Info:");
    at("{\"x\":\"Call Trace:\"}", "Call Trace:");
    at("x| Node 0 DMA32 free:54812kB boost:0kB min:5632kB low:7040kB", "Node 0");
    at("x| DMA: 3*4kB (U) = 12kB", "DMA: ");
    at("n1: Killed process 7 (a) total-vm:1kB, anon-rss:1kB", "Killed");
    at("n1: INFO: task a:7 blocked for more than 122 seconds.", "INFO: ");
}

#[test]
fn names_leave_their_beginning_open() {
    let line = "318442 bcachefs: page allocation failure: order:5, mode:0x40cc0(GFP_KERNEL)";
    assert_eq!(find(line), Some(Anchor::OneOf(vec![7, 0])));
    let line = ".(4)[2214:Binder:980_7]Binder:980_7: page allocation failure: order:4, mode:0x1";
    assert_eq!(find(line), Some(Anchor::OneOf(vec![23])));
    let line = "x runc:[2:INIT] invoked oom-killer: gfp_mask=0xcc0";
    assert_eq!(find(line), Some(Anchor::OneOf(vec![2, 0])));
}

#[test]
fn sentences_about_messages() {
    for line in [
        "memory-alert: \"Out of memory and no killable processes\" -> page the storage team",
        "look for `page allocation failure` in the log",
        "the line CPU: says which",
        "Node drivers and DMA: see the manual",
        "pattern: Killed process \\d+ (.+) total-vm",
    ] {
        assert_eq!(find(line), None, "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn no_line_panics(line in "\\PC{0,80}", word in 0usize..BEGINNINGS.len(), rest in "\\PC{0,40}") {
        let _ = find(&format!("{line}{}{rest}", BEGINNINGS[word]));
        let _ = find(&format!("{line} invoked oom-killer: order={rest}"));
        let _ = crate::transport::known::find(&line);
    }
}
