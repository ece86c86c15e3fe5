//! `fragwatch reproduce`: brings this machine into a state in which containers can't be made, runs a
//! command there while `trace` watches, undoes the state, and reports.
mod command;
mod judge;
mod plan;
pub mod relay;
mod report;
mod safety;
mod target;
mod tracer;

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use fragwatch_states::{Keeper, keeper, like};
use nix::unistd::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{
    cli::{ReproduceArgs, ReproduceCause},
    kernel,
    reproduce::{
        command::{Ended, Program},
        plan::Plan,
        tracer::{Traced, Tracer},
    },
};

/// How often it is looked whether to end.
const POLL: Duration = Duration::from_millis(20);

/// Runs the command. Returns the exit code; an error is one of the arguments or of this machine, exit code 2.
pub fn run(args: &ReproduceArgs) -> anyhow::Result<u8> {
    if let ReproduceCause::Fragmentation(fragmentation) = &args.cause
        && let Some(path) = &fragmentation.save
    {
        let state = match &fragmentation.like {
            Some(like) => target::read(like)?,
            None => like::State::now()?,
        };
        save(&state, path)?;
        return Ok(0);
    }
    let plan = Plan::of(&args.cause)?;
    let run = plan.run;
    if run.command.is_empty() && run.hold.is_none() {
        bail!("there is no command to run: write it behind --, or give --hold");
    }
    let program = run.command.first().map(|name| command::find(name)).transpose()?;
    let risks = safety::risks(Path::new("/"));
    if run.dry_run {
        return dry_run(&plan, &risks);
    }
    keeper::check(&plan.specs)?;
    if !geteuid().is_root() {
        bail!("reproducing a state needs root");
    }
    if !risks.is_empty() && !run.this_machine_may_break {
        bail!(
            "this machine does not look like a virtual machine to be thrown away: {}. If it may break all \
             the same, add --this-machine-may-break",
            risks.join("; ")
        );
    }
    let kernel = kernel::release()?;
    let stop = stop_on_signals().context("could not wait for signals")?;
    let oom_score_adj = protect();
    let stopped = || stop.load(Ordering::Relaxed);
    let program = program.map(|path| Program { path, oom_score_adj });
    let outcome = watch(&plan, program.as_ref(), &stopped);
    let report = report::of(&plan, kernel, outcome);
    let exit_code = report.result.exit_code;
    report.write(run.format).context("could not write the report")?;
    Ok(exit_code)
}

/// What happened.
#[derive(Default)]
struct Watched {
    reached: Vec<fragwatch_states::Reached>,
    command: Option<Ended>,
    traced: Option<Traced>,
    /// Why there is no result.
    obstacle: Option<String>,
    not_undone: Vec<String>,
}

/// Traces, reaches the state, runs the command, and undoes all.
fn watch(plan: &Plan, program: Option<&Program>, stopped: &dyn Fn() -> bool) -> Watched {
    let mut watched = Watched::default();
    // While there is memory.
    let tracer = match Tracer::start(plan.run.record.as_deref(), stopped) {
        Ok(tracer) => tracer,
        Err(error) => {
            watched.obstacle = Some(format!("{error:#}"));
            return watched;
        }
    };
    let mut keeper = match Keeper::start(&plan.specs, stopped) {
        Ok((keeper, reached)) => {
            watched.reached = reached;
            keeper
        }
        Err(not) => {
            watched.obstacle = Some(format!("the state was not reached: {}", not.reason));
            watched.not_undone = not.not_undone;
            tracer.end();
            return watched;
        }
    };
    if let Some(program) = program {
        match command::run(plan, program, &mut keeper, stopped) {
            Ok(ended) => watched.command = Some(ended),
            Err(error) => watched.obstacle = Some(format!("{error:#}")),
        }
    }
    if let Some(hold) = plan.run.hold {
        let end = Instant::now() + hold;
        while Instant::now() < end && !stopped() {
            thread::sleep(POLL);
        }
    }
    if stopped() {
        watched.obstacle = Some("interrupted by a signal".to_owned());
    }
    // Before the state ends: undoing it is no creation's business.
    watched.traced = tracer.end();
    if let Some(traced) = &mut watched.traced {
        // To reach a limit it makes namespaces and cgroups until one is refused.
        traced.lines.retain(|relayed| relayed.line["pid"] != keeper.pid());
    }
    if watched.traced.is_none() && watched.obstacle.is_none() {
        watched.obstacle = Some("trace ended early, so creations were not all watched".to_owned());
    }
    watched.not_undone = keeper.end();
    watched
}

/// Writes a machine's free blocks to a new file.
fn save(state: &like::State, path: &Path) -> anyhow::Result<()> {
    let mut json =
        serde_json::to_string_pretty(state).context("could not write the state as JSON")?;
    json.push('\n');
    let file = fs::File::create_new(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, json.as_bytes())).with_context(|| {
        format!("could not save the state in {}, which must be a new file", path.display())
    })
}

fn dry_run(plan: &Plan, risks: &[String]) -> anyhow::Result<u8> {
    let mut lines: Vec<String> = plan.describe();
    if let Err(error) = keeper::check(&plan.specs) {
        lines.push(format!("this machine can't be brought into that state: {error:#}"));
    }
    for risk in risks {
        lines.push(format!("--this-machine-may-break would be needed: {risk}"));
    }
    if !geteuid().is_root() {
        lines.push("root would be needed".to_owned());
    }
    let mut out = String::new();
    for line in lines {
        out += &fragwatch_core::units::printable(&line);
        out.push('\n');
    }
    io::Write::write_all(&mut io::stdout(), out.as_bytes())
        .context("could not write to standard output")?;
    Ok(0)
}

/// Set by a signal that asks this process to end.
fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Lets the OOM killer spare this process, which undoes what its keeper can't. Not required. Returns the
/// `oom_score_adj` that it had.
fn protect() -> String {
    let old = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "-999") {
        log::info!("could not lower oom_score_adj, the OOM killer may choose fragwatch: {error}");
    }
    if old.trim().is_empty() { "0".to_owned() } else { old.trim().to_owned() }
}
