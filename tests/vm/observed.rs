//! One run of a scenario with fragwatch's JSON taken apart.

use std::time::Instant;

use anyhow::{Context, Result};
use harness::vm::{self, Request, Run};
use serde_json::Value;

/// A run and fragwatch's report.
pub(crate) struct Observed {
    pub(crate) scenario: String,
    pub(crate) run: Run,
    /// Its lines; none if it was not to be JSON.
    pub(crate) json: Vec<Value>,
}

impl Observed {
    /// Boots the machine and takes its report apart.
    pub(crate) fn run(request: &Request) -> Result<Self> {
        let started = Instant::now();
        let result = vm::run(request, &mut |_| {});
        let end = if result.is_ok() { "ended" } else { "failed" };
        let (name, kernel, took) = (&request.results, &request.kernel, started.elapsed().as_secs());
        eprintln!("    {name} on {kernel} {end} after {took} s");
        let run = result?;
        let parse = |line: &str| {
            serde_json::from_str(line).with_context(|| format!("fragwatch printed no JSON: {line}"))
        };
        let is_json = request.args.iter().any(|arg| arg == "json");
        let lines = run.stream("fragwatch-out").filter(|_| is_json);
        let json = lines.map(parse).collect::<Result<_>>()?;
        Ok(Self { scenario: request.scenario.clone(), run, json })
    }

    /// The first line, which must be `ready`.
    pub(crate) fn ready(&self) -> &Value {
        let first = self.json.first().expect("fragwatch prints at least one line");
        assert_eq!(first["type"], "ready", "the first line is another: {first}");
        first
    }

    /// The hooks of the first line.
    pub(crate) fn hooks(&self) -> &Vec<Value> {
        let hooks = self.ready()["hooks"].as_array().expect("`ready` lists hooks");
        assert!(!hooks.is_empty());
        hooks
    }

    /// The last line, which must be the totals.
    pub(crate) fn summary(&self) -> &Value {
        let last = self.json.last().expect("fragwatch prints at least one line");
        assert_eq!(last["type"], "summary", "the last line is another: {last}");
        last
    }

    /// All creations.
    pub(crate) fn creations(&self) -> Vec<&Value> {
        self.json.iter().filter(|line| line["type"] == "creation").collect()
    }

    /// The container of a creation, from the last line about it: a name may come later than the creation.
    pub(crate) fn container_of(&self, creation: &Value) -> &Value {
        let of_it =
            |line: &&Value| line["type"] == "container" && line["creation"] == creation["id"];
        let own = |line: &&Value| line["type"] == "creation" && line["id"] == creation["id"];
        let line = self.json.iter().rfind(of_it).or_else(|| self.json.iter().find(own));
        &line.expect("the creation is one of this run's")["container"]
    }

    /// All creations with this outcome.
    pub(crate) fn creations_that(&self, outcome: &str) -> Vec<&Value> {
        let mut creations = self.creations();
        creations.retain(|creation| creation["outcome"] == outcome);
        creations
    }

    /// The ids of the containers that `started` or `failed`, in order.
    pub(crate) fn containers(&self, what: &str) -> Vec<&str> {
        self.run
            .stream("node")
            .filter_map(|line| {
                let mut words = line.strip_prefix("container ")?.split(' ').skip(1);
                let id = words.next()?;
                (words.next() == Some(what)).then_some(id)
            })
            .collect()
    }

    /// fragwatch ended with exit code 0 and lost no event.
    pub(crate) fn assert_complete(&self) {
        let errors: Vec<&str> = self.run.stream("fragwatch-err").collect();
        assert_eq!(self.run.exit_code, 0, "fragwatch failed; its stderr: {errors:#?}");
        assert_eq!(self.summary()["lost"], 0, "{}", self.summary());
    }
}

/// fragwatch's arguments for most scenarios.
pub(crate) const TRACE: &[&str] = &["trace", "--format", "json"];
/// The same with what is not part of a creation.
pub(crate) const TRACE_ALL: &[&str] = &["trace", "--all", "--format", "json"];
/// The same without trampolines.
pub(crate) const TRACE_ALL_WITH_KPROBES: &[&str] =
    &["trace", "--all", "--format", "json", "--attach", "kprobe"];

/// Hooks that have no other candidates than tracepoints.
const TRACEPOINTS_ONLY: [&str; 2] = ["cgroup-made", "memcg-reclaim"];

/// Some hook has a trampoline: without it a run with kprobes only would test the same again.
pub(crate) fn assert_trampolines(run: &Observed) {
    let is_trampoline = |hook: &Value| ["fentry", "fexit"].iter().any(|kind| via(hook, kind));
    assert!(run.hooks().iter().any(is_trampoline), "{:#?}", run.hooks());
}

/// Each hook is attached without a trampoline, and none fell back to tracepoints.
pub(crate) fn assert_kprobes_only(run: &Observed) {
    for hook in run.hooks() {
        let name = hook["name"].as_str().expect("a hook has a name");
        let expected = if TRACEPOINTS_ONLY.contains(&name) {
            via(hook, "raw_tracepoint:")
        } else {
            via(hook, "kprobe") || via(hook, "kretprobe")
        };
        assert!(expected, "{hook:#}");
    }
}

fn via(hook: &Value, kind: &str) -> bool {
    hook["via"].as_str().is_some_and(|via| via.starts_with(kind))
}
