//! The harness itself: when a machine dies or hangs, it says so and leaves nothing running.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::vm::{self, Event, Request};

/// Where a process is seen as long as it is not reaped.
fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn a_killed_machine_ends_in_a_sentence_with_the_consoles_tail() {
    let mut request = Request::new("6.12", "healthy");
    "killed".clone_into(&mut request.results);
    let mut qemu = 0;
    let result = vm::run(&request, &mut |event| match event {
        Event::Booted(pid) => qemu = pid,
        // The guest lives by now, so the console has something to show.
        Event::Line(_) => drop(kill(Pid::from_raw(qemu.cast_signed()), Signal::SIGKILL)),
        Event::Progress(_) | Event::Silence(_) => {}
    });
    let error = format!("{:#}", result.err().expect("a killed machine is an error"));
    assert!(
        error.starts_with("QEMU ended (signal: 9 (SIGKILL)) before scenario healthy"),
        "{error}"
    );
    assert!(error.contains("console.log"), "{error}");
    assert!(error.lines().count() > 20, "the console's tail is missing: {error}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn a_machine_that_takes_too_long_is_killed() {
    let mut request = Request::new("6.12", "healthy");
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
    assert!(!process(qemu).exists(), "QEMU still runs");
}
