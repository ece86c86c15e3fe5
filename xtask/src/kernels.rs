//! `cargo xtask kernels`: whether fragwatch sees the same on every kernel.

pub mod findings;

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};

use crate::setup;
use crate::setup::kernel::{self, Series};
use crate::vm::{self, Request};
use findings::{Findings, Hook};

/// What `cargo xtask kernels` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Only this kernel; may be given several times
    #[arg(long)]
    pub kernel: Vec<String>,
    /// More arguments for `fragwatch trace`, such as `--attach kprobe`
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// What became of one kernel.
struct Row {
    series: &'static Series,
    /// An error's sentence where the scenario could not be run.
    findings: Result<Findings, String>,
}

/// Runs scenario order6 on each kernel and prints what was seen; fails unless all was.
pub fn run(args: &Args) -> Result<ExitCode> {
    let wanted: Vec<&'static Series> = if args.kernel.is_empty() {
        kernel::SERIES.iter().collect()
    } else {
        args.kernel.iter().map(|name| kernel::series(name)).collect::<Result<_>>()?
    };
    setup::run()?;
    let mut rows = Vec::new();
    for series in wanted {
        let findings = match look(series, &args.args) {
            // Whoever interrupts one means all of them.
            Err(error) if error.is::<vm::Interrupted>() => return Err(error),
            other => other.map_err(|error| format!("{error:#}")),
        };
        rows.push(Row { series, findings });
    }
    println!("{}\n{}", facts(&rows), hooks(&rows));
    let problems: Vec<String> = rows.iter().flat_map(problems).collect();
    for problem in &problems {
        println!("{problem}");
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// What fragwatch says on one kernel.
fn look(series: &Series, args: &[String]) -> Result<Findings> {
    eprintln!("==> look at kernel {}", series.name);
    let mut request = Request::new(series.name, "order6");
    request.args = ["trace", "--format", "json"].map(str::to_owned).to_vec();
    request.args.extend_from_slice(args);
    "kernels".clone_into(&mut request.results);
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    Ok(findings::judge(&run))
}

fn problems(row: &Row) -> Vec<String> {
    let of = |problem: &String| format!("kernel {}: {problem}", row.series.name);
    match &row.findings {
        Ok(findings) => findings.problems.iter().map(of).collect(),
        Err(error) => vec![of(error)],
    }
}

/// One row for each kernel: the creation that failed, as fragwatch tells it.
fn facts(rows: &[Row]) -> Table {
    let mut table = table();
    table.set_header([
        "kernel", "hooks", "order", "gfp", "errno", "site", "zone", "verdict", "lost",
    ]);
    for row in rows {
        let Ok(found) = &row.findings else {
            table.add_row([row.series.name, "not seen"]);
            continue;
        };
        let attached = found.hooks.iter().filter(|hook| hook.is_attached()).count();
        let mut cells = vec![found.release.clone(), format!("{attached} of {}", found.hooks.len())];
        let shown = [&found.order, &found.gfp, &found.errno, &found.site, &found.zone];
        let shown = shown.into_iter().chain([&found.verdict, &found.lost]);
        cells.extend(shown.map(|fact| fact.clone().unwrap_or_else(|| "–".to_owned())));
        table.add_row(cells);
    }
    table
}

/// One row for each hook: by what each kernel shows it.
fn hooks(rows: &[Row]) -> Table {
    let mut table = table();
    let seen: Vec<&Findings> = rows.iter().filter_map(|row| row.findings.as_ref().ok()).collect();
    let releases = seen.iter().map(|found| found.release.as_str());
    table.set_header(std::iter::once("hook").chain(releases));
    let Some(first) = seen.first() else { return table };
    for (at, hook) in first.hooks.iter().enumerate() {
        let shown =
            seen.iter().map(|found| found.hooks.get(at).map_or("–".to_owned(), Hook::shown));
        table.add_row(std::iter::once(hook.name.clone()).chain(shown));
    }
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}
