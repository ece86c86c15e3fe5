//! The causes that fragwatch reported in one boot of a scenario, compared with the outcomes that the
//! guest sent.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vm::Run;

/// Whether a creation met the fault that its scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It did.
    Faulty,
    /// All is as for a faulty one, but for the fault.
    Control,
}

impl Side {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Faulty => "faulty",
            Self::Control => "control",
        }
    }
}

/// How a creation ended that was made only after the kernel had made room for it.
pub const NEAR_MISS: &str = "near-miss";

/// The outcome of one creation, as the guest sends it on the stream `outcome`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// Whether it met the fault.
    pub side: Side,
    /// The name of the fault.
    pub fault: String,
    /// Path of its cgroup.
    pub cgroup: String,
    /// How it failed, or [`NEAR_MISS`]; none if it was made.
    pub errno: Option<String>,
}

/// The verdict on one creation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    /// The cause.
    pub cause: String,
    /// The confidence in it.
    pub confidence: String,
}

impl fmt::Display for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} {}", self.cause, self.confidence)
    }
}

/// The verdicts on creations that met the same fault, or on the controls.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// One for each line in which such a creation failed or called the OOM killer.
    pub given: Vec<Given>,
    /// How many of these creations have no such line.
    pub missing: usize,
}

/// The outcomes and the report of one boot.
pub struct Boot {
    outcomes: Vec<Outcome>,
    lines: Vec<Value>,
}

impl Boot {
    /// Takes a run apart.
    pub fn of(run: &Run) -> Result<Self> {
        let outcomes = run
            .stream("outcome")
            .map(|line| serde_json::from_str(line).context("the guest sent a malformed outcome"))
            .collect::<Result<_>>()?;
        let lines = run
            .stream("fragwatch-out")
            .map(|line| serde_json::from_str(line).context("fragwatch printed no JSON"))
            .collect::<Result<_>>()?;
        Ok(Self { outcomes, lines })
    }

    /// The verdicts on creations that met this fault.
    #[must_use]
    pub fn fault(&self, name: &str) -> Verdicts {
        let given: Vec<Given> =
            self.lines_of(name).into_iter().map(|line| given(&line["verdict"])).collect();
        // A fault that no creation met was not reported either.
        let missing = self.faulty(name).len().max(1).saturating_sub(given.len());
        Verdicts { given, missing }
    }

    /// The lines about creations that met this fault: those that failed, and near misses where that is what
    /// it comes to.
    #[must_use]
    pub fn lines_of(&self, fault: &str) -> Vec<&Value> {
        let faulty = self.faulty(fault);
        let near = faulty.iter().any(|outcome| outcome.errno.as_deref() == Some(NEAR_MISS));
        let is_meant = |line: &&Value| failed(line) || near && line["near_miss"] == true;
        self.lines_about(&faulty).into_iter().filter(is_meant).collect()
    }

    /// All lines about controls.
    #[must_use]
    pub fn lines_of_controls(&self) -> Vec<&Value> {
        self.lines_about(&self.of_controls())
    }

    fn of_controls(&self) -> Vec<&Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.side == Side::Control).collect()
    }

    fn faulty(&self, fault: &str) -> Vec<&Outcome> {
        let met = |outcome: &&Outcome| outcome.side == Side::Faulty && outcome.fault == fault;
        self.outcomes.iter().filter(met).collect()
    }

    /// The verdicts on controls; there should be none.
    #[must_use]
    pub fn controls(&self) -> Verdicts {
        let lines = self.lines_of_controls().into_iter().filter(|line| failed(line));
        Verdicts { given: lines.map(|line| given(&line["verdict"])).collect(), missing: 0 }
    }

    /// The lines about one of these creations.
    fn lines_about(&self, outcomes: &[&Outcome]) -> Vec<&Value> {
        let cgroups: BTreeSet<&str> =
            outcomes.iter().map(|outcome| outcome.cgroup.as_str()).collect();
        let of = |line: &&Value| {
            line["type"] == "creation" && paths(line).iter().any(|path| cgroups.contains(&**path))
        };
        self.lines.iter().filter(of).collect()
    }
}

