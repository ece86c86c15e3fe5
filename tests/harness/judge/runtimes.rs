//! The containers that real runtimes started, as fragwatch named them and as they were.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use comfy_table::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::matrix;
use crate::vm::Run;

/// The runtimes that must be in the table.
pub const RUNTIMES: [&str; 5] = ["runc", "crun", "podman", "containerd", "docker"];
/// fragwatch's arguments: starts that go well count too.
pub const ARGS: [&str; 4] = ["trace", "--all", "--format", "json"];
const FACTS: [Fact; 5] = [Fact::Id, Fact::PodUid, Fact::Name, Fact::Namespace, Fact::Runtime];
/// fragwatch rounds its times, and so does the guest.
const ROUNDED_MS: i64 = 2;

/// The outcome of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The container runs.
    Success,
    /// Its network namespace was refused.
    Failure,
    /// It failed for another reason, which is not judged.
    Other,
}

/// A start and its container, as the guest sends it on the stream `truth`. Nothing else is started
/// between its times, which are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Truth {
    /// The runtime that started it.
    pub runtime: String,
    /// Its outcome.
    pub phase: Phase,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Its container.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The container of a start, as far as the runtime's client learns it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Identity {
    /// The container's id, or the pod sandbox's.
    pub id: Option<String>,
    /// The pod's uid; none, like the two below, without a pod.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// The name that a container without a pod was given.
    pub name: Option<String>,
}

/// A fact about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Id,
    PodUid,
    /// The pod's, or the container's that is in none.
    Name,
    Namespace,
    Runtime,
}

/// A fact in the report compared with the truth. Of several, the later variant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is no such fact, and none was reported.
    Nothing,
    /// It was not reported.
    Unknown,
    /// A candidate has it.
    Candidate,
    /// It was reported.
    Right,
    /// Another one was reported.
    Wrong,
}

/// A start with its creations in the report.
pub struct Judged {
    /// The truth.
    pub truth: Truth,
    /// Its creations: the failed ones alone if it failed.
    pub creations: Vec<Value>,
}

/// Joins the starts of a run with fragwatch's lines, by time: nothing else starts meanwhile.
pub fn judge(run: &Run) -> Result<Vec<Judged>> {
    let starts = run.stream("truth").map(|line| {
        serde_json::from_str(line)
            .with_context(|| format!("the guest sent a malformed start: {line}"))
    });
    let starts = starts.collect::<Result<Vec<Truth>>>()?;
    let lines = run.stream("fragwatch-out").map(|line| {
        serde_json::from_str(line).with_context(|| format!("fragwatch printed no JSON: {line}"))
    });
    Ok(join(starts, lines.collect::<Result<_>>()?))
}

fn join(starts: Vec<Truth>, lines: Vec<Value>) -> Vec<Judged> {
    let creations = completed(lines);
    let judged = |truth: Truth| {
        let creations = creations.iter().filter(|creation| truth.is_about(creation)).cloned();
        Judged { creations: creations.collect(), truth }
    };
    starts.into_iter().filter(|truth| truth.phase != Phase::Other).map(judged).collect()
}

/// The creations, each with the container of the last line about it.
fn completed(lines: Vec<Value>) -> Vec<Value> {
    let mut creations: Vec<Value> = Vec::new();
    for mut line in lines {
        if line["type"] == "creation" {
            creations.push(line);
        } else if line["type"] == "container" {
            let creation = creations.iter_mut().rfind(|one| one["id"] == line["creation"]);
            if let Some(creation) = creation {
                creation["container"] = line["container"].take();
                creation["candidates"] = line["candidates"].take();
            }
        }
    }
    creations
}

impl Truth {
    fn is_about(&self, creation: &Value) -> bool {
        let ended = creation["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let within = self.began_ms - ROUNDED_MS..=self.ended_ms + ROUNDED_MS;
        ended.is_some_and(|ended| within.contains(&ended.as_millisecond()))
            && (self.phase == Phase::Success || creation["outcome"] == "failed")
    }

    fn fact(&self, fact: Fact) -> Option<&str> {
        match fact {
            Fact::Id => self.identity.id.as_deref(),
            Fact::PodUid => self.identity.pod_uid.as_deref(),
            Fact::Name => self.identity.pod.as_deref().or(self.identity.name.as_deref()),
            Fact::Namespace => self.identity.namespace.as_deref(),
            Fact::Runtime => Some(&self.runtime),
        }
    }
}

impl Fact {
    fn title(self) -> &'static str {
        match self {
            Self::Id => "container id",
            Self::PodUid => "pod uid",
            Self::Name => "name",
            Self::Namespace => "namespace",
            Self::Runtime => "runtime",
        }
    }

