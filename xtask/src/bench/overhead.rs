//! `cargo xtask bench overhead`: what fragwatch costs a node, in a virtual machine whose instructions are
//! counted. Without it and with it in turns, in one boot.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::scenario::OVERHEAD;
use harness::vm::{self, Request, Run};
use serde_json::{Value, json};

use crate::setup;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// Another build of fragwatch to measure beside this one
    #[arg(long)]
    before: Option<PathBuf>,
    /// Arguments for fragwatch; `trace` unless given
    #[arg(last = true)]
    fragwatch: Vec<String>,
}

/// A row of the table: its name, the guest's field, and what one of its unit is in the field's.
const ROWS: [(&str, &str, f64); 9] = [
    ("create a network namespace, us", "netns_ns", 1e3),
    ("make and remove a cgroup, us", "cgroup_ns", 1e3),
    ("CPU of fragwatch for a namespace, us", "cpu_per_netns_ns", 1e3),
    ("CPU of fragwatch for a cgroup, us", "cpu_per_cgroup_ns", 1e3),
    ("CPU of fragwatch until ready, s", "cpu_until_ready_ns", 1e9),
    ("CPU of fragwatch when idle, %", "cpu_idle_ns_per_s", 1e7),
    ("resident when ready, MiB", "rss_ready_kib", 1024.0),
    ("resident after the loops, MiB", "rss_after_kib", 1024.0),
    ("peak until ready, MiB", "peak_kib", 1024.0),
];

/// The first of these rows are the node's: they have a ratio to the time without fragwatch.
const WITH_RATIO: usize = 2;

const CONTESTANTS: [&str; 3] = ["without", "before", "with"];

/// Boots, prints the table, and writes the same as JSON.
pub(super) fn run(args: &Args) -> Result<()> {
    let series = kernel::series(&args.kernel)?;
    setup::with_kernel(series)?;
    let mut request = Request::new(series.name, OVERHEAD.name);
    request.counted = true;
    request.before.clone_from(&args.before);
    if !args.fragwatch.is_empty() {
        request.args.clone_from(&args.fragwatch);
    }
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    let measured = measured(&run)?;
    print(&measured);
    let path = run.directory.join("overhead.json");
    let table: Vec<Value> = measured.iter().flat_map(|(_, turns)| turns).cloned().collect();
    let json = json!({"kernel": series.name, "args": request.args, "turns": table});
    fs::write(&path, format!("{json:#}\n"))
        .with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("==> the same as JSON is in {}", path.display());
    Ok(())
}

/// The turns of each contestant that took part.
fn measured(run: &Run) -> Result<Vec<(&'static str, Vec<Value>)>> {
    let turns: Vec<Value> = run
        .stream("overhead")
        .map(|line| serde_json::from_str(line).context("the guest sent no JSON"))
        .collect::<Result<_>>()?;
    let of = |name: &&str| turns.iter().filter(|turn| turn["name"] == **name).cloned().collect();
    let mut all: Vec<(&str, Vec<Value>)> =
        CONTESTANTS.iter().map(|name| (*name, of(name))).collect();
    all.retain(|(_, turns)| !turns.is_empty());
    if all.len() < 2 {
        bail!("the guest measured nothing; see {}", run.directory.display());
    }
    Ok(all)
}

fn print(measured: &[(&str, Vec<Value>)]) {
    print!("{:40}", "");
    for (name, _) in measured {
        print!(" {name:>18}");
    }
    println!();
    for (index, (name, field, unit)) in ROWS.into_iter().enumerate() {
        print!("{name:40}");
        let without = mean(&measured[0].1, field);
        for (_, turns) in measured {
            let cell = match (mean(turns, field), without) {
                (Some(value), Some(without)) if index < WITH_RATIO => {
                    format!("{:.1} ({:.3})", value / unit, value / without)
                }
                (Some(value), _) => format!("{:.2}", value / unit),
                (None, _) => "-".to_owned(),
            };
            print!(" {cell:>18}");
        }
        println!();
    }
}

/// Over all turns that have it.
fn mean(turns: &[Value], field: &str) -> Option<f64> {
    let values: Vec<f64> = turns.iter().filter_map(|turn| turn[field].as_f64()).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::mean;

    #[test]
    fn mean_is_over_turns_that_have_the_field() {
        let turns = [json!({"netns_ns": 10}), json!({"netns_ns": 20}), json!({"other": 1})];
        assert_eq!(mean(&turns, "netns_ns"), Some(15.0));
        assert_eq!(mean(&turns, "cgroup_ns"), None);
    }
}
