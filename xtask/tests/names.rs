//! Wrong names on the command line are told in a sentence that lists the right ones.

use std::process::{Command, Output};

use xtask::setup::kernel::SERIES;
use xtask::vm::scenario::SCENARIOS;

fn xtask(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output().expect("cargo has built xtask")
}

#[test]
fn an_unknown_scenario_lists_those_there_are() {
    let output = xtask(&["vm", "--scenario", "nope"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: there is no scenario nope; there are "), "{error}");
    assert!(SCENARIOS.iter().all(|scenario| error.contains(scenario.name)), "{error}");
}

#[test]
fn an_unknown_kernel_lists_those_there_are() {
    let output = xtask(&["vm", "--kernel", "2.6", "--scenario", "order6"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: there is no kernel 2.6; there is "), "{error}");
    assert!(SERIES.iter().all(|series| error.contains(series.name)), "{error}");
}
