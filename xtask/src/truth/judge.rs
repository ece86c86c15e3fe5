//! What fragwatch said of one boot of a scenario, against what the guest knows of it.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::vm::Run;

/// What the guest tells of a container that it made, or tried to.
#[derive(Debug, Deserialize)]
pub struct Told {
    /// `positive` for one that met the trouble, `twin` for one that didn't.
    pub side: String,
    /// Which of the scenario's troubles.
    pub part: String,
    /// Path of its cgroup.
    pub cgroup: String,
    /// How it failed; none if it was made.
    pub errno: Option<String>,
}

/// What fragwatch said of one creation.
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

/// What one part of a scenario came to.
#[derive(Debug, Default)]
pub struct Part {
    /// What fragwatch said of each creation that met the trouble, once for each of its lines.
    pub given: Vec<Given>,
    /// How many of these creations it said nothing of.
    pub missing: usize,
}

/// What came out of a boot.
pub struct Boot {
    told: Vec<Told>,
    lines: Vec<Value>,
}

impl Boot {
    /// Takes a run apart.
    pub fn of(run: &Run) -> Result<Self> {
        let told = run
            .stream("outcome")
            .map(|line| serde_json::from_str(line).context("the guest told an outcome that isn't"))
            .collect::<Result<_>>()?;
        let lines = run
            .stream("fragwatch-out")
            .map(|line| serde_json::from_str(line).context("fragwatch printed no JSON"))
            .collect::<Result<_>>()?;
        Ok(Self { told, lines })
    }

    /// What was said of those that met a trouble.
    #[must_use]
    pub fn part(&self, name: &str) -> Part {
        let told = self.positives(name);
        let given: Vec<Given> =
            self.lines_of(name).into_iter().map(|line| given(&line["verdict"])).collect();
        // A trouble that nobody met was not told either.
        let missing = told.len().max(1).saturating_sub(given.len());
        Part { given, missing }
    }

    /// The lines about those that met a trouble.
    #[must_use]
    pub fn lines_of(&self, part: &str) -> Vec<&Value> {
        self.accused(&self.positives(part))
    }

    fn positives(&self, part: &str) -> Vec<&Told> {
        self.told.iter().filter(|told| told.side == "positive" && told.part == part).collect()
    }

    /// What was said of those that met none, and should not have been.
    #[must_use]
    pub fn twins(&self) -> Part {
        let told: Vec<&Told> = self.told.iter().filter(|told| told.side == "twin").collect();
        let given = self.accused(&told).into_iter().map(|line| given(&line["verdict"])).collect();
        Part { given, missing: 0 }
    }

    /// The lines that say of a creation that it failed, or had the OOM killer called.
    fn accused(&self, told: &[&Told]) -> Vec<&Value> {
        let cgroups: BTreeSet<&str> = told.iter().map(|told| told.cgroup.as_str()).collect();
        let of = |line: &&Value| {
            line["type"] == "creation" && paths(line).iter().any(|path| cgroups.contains(&**path))
        };
        let failed = |line: &&Value| {
            line["outcome"] == "failed"
                || line["oom_kills"].as_array().is_some_and(|kills| !kills.is_empty())
        };
        self.lines.iter().filter(of).filter(failed).collect()
    }
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

    fn told(side: &str, cgroup: &str) -> Told {
        let (side, cgroup) = (side.to_owned(), cgroup.to_owned());
        Told { side, part: "net".to_owned(), cgroup, errno: Some("ENOSPC".to_owned()) }
    }

    fn line(cgroup: &str, outcome: &str) -> Value {
        json!({"type": "creation", "outcome": outcome, "cgroup": {"path": cgroup}, "oom_kills": [],
            "verdict": {"cause": "namespace-limit", "confidence": "high"}})
    }

    #[test]
    fn creations_are_told_apart_by_their_cgroups() {
        let told =
            vec![told("positive", "/bad/1"), told("positive", "/bad/2"), told("twin", "/good")];
        let lines = vec![line("/bad/1", "failed"), line("/good", "ok"), line("/other", "failed")];
        let boot = Boot { told, lines };
        let part = boot.part("net");
        assert_eq!(part.given.len(), 1);
        assert_eq!(part.given[0].to_string(), "namespace-limit high");
        assert_eq!(part.missing, 1, "nothing was said of the second");
        assert_eq!(boot.twins().given, []);
    }

    #[test]
    fn an_accused_twin_is_seen() {
        let boot = Boot { told: vec![told("twin", "/good")], lines: vec![line("/good", "failed")] };
        assert_eq!(boot.twins().given.len(), 1);
        assert_eq!(boot.part("net").missing, 1, "a trouble that nobody met is none that was told");
    }

    #[test]
    fn a_refused_cgroup_counts_as_its_own() {
        let mut refused = line("/runtime", "failed");
        refused["cgroup_refused"] = json!({"parent": "/bad", "name": "1", "errno": "ENOSPC"});
        let boot = Boot { told: vec![told("positive", "/bad/1")], lines: vec![refused] };
        assert_eq!(boot.part("net").given.len(), 1);
    }

    #[test]
    fn a_call_of_the_oom_killer_counts_though_nothing_failed() {
        let mut stalled = line("/bad/1", "stalled");
        stalled["oom_kills"] = json!([{"order": 1}]);
        let boot = Boot { told: vec![told("positive", "/bad/1")], lines: vec![stalled] };
        assert_eq!(boot.part("net").missing, 0);
    }
}
