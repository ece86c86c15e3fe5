//! Boots each scenario beside the real fragwatch, and judges its report by the kernel log and
//! the outcomes of the same machine.
//!
//! Each fact of each run is a test: `PLAN::KERNEL::FACT`, with `slow::` in front if only
//! `cargo xtask test --slow` runs it. A machine boots once for all of its facts. Two run at once;
//! `--test-threads` sets another number.

mod bare;
mod burst;
mod causes;
mod cgroup_paths;
mod cgroup_storm;
mod check;
mod daemonset;
mod doctor;
mod endings;
mod exhausted;
mod explained;
mod failed_steps;
mod fallback;
mod flood;
mod full_pod;
mod healthy;
mod hostile;
mod killed;
mod machine_failures;
mod many_nodes;
mod memcg_ids;
mod memcg_kmem_v1;
mod memcg_limit;
mod near_miss;
mod netns_limit;
mod observed;
mod oom_group;
mod oom_order1;
mod oom_real;
mod oom_victims;
mod order6;
mod packaged;
mod panics;
mod pids_limit;
mod plan;
mod reader_stopped;
mod recorded;
mod reproduce;
mod runtimes;
mod sandbox;
mod serve;
mod stuck;
mod tracepoints;
mod userns_flood;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use harness::vm::places::Places;
use libtest_mimic::{Arguments, Trial};

use observed::Observed;
use plan::{Boot, Plan, Suite};

/// An emulated machine takes one processor.
const MACHINES: usize = 2;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    let places = Arc::new(Places::new(args.test_threads.unwrap_or(MACHINES).max(1)));
    let boots: Vec<Boot> = plans().iter().flat_map(Plan::boots).collect();
    let mut trials = machine_failures::trials(&places, boots.len());
    for (turn, boot) in boots.into_iter().enumerate() {
        trials.extend(trials_of(boot, turn, &places));
    }
    // A test mostly waits: for its machine's turn, or for the end of its run.
    args.test_threads = Some(trials.len());
    panics::keep();
    libtest_mimic::run(&args, trials).exit_code()
}

/// All plans: those that take longest first, so that none of them is left over at the end, and those
/// that run alone last.
fn plans() -> Vec<Plan> {
    [
        packaged::plans(),
        daemonset::plans(),
        runtimes::plans(),
        memcg_ids::plans(),
        endings::plans(),
        order6::plans(),
        recorded::plans(),
        reproduce::plans(),
        serve::plans(),
        doctor::plans(),
        tracepoints::plans(),
        healthy::plans(),
        oom_order1::plans(),
        oom_victims::plans(),
        exhausted::plans(),
        killed::plans(),
        oom_group::plans(),
        near_miss::plans(),
        oom_real::plans(),
        memcg_limit::plans(),
        fallback::plans(),
        check::plans(),
        hostile::plans(),
        userns_flood::plans(),
        stuck::plans(),
        reader_stopped::plans(),
        sandbox::plans(),
        cgroup_storm::plans(),
        cgroup_paths::plans(),
        netns_limit::plans(),
        pids_limit::plans(),
        failed_steps::plans(),
        full_pod::plans(),
        memcg_kmem_v1::plans(),
        flood::plans(),
        many_nodes::plans(),
        bare::plans(),
        burst::plans(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A test for each fact. The first that starts boots the machine.
fn trials_of(boot: Boot, turn: usize, places: &Arc<Places>) -> Vec<Trial> {
    let Boot { suite, name, alone, request, facts } = boot;
    let run: Arc<OnceLock<Result<Observed, String>>> = Arc::default();
    let request = Arc::new(request);
    let trial = |(fact, holds): plan::Fact| {
        // A path's last part is the function.
        let fact = fact.rsplit("::").next().unwrap_or(fact);
        let (run, request, places) = (Arc::clone(&run), Arc::clone(&request), places.clone());
        let judge = move || {
            let observe = || Observed::run(&request).map_err(|error| format!("{error:#}"));
            let observed = run.get_or_init(|| places.run(turn, alone, observe));
            // Each test of a machine that did not run to its end fails with the same error.
            let observed = observed.as_ref()?;
            panics::caught(|| holds(observed)).map_err(Into::into)
        };
        let prefix = if suite == Suite::Slow { "slow::" } else { "" };
        // Ignored by default: it boots a machine.
        Trial::test(format!("{prefix}{name}::{fact}"), judge).with_ignored_flag(true)
    };
    facts.into_iter().map(trial).collect()
}
