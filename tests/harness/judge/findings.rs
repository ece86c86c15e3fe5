//! What fragwatch reported of one run of scenario order6, and what is missing or wrong in it.

use serde_json::Value;

use crate::vm::Run;

/// The facts of one run, as the tables show them; `None` where fragwatch reported none.
#[derive(Debug, Default)]
pub struct Findings {
    /// What `uname -r` prints.
    pub release: String,
    /// All logical hooks.
    pub hooks: Vec<Hook>,
    /// Order of the allocation that the creation died of.
    pub order: Option<String>,
    /// Names of its flags.
    pub gfp: Option<String>,
    /// What the creation came back with.
    pub errno: Option<String>,
    /// The function that made the allocation.
    pub site: Option<String>,
    /// Node and name of the zone that should have had it.
    pub zone: Option<String>,
    /// The cause.
    pub verdict: Option<String>,
    /// Events that were lost.
    pub lost: Option<String>,
    /// All deviations from the expected report, in sentences.
    pub problems: Vec<String>,
}

/// One logical hook.
#[derive(Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// What it is attached to.
    pub via: Option<String>,
    /// `attached`, `fallback` or `missing`.
    pub state: String,
    /// Why it isn't on the function that it is named after.
    pub why: Option<String>,
}

impl Hook {
    /// Whether it is attached, by any candidate.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        ["attached", "fallback"].contains(&self.state.as_str()) && self.via.is_some()
    }

    /// Its cell in a table: what it is attached to, and its state unless that is `attached`.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.via {
            Some(via) if self.state == "attached" => via.clone(),
            Some(via) => format!("{via} ({})", self.state),
            None => self.state.clone(),
        }
    }
}

/// Reads what fragwatch printed with `--format json`.
#[must_use]
pub fn judge(run: &Run) -> Findings {
    let lines: Vec<Value> =
        run.stream("fragwatch-out").filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut findings = judge_lines(&lines);
    if run.exit_code != 0 {
        findings.problems.push(format!("fragwatch ended with exit code {}", run.exit_code));
    }
    findings
}

fn judge_lines(lines: &[Value]) -> Findings {
    let last = |kind: &str| lines.iter().rev().find(|line| line["type"] == kind);
    let ready = last("ready").unwrap_or(&Value::Null);
    let summary = last("summary").unwrap_or(&Value::Null);
    let creation = lines
        .iter()
        .rev()
        .find(|line| line["type"] == "creation" && line["outcome"] == "failed")
        .unwrap_or(&Value::Null);
    // The last one that failed is what the creation died of; others it survived.
    let allocations = creation["allocations"].as_array();
    let failed = allocations.and_then(|all| all.iter().rfind(|one| one["outcome"] == "failed"));
    let failed = failed.unwrap_or(&Value::Null);
    let zone = &failed["zone"];
    let mut findings = Findings {
        release: text(&ready["kernel"]).unwrap_or_default(),
        hooks: ready["hooks"]
            .as_array()
            .map(|all| all.iter().map(hook).collect())
            .unwrap_or_default(),
        order: number(&failed["order"]),
        gfp: text(&failed["gfp"]["flags"]),
        errno: text(&creation["errno"]),
        site: text(&failed["site"]),
        zone: number(&zone["node"])
            .zip(text(&zone["name"]))
            .map(|(node, name)| format!("{name} of node {node}")),
        verdict: text(&creation["verdict"]["cause"]),
        lost: number(&summary["lost"]),
        problems: Vec::new(),
    };
    findings.problems = problems(&findings);
    findings
}

/// What the scenario demands: order 6, ENOMEM, fragmentation, nothing missing and nothing lost.
fn problems(found: &Findings) -> Vec<String> {
    let mut problems = Vec::new();
    if found.hooks.is_empty() {
        problems.push("fragwatch reported no hooks".to_owned());
    }
    for hook in found.hooks.iter().filter(|hook| !hook.is_attached()) {
        let why = hook.why.as_deref().unwrap_or("no reason reported");
        problems.push(format!("hook {} is {}: {why}", hook.name, hook.state));
    }
    let expected = [
        ("order", &found.order, Some("6")),
        ("gfp names", &found.gfp, None),
        ("errno", &found.errno, Some("ENOMEM")),
        ("site", &found.site, Some("fw_pernet_init")),
        ("zone", &found.zone, None),
        ("verdict", &found.verdict, Some("fragmentation")),
        ("count of lost events", &found.lost, Some("0")),
    ];
    for (name, fact, wanted) in expected {
        match (fact, wanted) {
            (None, _) => problems.push(format!("fragwatch reported no {name}")),
            (Some(found), Some(wanted)) if found != wanted => {
                problems.push(format!("the {name} is {found}, not {wanted}"));
            }
            _ => {}
        }
    }
    problems
}

fn hook(value: &Value) -> Hook {
    Hook {
        name: text(&value["name"]).unwrap_or_default(),
        via: text(&value["via"]),
        state: text(&value["state"]).unwrap_or_default(),
        why: text(&value["why"]),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<String> {
    value.as_u64().map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::judge_lines;

    fn good() -> Vec<Value> {
        vec![
            json!({"type": "ready", "kernel": "6.1.0", "hooks": [
                {"name": "reclaim", "via": "fexit:try_to_free_pages", "state": "attached"},
                {"name": "slow_path", "via": "kprobe:wake_all_kswapds", "state": "fallback"},
            ]}),
            json!({"type": "creation", "outcome": "failed", "errno": "ENOMEM",
                "allocations": [
                    {"order": 3, "outcome": "failed", "site": "ipv4_sysctl_init_net"},
                    {"order": 6, "outcome": "failed", "site": "fw_pernet_init",
                     "gfp": {"raw": "0xcc0", "flags": "GFP_KERNEL"},
                     "zone": {"node": 0, "name": "DMA32"}},
                    {"order": 2, "outcome": "fell-back"},
                ],
                "verdict": {"cause": "fragmentation"}}),
            json!({"type": "summary", "lost": 0}),
        ]
    }

    #[test]
    fn complete_run_has_no_problem() {
        let found = judge_lines(&good());
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!(found.zone.as_deref(), Some("DMA32 of node 0"));
        assert_eq!(found.hooks[1].shown(), "kprobe:wake_all_kswapds (fallback)");
    }

    #[track_caller]
    fn one_problem(change: impl FnOnce(&mut Vec<Value>)) -> String {
        let mut lines = good();
        change(&mut lines);
        let problems = judge_lines(&lines).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    #[test]
    fn each_missing_fact_is_a_problem() {
        let missing = one_problem(|lines| {
            lines[0]["hooks"][0] =
                json!({"name": "reclaim", "via": null, "state": "missing", "why": "gone"});
        });
        assert_eq!(missing, "hook reclaim is missing: gone");
        let no_names =
            one_problem(|lines| lines[1]["allocations"][1]["gfp"]["flags"] = Value::Null);
        assert_eq!(no_names, "fragwatch reported no gfp names");
        let lost = one_problem(|lines| lines[2]["lost"] = json!(3));
        assert_eq!(lost, "the count of lost events is 3, not 0");
        let no_zone = one_problem(|lines| lines[1]["allocations"][1]["zone"] = Value::Null);
        assert_eq!(no_zone, "fragwatch reported no zone");
        let undetermined =
            one_problem(|lines| lines[1]["verdict"]["cause"] = json!("undetermined"));
        assert_eq!(undetermined, "the verdict is undetermined, not fragmentation");
    }

    #[test]
    fn empty_report_has_every_problem() {
        assert_eq!(judge_lines(&[]).problems.len(), 8);
    }
}
