//! What all scenarios with a cause have in common: the creation that met the fault is reported with its
//! cause, and the control is not reported as failed.

use harness::judge::cause::Boot;
use harness::scenario;
use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Fact, Kernels, Plan, facts};

/// A scenario about causes: its own facts and the common ones, on the default kernel each time.
pub(crate) fn plan(scenario: &'static str, own: Vec<Fact>) -> Plan {
    plan_with(scenario, TRACE_ALL, own)
}

/// The same with other arguments of fragwatch's.
pub(crate) fn plan_with(
    scenario: &'static str,
    args: &'static [&'static str],
    own: Vec<Fact>,
) -> Plan {
    Plan::new(scenario, args)
        .on(Kernels::DefaultFirst)
        .facts(facts![nothing_is_lost, each_fault_has_its_cause, no_control_failed])
        .facts(own)
}

fn nothing_is_lost(run: &Observed) {
    run.assert_complete();
}

/// Each creation that met a fault has a line with the cause, and no line with another.
fn each_fault_has_its_cause(run: &Observed) {
    let boot = boot(run);
    let scenario = scenario::find(&run.scenario).expect("the scenario has run");
    let truth = scenario.truth.expect("the scenario is about a cause");
    for (name, cause) in truth.faults {
        let verdicts = boot.fault(name);
        assert_eq!(verdicts.missing, 0, "{name}: creations without a line; {:#?}", run.json);
        for given in verdicts.given {
            assert_eq!(given.cause, *cause, "{name}: {:#?}", run.json);
        }
    }
}

pub(crate) fn no_control_failed(run: &Observed) {
    assert_eq!(boot(run).controls().given, [], "{:#?}", run.json);
}

/// The lines about the creations that met this fault; there is at least one.
pub(crate) fn faulty<'a>(run: &'a Observed, fault: &str) -> Vec<&'a Value> {
    let boot = boot(run);
    let lines = boot.lines_of(fault);
    let found: Vec<&Value> = run.json.iter().filter(|line| lines.contains(line)).collect();
    assert!(!found.is_empty(), "no line about {fault}: {:#?}", run.json);
    found
}

/// All lines about controls; there is at least one.
pub(crate) fn controls(run: &Observed) -> Vec<&Value> {
    let boot = boot(run);
    let lines = boot.lines_of_controls();
    let found: Vec<&Value> = run.json.iter().filter(|line| lines.contains(line)).collect();
    assert!(!found.is_empty(), "no line about a control: {:#?}", run.json);
    found
}

fn boot(run: &Observed) -> Boot {
    Boot::of(&run.run).expect("the guest sends outcomes, fragwatch prints JSON")
}