    /// Its value in a container or a candidate.
    fn reported<'a>(self, of: &'a Value, truth: &Truth) -> Option<&'a str> {
        let value = match self {
            Self::Id => &of["id"],
            Self::PodUid => &of["pod_uid"],
            Self::Name if truth.identity.pod.is_some() || !of["pod"].is_null() => &of["pod"],
            Self::Name => &of["name"],
            Self::Namespace => &of["namespace"],
            Self::Runtime => &of["runtime"],
        };
        value.as_str()
    }

    fn verdict(self, creation: &Value, truth: &Truth) -> Verdict {
        let is = truth.fact(self);
        match (self.reported(&creation["container"], truth), is) {
            // A start that failed early leaves its starter without the id that fragwatch saw.
            (_, None) if self == Self::Id => Verdict::Nothing,
            (None, None) => Verdict::Nothing,
            (Some(value), _) if Some(value) == is => Verdict::Right,
            (Some(_), _) => Verdict::Wrong,
            (None, Some(_)) => {
                let candidates = creation["candidates"].as_array().map_or(&[][..], Vec::as_slice);
                let has = |candidate: &Value| self.reported(candidate, truth) == is;
                if candidates.iter().any(has) { Verdict::Candidate } else { Verdict::Unknown }
            }
        }
    }
}

impl Judged {
    /// One verdict for each fact. A start has several creations, and one with the fact suffices.
    fn verdicts(&self) -> [Verdict; FACTS.len()] {
        FACTS.map(|fact| {
            let verdicts = self.creations.iter().map(|one| fact.verdict(one, &self.truth));
            verdicts.max().unwrap_or(Verdict::Unknown)
        })
    }

    /// The wrong facts, in sentences.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let truth = &self.truth;
        let all = self.creations.iter().flat_map(|one| FACTS.map(|fact| (one, fact)));
        all.filter(|(one, fact)| fact.verdict(one, truth) == Verdict::Wrong)
            .map(|(one, fact)| {
                let reported = fact.reported(&one["container"], truth).unwrap_or_default();
                let (what, is) = (fact.title(), truth.fact(fact).unwrap_or("nothing"));
                format!("{}: the {what} is {is}, and fragwatch reports {reported}", truth.runtime)
            })
            .collect()
    }
}

/// Everything that is wrong with a run, in sentences.
#[must_use]
pub fn problems(judged: &[Judged]) -> Vec<String> {
    let mut problems: Vec<String> = judged.iter().flat_map(Judged::wrong).collect();
    for runtime in RUNTIMES {
        for phase in [Phase::Success, Phase::Failure] {
            let is_reported = |one: &Judged| {
                one.truth.runtime == runtime
                    && one.truth.phase == phase
                    && !one.creations.is_empty()
            };
            if !judged.iter().any(is_reported) {
                problems.push(format!("{runtime}: fragwatch reported no {}", phase.name()));
            }
        }
    }
    problems
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Other => "other",
        }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "–",
            Self::Unknown => "unknown",
            Self::Candidate => "candidate",
            Self::Right => "right",
            Self::Wrong => "WRONG",
        }
    }
}

/// A row for each runtime and outcome. Where its starts differ, a cell counts them.
#[must_use]
pub fn table(judged: &[Judged]) -> Table {
    let mut table = matrix::table();
    table.set_header(["runtime", "start", "reported"].into_iter().chain(FACTS.map(Fact::title)));
    for runtime in RUNTIMES {
        for phase in [Phase::Success, Phase::Failure] {
            let belongs = |one: &&Judged| one.truth.runtime == runtime && one.truth.phase == phase;
            let starts: Vec<&Judged> = judged.iter().filter(belongs).collect();
            let reported = starts.iter().filter(|one| !one.creations.is_empty()).count();
            let head = [
                runtime.to_owned(),
                phase.name().to_owned(),
                format!("{reported} of {}", starts.len()),
            ];
            let verdicts: Vec<_> = starts.iter().map(|one| one.verdicts()).collect();
            let cells = (0..FACTS.len()).map(|fact| cell(verdicts.iter().map(|of| of[fact])));
            table.add_row(head.into_iter().chain(cells));
        }
    }
    table
}

/// The one verdict, or how often there was each.
fn cell(verdicts: impl Iterator<Item = Verdict>) -> String {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    verdicts.for_each(|verdict| *counts.entry(verdict).or_default() += 1);
    let alone = counts.len() == 1;
    let shown = counts.iter().rev().map(|(verdict, count)| {
        if alone { verdict.name().to_owned() } else { format!("{} {count}", verdict.name()) }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
