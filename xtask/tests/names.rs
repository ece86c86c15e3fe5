//! A wrong name on the command line ends in a sentence that lists the right ones.

use std::process::{Command, Output};

use harness::kernel::SERIES;
use harness::scenario::SCENARIOS;

fn xtask(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output().expect("cargo has built xtask")
}

#[test]
fn unknown_scenario_lists_the_known_ones() {
    let output = xtask(&["vm", "--scenario", "nope"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: there is no scenario nope; there are "), "{error}");
    assert!(SCENARIOS.iter().all(|scenario| error.contains(scenario.name)), "{error}");
}

#[test]
fn unknown_kernel_lists_the_known_ones() {
    let output = xtask(&["vm", "--kernel", "2.6", "--scenario", "order6"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: there is no kernel 2.6; there is "), "{error}");
    assert!(SERIES.iter().all(|series| error.contains(series.name)), "{error}");
}
