//! `cargo xtask page`: the page of `serve` in a virtual machine, as a browser on this machine shows it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::scenario::{PAGE, PAGE_READY};
use harness::vm::{self, Event, Request};

use crate::setup::{self, apt};

const SERVE: [&str; 9] = [
    "serve",
    "--listen",
    "0.0.0.0:9823",
    "--store",
    "/store",
    "--store-min-free",
    "0",
    "--order",
    "6",
];

/// What a person must be able to read there.
const TEXTS: [&str; 6] = [
    "watching container creations",
    "Could the next container start?",
    "no block of 256 KiB",
    "Last failures",
    "fragmentation</span> (high)",
    "network namespace, ENOMEM",
];

/// Longer than any page takes.
const BROWSER_SECONDS: &str = "80";

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Where the picture goes
    #[arg(long, default_value = "target/page.png")]
    output: PathBuf,
}

/// Boots, lets a container fail, and looks at the page over a forwarded port. Fails if a text is missing or the
/// browser's console has a line.
pub fn run(args: &Args) -> Result<()> {
    let series = kernel::series(kernel::DEFAULT)?;
    setup::with_kernel(series)?;
    apt::install(&["chromium"])?;
    let mut request = Request::new(series.name, PAGE.name);
    let port = free_port()?;
    request.port = Some(port);
    request.args = SERVE.map(str::to_owned).to_vec();
    let mut seen = None;
    vm::run(&request, &mut |event| {
        if let Event::Line(line) = &event
            && line.stream == "node"
            && line.text == PAGE_READY
        {
            seen = Some(look(port, &args.output));
        }
        vm::show_progress(&event);
    })?;
    let (page, console) = seen.context("no container failed, so there was nothing to see")??;
    for text in TEXTS {
        if !page.contains(text) {
            bail!("the page has no `{text}`:\n{page}");
        }
    }
    if !console.is_empty() {
        bail!("the browser's console has: {}", console.join("; "));
    }
    println!(
        "the page has all {} texts, the browser's console is empty; the picture is {}",
        TEXTS.len(),
        args.output.display()
    );
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    Ok(listener.local_addr().context("a port has no number")?.port())
}

/// Takes the picture. Returns the page as the browser has it, and the lines of its console.
fn look(port: u16, picture: &Path) -> Result<(String, Vec<String>)> {
    let picture = format!("--screenshot={}", picture.display());
    let (_, errors) = browse(port, &["--window-size=1000,1400", "--hide-scrollbars", &picture])?;
    let (page, more) = browse(port, &["--dump-dom"])?;
    let of_console = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
    };
    Ok((page, [of_console(&errors), of_console(&more)].concat()))
}

/// What the browser prints to stdout and stderr.
fn browse(port: u16, args: &[&str]) -> Result<(String, String)> {
    let output = Command::new("timeout")
        .args([BROWSER_SECONDS, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=3000"])
        .args(args)
        .arg(format!("http://127.0.0.1:{port}/"))
        .stdin(Stdio::null())
        .output()
        .context("can't run chromium")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("chromium ended with {}: {}", output.status, text(&output.stderr));
    }
    Ok((text(&output.stdout), text(&output.stderr)))
}
