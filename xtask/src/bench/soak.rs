//! `cargo xtask bench soak`: whether fragwatch's memory stays flat while containers come and go.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::overhead::{Fact, STREAM};
use harness::scenario::SOAK;
use harness::vm::{self, Request};

use crate::setup;

/// How much more may be resident at the end than at the first look, in KiB.
const LIMIT_KIB: u64 = 256;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// For how long, by the guest's clock, which jumps over pauses
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..))]
    minutes: u32,
    /// Run this build of fragwatch, and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Arguments for fragwatch; `trace` unless given
    #[arg(last = true)]
    fragwatch: Vec<String>,
}

/// Boots, prints the memory once a minute, and fails if it grew by more than the limit after the first
/// minute.
pub(super) fn run(args: &Args) -> Result<()> {
    let series = kernel::series(&args.kernel)?;
    setup::with_kernel(series)?;
    let mut request = Request::new(series.name, SOAK.name);
    request.counted = true;
    request.effort.minutes = args.minutes;
    request.program.clone_from(&args.program);
    if !args.fragwatch.is_empty() {
        request.args.clone_from(&args.fragwatch);
    }
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    let mut resident = Vec::new();
    println!("| minute | containers | resident, KiB | anonymous | files and buffers | BPF maps |");
    println!("|---|---|---|---|---|---|");
    for line in run.stream(STREAM) {
        let fact: Fact = serde_json::from_str(line).context("the guest sent a malformed fact")?;
        if let Fact::Soak { seconds, containers, memory } = fact {
            println!(
                "| {} | {containers} | {} | {} | {} | {} |",
                seconds / 60,
                memory.resident,
                memory.anon,
                memory.file,
                memory.maps
            );
            resident.push(memory.resident);
        }
    }
    let grown = grown_kib(&resident).context("the guest sent no memory")?;
    println!("after the first minute memory grew by {grown} KiB; limit {LIMIT_KIB} KiB");
    if grown > LIMIT_KIB {
        bail!("fragwatch's memory is not flat: it grew by {grown} KiB");
    }
    Ok(())
}

/// The most that was resident after the first minute, beyond what was at its end.
fn grown_kib(resident: &[u64]) -> Option<u64> {
    let after = resident.get(1..)?;
    Some(after.iter().max()? - after.first()?)
}

#[cfg(test)]
mod tests {
    use super::grown_kib;

    #[test]
    fn growth_is_counted_from_the_first_minute_on() {
        assert_eq!(grown_kib(&[100, 500, 510, 490]), Some(10));
        assert_eq!(grown_kib(&[100, 500]), Some(0));
        assert_eq!(grown_kib(&[100]), None);
        assert_eq!(grown_kib(&[]), None);
    }
}
