//! `cargo xtask bench overhead`: what fragwatch costs a node, in a virtual machine whose instructions are
//! counted. Without it and with it in turns, in one boot, and beside bpftrace.

mod measured;
mod row;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::kernel::{self, Series};
use harness::overhead::Effort;
use harness::scenario::OVERHEAD;
use harness::vm::{self, Request};

use self::measured::Measured;
use crate::setup::{self, apt};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which kernel to boot; `all` boots them one after the other
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// Fail if fragwatch takes more than the limits allow
    #[arg(long)]
    check: bool,
    /// Measure this build of fragwatch, and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Another build of fragwatch to measure beside it
    #[arg(long)]
    before: Option<PathBuf>,
    /// Don't compare with bpftrace
    #[arg(long)]
    no_bpftrace: bool,
    /// How many turns each program has
    #[arg(long, default_value_t = Effort::default().rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many of each operation, in percent of the usual count
    #[arg(long, default_value_t = Effort::default().percent, value_parser = clap::value_parser!(u32).range(1..))]
    percent: u32,
    /// Arguments for fragwatch; `trace --format json` unless given
    #[arg(last = true)]
    fragwatch: Vec<String>,
}

/// Boots, prints the tables, and writes the same as JSON. Fails if a limit is exceeded and that was asked
/// for.
pub(super) fn run(args: &Args) -> Result<()> {
    let names = if args.kernel == "all" { vec![] } else { vec![args.kernel.clone()] };
    let mut exceeded = Vec::new();
    for series in kernel::several(&names)? {
        let measured = measure(args, series)?;
        println!("{}\n{}", series.name, table::costs(&measured));
        for (contestant, reason) in &measured.absent {
            println!("{} is not in the table: {reason}", contestant.name());
        }
        println!("\n{}\n\n{}", table::stages(&measured), table::programs(&measured));
        let above = row::exceeded(&measured);
        exceeded.extend(above.into_iter().map(|text| format!("{}: {text}", series.name)));
    }
    for text in &exceeded {
        eprintln!("above its limit on {text}");
    }
    if args.check && !exceeded.is_empty() {
        bail!("{} of the values are above their limits; they are named above", exceeded.len());
    }
    Ok(())
}

fn measure(args: &Args, series: &'static Series) -> Result<Measured> {
    setup::with_kernel(series)?;
    let mut request = Request::new(series.name, OVERHEAD.name);
    request.counted = true;
    request.program.clone_from(&args.program);
    request.before.clone_from(&args.before);
    request.bpftrace = !args.no_bpftrace;
    request.effort.rounds = args.rounds;
    request.effort.percent = args.percent;
    request.args = ["trace", "--format", "json"].map(str::to_owned).to_vec();
    if !args.fragwatch.is_empty() {
        request.args.clone_from(&args.fragwatch);
    }
    if request.bpftrace {
        apt::install(&["bpftrace"])?;
    }
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    let measured = measured::read(&run)?;
    let path = run.directory.join("overhead.json");
    let json = serde_json::json!({
        "kernel": series.name,
        "args": request.args,
        "effort": request.effort,
        "values": row::values(&measured),
        "latency": measured.latency,
        "stages": measured.stages,
        "facts": measured.facts,
    });
    fs::write(&path, format!("{json:#}\n"))
        .with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("==> the same as JSON is in {}", path.display());
    Ok(measured)
}
