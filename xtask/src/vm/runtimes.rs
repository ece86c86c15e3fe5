//! What fragwatch said of the containers that real runtimes started, beside the truth.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Run;

/// The runtimes that must be in the table.
pub const RUNTIMES: [&str; 5] = ["runc", "crun", "podman", "containerd", "docker"];
/// What fragwatch is called with for it: starts that go well count too.
pub const ARGS: [&str; 4] = ["trace", "--all", "--format", "json"];
const FACTS: [Fact; 5] = [Fact::Id, Fact::PodUid, Fact::Name, Fact::Namespace, Fact::Runtime];
/// fragwatch rounds its times, and so does the guest.
const ROUNDED_MS: i64 = 2;

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The container runs.
    Success,
    /// Its network namespace was refused.
    Failure,
    /// It failed of something else, which is not judged.
    Mishap,
}

/// A start, and whom it was for. Its times are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub struct Truth {
    /// Who started it.
    pub runtime: String,
    /// How it ended.
    pub phase: Phase,
    began_ms: i64,
    ended_ms: i64,
    /// The container's id, if its starter came to know it.
    pub id: Option<String>,
    /// The pod's uid, if it is in one, as all that follows.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// The name that a container without a pod was given.
    pub name: Option<String>,
}

/// What fragwatch may say of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Id,
    PodUid,
    /// The pod's, or the container's that is in none.
    Name,
    Namespace,
    Runtime,
}

/// How something that fragwatch said fits the truth. Of several, the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is nothing to say, and nothing was said.
    Nothing,
    /// It was not said.
    Unknown,
    /// It is among what was said to be possible.
    Candidate,
    /// It was said.
    Right,
    /// Something else was said.
    Wrong,
}

/// A start with what fragwatch said of it.
pub struct Judged {
    /// The truth.
    pub truth: Truth,
    /// The creations that were told of it: the failed ones alone if it failed.
    pub creations: Vec<Value>,
}

/// Prints the table of a run, and what is wrong with it: then the exit code is 1.
pub fn report(run: &Run) -> Result<ExitCode> {
    let judged = judge(run)?;
    // A reader that went away doesn't change the outcome.
    let _ = writeln!(io::stdout(), "{}", table(&judged));
    let problems = problems(&judged);
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// Joins the starts of a run with fragwatch's lines, by time: nothing else starts meanwhile.
pub fn judge(run: &Run) -> Result<Vec<Judged>> {
    let starts = run.stream("truth").map(|line| {
        serde_json::from_str(line).with_context(|| format!("the guest's truth is none: {line}"))
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
        let creations = creations.iter().filter(|creation| truth.is_told_by(creation)).cloned();
        Judged { creations: creations.collect(), truth }
    };
    starts.into_iter().filter(|truth| truth.phase != Phase::Mishap).map(judged).collect()
}

/// The creations, each with the last that was said of its container.
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
    fn is_told_by(&self, creation: &Value) -> bool {
        let ended = creation["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let within = self.began_ms - ROUNDED_MS..=self.ended_ms + ROUNDED_MS;
        ended.is_some_and(|ended| within.contains(&ended.as_millisecond()))
            && (self.phase == Phase::Success || creation["outcome"] == "failed")
    }

    fn fact(&self, fact: Fact) -> Option<&str> {
        match fact {
            Fact::Id => self.id.as_deref(),
            Fact::PodUid => self.pod_uid.as_deref(),
            Fact::Name => self.pod.as_deref().or(self.name.as_deref()),
            Fact::Namespace => self.namespace.as_deref(),
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

    /// What a container or a candidate says of it.
    fn said<'a>(self, of: &'a Value, truth: &Truth) -> Option<&'a str> {
        let said = match self {
            Self::Id => &of["id"],
            Self::PodUid => &of["pod_uid"],
            Self::Name if truth.pod.is_some() || !of["pod"].is_null() => &of["pod"],
            Self::Name => &of["name"],
            Self::Namespace => &of["namespace"],
            Self::Runtime => &of["runtime"],
        };
        said.as_str()
    }

    fn verdict(self, creation: &Value, truth: &Truth) -> Verdict {
        let is = truth.fact(self);
        match (self.said(&creation["container"], truth), is) {
            // A start that failed early leaves its starter without the id that fragwatch saw.
            (_, None) if self == Self::Id => Verdict::Nothing,
            (None, None) => Verdict::Nothing,
            (Some(said), _) if Some(said) == is => Verdict::Right,
            (Some(_), _) => Verdict::Wrong,
            (None, Some(_)) => {
                let candidates = creation["candidates"].as_array().map_or(&[][..], Vec::as_slice);
                let has = |candidate: &Value| self.said(candidate, truth) == is;
                if candidates.iter().any(has) { Verdict::Candidate } else { Verdict::Unknown }
            }
        }
    }
}

impl Judged {
    /// One verdict for each fact. A start has several creations, and one that tells suffices.
    fn verdicts(&self) -> [Verdict; FACTS.len()] {
        FACTS.map(|fact| {
            let verdicts = self.creations.iter().map(|told| fact.verdict(told, &self.truth));
            verdicts.max().unwrap_or(Verdict::Unknown)
        })
    }

    /// What fragwatch said that isn't so, in words.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let truth = &self.truth;
        let all = self.creations.iter().flat_map(|told| FACTS.map(|fact| (told, fact)));
        all.filter(|(told, fact)| fact.verdict(told, truth) == Verdict::Wrong)
            .map(|(told, fact)| {
                let said = fact.said(&told["container"], truth).unwrap_or_default();
                let (what, is) = (fact.title(), truth.fact(fact).unwrap_or("nothing"));
                format!("{}: the {what} is {is}, and fragwatch says {said}", truth.runtime)
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
            let is_told = |one: &Judged| {
                one.truth.runtime == runtime
                    && one.truth.phase == phase
                    && !one.creations.is_empty()
            };
            if !judged.iter().any(is_told) {
                problems.push(format!("{runtime}: fragwatch told no {}", phase.name()));
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
            Self::Mishap => "mishap",
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
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["started by", "start", "told"].into_iter().chain(FACTS.map(Fact::title)));
    for runtime in RUNTIMES {
        for phase in [Phase::Success, Phase::Failure] {
            let belongs = |one: &&Judged| one.truth.runtime == runtime && one.truth.phase == phase;
            let starts: Vec<&Judged> = judged.iter().filter(belongs).collect();
            let told = starts.iter().filter(|one| !one.creations.is_empty()).count();
            let head = [
                runtime.to_owned(),
                phase.name().to_owned(),
                format!("{told} of {}", starts.len()),
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
