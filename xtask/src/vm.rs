//! `cargo xtask vm`: a scenario in a virtual machine, beside fragwatch.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;
use harness::disk::Disk;
use harness::job::Cgroups;
use harness::judge::runtimes;
use harness::vm::{self, Event, Request, Run};
use harness::{kernel, scenario};

use crate::package;
use crate::setup::{self, disk};

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    pub kernel: String,
    /// What happens on the node; a wrong name lists those there are
    #[arg(long)]
    pub scenario: String,
    /// Which cgroup hierarchies the node has, v2's unless the scenario needs others; v1's need a
    /// kernel before 6.12
    #[arg(long, value_parser = PossibleValuesParser::new([Cgroups::V2.name(), Cgroups::V1.name()]))]
    pub cgroups: Option<String>,
    /// Run fragwatch as an unprivileged user with these capabilities alone, such as
    /// CAP_BPF,CAP_PERFMON
    #[arg(long)]
    pub capabilities: Option<String>,
    /// Seconds after which the machine is killed
    #[arg(long)]
    pub deadline: Option<u64>,
    /// More for the kernel's command line, such as lockdown=integrity
    #[arg(long, default_value = "")]
    pub append: String,
    /// Arguments for fragwatch; `trace` unless given
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// Runs the scenario: fragwatch's stdout is ours, everything else goes to stderr. Returns
/// fragwatch's exit code.
pub fn command(args: &Args) -> Result<ExitCode> {
    // A wrong name fails before anything is installed or built.
    let series = kernel::series(&args.kernel)?;
    let scenario = scenario::find(&args.scenario)?;
    let mut request = request(args);
    if !scenario.can_run(series, request.cgroups) {
        bail!(
            "scenario {} with {} cgroups can't happen on kernel {}: choose an older one",
            scenario.name,
            request.cgroups.name(),
            series.name
        );
    }
    setup::with_kernel(series)?;
    if let Some(disk) = scenario.disk {
        disk::make(disk, series)?;
    }
    if scenario.disk == Some(Disk::Debian) {
        package::deb::make()?;
    }
    // The outcome of this scenario is a table; fragwatch's lines are in the files.
    let table = request.scenario == scenario::RUNTIMES && args.args.is_empty();
    if table {
        request.args = runtimes::ARGS.map(str::to_owned).to_vec();
    }
    let run = vm::run(&request, &mut |event| match event {
        Event::Line(line) if table && line.stream == "fragwatch-out" => {}
        // A closed stdout doesn't end the run: its results are kept in files too.
        Event::Line(line) if line.stream == "fragwatch-out" => {
            drop(writeln!(io::stdout(), "{}", line.text));
        }
        event => vm::show_progress(&event),
    })?;
    eprintln!("==> results are in {}", run.directory.display());
    if table && run.exit_code == 0 {
        return report_runtimes(&run);
    }
    Ok(ExitCode::from(run.exit_code))
}

fn request(args: &Args) -> Request {
    let mut request = Request::new(&args.kernel, &args.scenario);
    if !args.args.is_empty() {
        request.args.clone_from(&args.args);
    }
    let wanted = match args.cgroups.as_deref() {
        Some("v1") => Cgroups::V1,
        Some(_) => Cgroups::V2,
        None => request.cgroups,
    };
    if wanted != request.cgroups {
        request.cgroups = wanted;
        request.results = format!("{}-{}", request.results, wanted.name());
    }
    request.capabilities.clone_from(&args.capabilities);
    request.append = format!("{} {}", request.append, args.append);
    request.colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if let Some(seconds) = args.deadline {
        request.deadline = Duration::from_secs(seconds);
    }
    request
}

/// Prints the table of the runtimes, and what is wrong in it: then the exit code is 1.
fn report_runtimes(run: &Run) -> Result<ExitCode> {
    let judged = runtimes::judge(run)?;
    // A closed stdout doesn't change the outcome.
    let _ = writeln!(io::stdout(), "{}", runtimes::table(&judged));
    let problems = runtimes::problems(&judged);
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}