/// Whether the creation of a line failed or called the OOM killer.
fn failed(line: &Value) -> bool {
    line["outcome"] == "failed"
        || line["oom_kills"].as_array().is_some_and(|kills| !kills.is_empty())
}

/// The cgroups that a line is about: its own, and one that could not be made.
fn paths(line: &Value) -> Vec<String> {
    let own = line["cgroup"]["path"].as_str().map(str::to_owned);
    let refused = &line["cgroup_refused"];
    let refused = refused["parent"].as_str().zip(refused["name"].as_str());
    let refused = refused.map(|(parent, name)| format!("{}/{name}", parent.trim_end_matches('/')));
    own.into_iter().chain(refused).collect()
}

fn given(verdict: &Value) -> Given {
    let text = |name: &str| verdict[name].as_str().unwrap_or("none").to_owned();
    Given { cause: text("cause"), confidence: text("confidence") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(side: Side, cgroup: &str) -> Outcome {
        let (fault, errno) = ("net".to_owned(), Some("ENOSPC".to_owned()));
        Outcome { side, fault, cgroup: cgroup.to_owned(), errno }
    }

    fn line(cgroup: &str, outcome: &str) -> Value {
        json!({"type": "creation", "outcome": outcome, "cgroup": {"path": cgroup}, "oom_kills": [],
            "verdict": {"cause": "namespace-limit", "confidence": "high"}})
    }

    #[test]
    fn lines_are_matched_to_outcomes_by_cgroup() {
        let outcomes = vec![
            outcome(Side::Faulty, "/bad/1"),
            outcome(Side::Faulty, "/bad/2"),
            outcome(Side::Control, "/good"),
        ];
        let lines = vec![line("/bad/1", "failed"), line("/good", "ok"), line("/other", "failed")];
        let boot = Boot { outcomes, lines };
        let verdicts = boot.fault("net");
        assert_eq!(verdicts.given.len(), 1);
        assert_eq!(verdicts.given[0].to_string(), "namespace-limit high");
        assert_eq!(verdicts.missing, 1, "the second has no line");
        assert_eq!(boot.controls().given, []);
    }

    #[test]
    fn failed_control_is_counted() {
        let outcomes = vec![outcome(Side::Control, "/good")];
        let boot = Boot { outcomes, lines: vec![line("/good", "failed")] };
        assert_eq!(boot.controls().given.len(), 1);
        assert_eq!(boot.fault("net").missing, 1, "no creation met the fault");
    }

    #[test]
    fn refused_cgroup_is_matched_by_its_own_path() {
        let mut refused = line("/runtime", "failed");
        refused["cgroup_refused"] = json!({"parent": "/bad", "name": "1", "errno": "ENOSPC"});
        let outcomes = vec![outcome(Side::Faulty, "/bad/1")];
        let boot = Boot { outcomes, lines: vec![refused] };
        assert_eq!(boot.fault("net").given.len(), 1);
    }

    #[test]
    fn near_miss_counts_where_it_is_the_fault() {
        let mut near = line("/bad/1", "stalled");
        near["near_miss"] = json!(true);
        let mut outcomes = vec![outcome(Side::Faulty, "/bad/1"), outcome(Side::Control, "/bad/1")];
        let boot = |outcomes: Vec<Outcome>| Boot { outcomes, lines: vec![near.clone()] };
        outcomes[0].errno = Some(NEAR_MISS.to_owned());
        let of_near_miss = boot(outcomes);
        assert_eq!(of_near_miss.fault("net").missing, 0);
        assert_eq!(of_near_miss.controls().given, [], "it did not fail");
        let of_failure = boot(vec![outcome(Side::Faulty, "/bad/1")]);
        assert_eq!(of_failure.fault("net").missing, 1, "it should have failed");
    }

    #[test]
    fn oom_kill_counts_although_the_creation_did_not_fail() {
        let mut stalled = line("/bad/1", "stalled");
        stalled["oom_kills"] = json!([{"order": 1}]);
        let outcomes = vec![outcome(Side::Faulty, "/bad/1")];
        let boot = Boot { outcomes, lines: vec![stalled] };
        assert_eq!(boot.fault("net").missing, 0);
    }
}
