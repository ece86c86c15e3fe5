//! `cargo xtask demo`: a container that can't be created, live, with fragwatch's report.

use std::io::{self, IsTerminal};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use harness::vm::protocol::Line;
use harness::vm::{self, Event, Request};
use harness::{kernel, step};

use crate::setup;

const NODE: Style = AnsiColor::Cyan.on_default();
const RUNC: Style = AnsiColor::Yellow.on_default();
const FRAGWATCH: Style = AnsiColor::Green.on_default().bold();
const ASIDE: Style = Style::new().dimmed();

const INTRODUCTION: &str = "\
A virtual machine plays a node that has been up for long: its memory is free, but in single pages.
runc starts containers on it; each needs 256 KiB in one piece for its network. fragwatch watches.
";

const NEXT: &str = "
Where to go from here:
  fragwatch trace      on a node of your own, as root: target/release/fragwatch
  cargo xtask vm       the same and other scenarios, e.g. --scenario fallback -- trace --all
  cargo xtask test     everything, judged
  README.md            what the report means, and what to do about it";

/// Shows scenario order6 as it happens.
pub fn run() -> Result<()> {
    anstream::println!("{INTRODUCTION}");
    setup::with_kernel(kernel::series(kernel::DEFAULT)?)?;
    let mut request = Request::new(kernel::DEFAULT, "order6");
    "demo".clone_into(&mut request.results);
    request.colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let started = Instant::now();
    let mut shown = started;
    let run = vm::run(&request, &mut |event| match event {
        Event::Progress(text) => {
            show_line("demo", ASIDE, text);
            shown = Instant::now();
        }
        Event::Line(line) => {
            if show(line) {
                shown = Instant::now();
            }
        }
        Event::Silence(silence) => {
            if silence.min(shown.elapsed()) > step::SILENCE {
                show_line("demo", ASIDE, &format!("… {} s", started.elapsed().as_secs()));
                shown = Instant::now();
            }
        }
        Event::Booted(_) => {}
    })?;
    if run.exit_code != 0 {
        bail!("fragwatch ended with exit code {}; see {}", run.exit_code, run.directory.display());
    }
    show_line(
        "demo",
        ASIDE,
        &format!("{} s; all of it is in {}", started.elapsed().as_secs(), run.directory.display()),
    );
    anstream::println!("{NEXT}");
    Ok(())
}

/// Shows a line of the node, runc or fragwatch; false for other streams, which are kept in files only.
fn show(line: &Line) -> bool {
    match line.stream.as_str() {
        "node" => show_line("node", NODE, &short_ids(&line.text)),
        "runc" => show_line("runc", RUNC, &line.text),
        "fragwatch-out" | "fragwatch-err" => show_line("fragwatch", FRAGWATCH, &line.text),
        "error" => show_line("node", NODE, &format!("the scenario failed: {}", line.text)),
        _ => return false,
    }
    true
}

fn show_line(source: &str, style: Style, text: &str) {
    anstream::println!("{style}{source:>9} │{style:#} {text}");
}

/// Shortens container ids to twelve digits, as Docker does.
fn short_ids(text: &str) -> String {
    let short = |word: &str| {
        let id = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id { word[..12].to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::short_ids;

    #[test]
    fn only_ids_are_shortened() {
        let id = "0123456789abcdef".repeat(4);
        let text = format!("container 3 {id} started in 812 ms");
        assert_eq!(short_ids(&text), "container 3 0123456789ab started in 812 ms");
    }
}
