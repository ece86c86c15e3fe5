//! Whether what happened is what was expected.
use fragwatch_core::{
    model::verdict::Cause,
    report::line::reproduce::{Creations, Outcome},
};
use serde_json::Value;

use crate::{cli::Expect, reproduce::tracer::Traced};

/// What happened to containers, and how the command ended.
pub(super) struct Happened {
    /// Creations in trouble.
    pub(super) creations: Creations,
    /// Causes of those that failed or had processes killed.
    pub(super) fatal: Vec<Cause>,
    /// Whether the command succeeded; `None` if there was none.
    pub(super) succeeded: Option<bool>,
}

impl Happened {
    /// From the lines of a trace.
    pub(super) fn of(traced: &Traced, succeeded: Option<bool>) -> Self {
        let mut creations = Creations { lost: traced.lost, ..Creations::default() };
        let mut fatal = Vec::new();
        let steps = traced.lines.iter().map(|relayed| &relayed.line);
        for step in steps.filter(|line| line["type"] == "creation") {
            let cause = cause(step);
            let failed = step["outcome"] == "failed";
            match step["outcome"].as_str() {
                Some("failed") => creations.failed += 1,
                Some("degraded") => creations.degraded += 1,
                Some("stalled") => creations.stalled += 1,
                _ => continue,
            }
            let killed = step["killed"] == true
                || step["oom_kills"].as_array().is_some_and(|kills| !kills.is_empty());
            if failed || killed {
                fatal.extend(cause);
            }
            creations.causes.extend(cause);
        }
        for causes in [&mut creations.causes, &mut fatal] {
            causes.sort_unstable();
            causes.dedup();
        }
        Self { creations, fatal, succeeded }
    }
}

fn cause(step: &Value) -> Option<Cause> {
    let name = step["verdict"]["cause"].as_str()?;
    Cause::ALL.iter().copied().find(|cause| cause.name() == name)
}

/// Judges. Without an expectation the command is to succeed.
pub(super) fn judge(expect: Option<Expect>, happened: &Happened) -> (Outcome, String) {
    let command = match happened.succeeded {
        Some(true) => "the command succeeded",
        Some(false) => "the command failed",
        None => "there was no command",
    };
    let succeeded = happened.succeeded != Some(false);
    let Creations { failed, degraded, stalled, .. } = happened.creations;
    let names: Vec<&str> = happened.fatal.iter().map(|cause| cause.name()).collect();
    let fatal = if names.is_empty() {
        "no creation failed".to_owned()
    } else {
        format!("creations failed, or had processes killed, for {}", names.join(", "))
    };
    let has = |cause| happened.fatal.contains(&cause);
    let as_expected = match expect {
        None => succeeded,
        Some(Expect::Ok) => succeeded && failed == 0 && happened.fatal.is_empty(),
        Some(Expect::Fail(cause)) => has(cause),
        Some(Expect::Handled(cause)) => has(cause) && succeeded,
        Some(Expect::Stall) => {
            failed == 0 && happened.fatal.is_empty() && stalled + degraded != 0 && succeeded
        }
    };
    let outcome = if as_expected { Outcome::AsExpected } else { Outcome::NotAsExpected };
    (outcome, format!("{command}, and {fatal}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reproduce::relay::Relayed;

    fn happened(steps: &[(&str, &str, bool)], succeeded: Option<bool>) -> Happened {
        let line = |(outcome, cause, kills): &(&str, &str, bool)| {
            let kills = if *kills { json!([{}]) } else { json!([]) };
            let verdict = json!({"cause": cause});
            let line = json!({"type": "creation", "outcome": outcome, "oom_kills": kills, "verdict": verdict});
            Relayed { line, text: String::new() }
        };
        Happened::of(&Traced { lines: steps.iter().map(line).collect(), lost: 0 }, succeeded)
    }

    fn outcome(expect: &str, happened: &Happened) -> Outcome {
        judge(expect.parse().ok(), happened).0
    }

    #[test]
    fn failure_for_the_cause_is_expected() {
        let failed = happened(&[("failed", "fragmentation", false)], Some(false));
        assert_eq!(outcome("fail:fragmentation", &failed), Outcome::AsExpected);
        assert_eq!(outcome("fail:exhaustion", &failed), Outcome::NotAsExpected);
        assert_eq!(outcome("handled:fragmentation", &failed), Outcome::NotAsExpected);
        assert_eq!(outcome("ok", &failed), Outcome::NotAsExpected);
        assert_eq!(judge(None, &failed).0, Outcome::NotAsExpected);
    }

    #[test]
    fn command_may_make_up_for_a_failure() {
        let handled = happened(&[("failed", "pids-limit", false)], Some(true));
        assert_eq!(outcome("fail:pids-limit", &handled), Outcome::AsExpected);
        assert_eq!(outcome("handled:pids-limit", &handled), Outcome::AsExpected);
        assert_eq!(outcome("ok", &handled), Outcome::NotAsExpected);
        assert_eq!(judge(None, &handled).0, Outcome::AsExpected);
    }

    #[test]
    fn kill_counts_and_a_fallback_does_not() {
        let killed = happened(&[("degraded", "oom-fragmentation", true)], Some(true));
        assert_eq!(outcome("fail:oom-fragmentation", &killed), Outcome::AsExpected);
        assert_eq!(outcome("ok", &killed), Outcome::NotAsExpected);
        let fallback = happened(&[("degraded", "fragmentation", false)], Some(true));
        assert_eq!(outcome("fail:fragmentation", &fallback), Outcome::NotAsExpected);
        assert_eq!(outcome("ok", &fallback), Outcome::AsExpected);
    }

    #[test]
    fn stall_is_expected() {
        let stalled = happened(&[("stalled", "fragmentation", false)], Some(true));
        assert_eq!(outcome("stall", &stalled), Outcome::AsExpected);
        assert_eq!(outcome("ok", &stalled), Outcome::AsExpected);
        assert_eq!(outcome("stall", &happened(&[], Some(true))), Outcome::NotAsExpected);
    }

    #[test]
    fn command_that_fails_for_itself_is_not_ok() {
        let failed = happened(&[], Some(false));
        assert_eq!(outcome("ok", &failed), Outcome::NotAsExpected);
        assert_eq!(judge(None, &failed).0, Outcome::NotAsExpected);
        assert_eq!(outcome("ok", &happened(&[], None)), Outcome::AsExpected);
    }
}
