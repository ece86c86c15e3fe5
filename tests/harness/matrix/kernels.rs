//! Scenario order6 on every kernel: whether fragwatch sees the same on each.

use anyhow::Result;
use comfy_table::Table;

use super::table;
use crate::judge::findings::{self, Findings, Hook};
use crate::kernel::Series;
use crate::vm::{self, Request};

/// The result of one kernel.
struct Row {
    series: &'static Series,
    /// An error's sentence where the scenario could not be run.
    findings: Result<Findings, String>,
}

/// Runs the scenario on each kernel with further arguments for `fragwatch trace`, and prints what was
/// seen. True if all was.
pub fn run(kernels: &[&'static Series], args: &[String]) -> Result<bool> {
    let mut rows = Vec::new();
    for &series in kernels {
        let findings = match look(series, args) {
            // An interrupt of one ends them all.
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
    Ok(problems.is_empty())
}

/// What fragwatch reports on one kernel.
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

/// One row for each kernel: the creation that failed, as fragwatch reports it.
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

/// One row for each hook: the candidate that each kernel offers.
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
