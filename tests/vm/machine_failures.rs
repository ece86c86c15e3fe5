//! A machine that dies or hangs ends in an error, and QEMU doesn't stay behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harness::kernel::DEFAULT;
use harness::vm::places::Places;
use harness::vm::{self, Event, Request};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::panics;

/// The tests; they take turns from `first` on.
pub(crate) fn trials(places: &Arc<Places>, first: usize) -> Vec<Trial> {
    let tests: [(&str, fn()); 2] = [
        ("killed_machine_is_an_error_with_the_end_of_the_console", killed_machine),
        ("machine_is_killed_at_its_deadline", deadline),
    ];
    let trial = |(turn, (name, test)): (usize, (&str, fn()))| {
        let places = Arc::clone(places);
        let run =
            move || places.run(first + turn, false, || panics::caught(test)).map_err(Into::into);
        Trial::test(format!("machine_failures::{name}"), run).with_ignored_flag(true)
    };
    tests.into_iter().enumerate().map(trial).collect()
}

fn killed_machine() {
    let mut request = Request::new(DEFAULT, "healthy");
    "killed-machine".clone_into(&mut request.results);
    let mut qemu = 0;
    let result = vm::run(&request, &mut |event| match event {
        Event::Booted(pid) => qemu = pid,
        // Process 1 runs by now, so the console has some lines.
        Event::Line(_) => drop(kill(Pid::from_raw(qemu.cast_signed()), Signal::SIGKILL)),
        Event::Progress(_) | Event::Silence(_) => {}
    });
    let error = format!("{:#}", result.err().expect("a killed machine is an error"));
    assert!(
        error.starts_with("QEMU ended (signal: 9 (SIGKILL)) before scenario healthy"),
        "{error}"
    );
    assert!(error.contains("console.log"), "{error}");
    assert!(error.lines().count() > 20, "the end of the console is missing: {error}");
}

fn deadline() {
    let mut request = Request::new(DEFAULT, "healthy");
    "deadline".clone_into(&mut request.results);
    request.deadline = Duration::from_millis(500);
    let mut qemu = 0;
    let result = vm::run(&request, &mut |event| {
        if let Event::Booted(pid) = event {
            qemu = pid;
        }
    });
    let error = format!("{:#}", result.err().expect("a deadline that passed is an error"));
    assert!(error.contains("was killed"), "{error}");
    assert_ne!(qemu, 0);
    // A process has a directory until it is reaped.
    assert!(!PathBuf::from(format!("/proc/{qemu}")).exists(), "QEMU still runs");
}
