//! One run of a scenario with fragwatch's JSON taken apart.

use std::ops::Deref;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::setup::kernel;
use xtask::vm::{self, Cgroups, Request, Run};

/// A scenario that is booted when the first test asks for it.
pub(crate) struct Scenario {
    name: &'static str,
    results: &'static str,
    args: &'static [&'static str],
    append: &'static str,
    kernel: &'static str,
    cgroups: Option<Cgroups>,
    capabilities: Option<&'static str>,
    containers: Option<u32>,
    observed: OnceLock<Result<Observed, String>>,
}

impl Scenario {
    /// `results` is the directory of its results, `args` are fragwatch's.
    pub(crate) const fn new(
        name: &'static str,
        results: &'static str,
        args: &'static [&'static str],
    ) -> Self {
        let observed = OnceLock::new();
        let (kernel, cgroups) = (kernel::DEFAULT, None);
        let (capabilities, containers) = (None, None);
        let append = "";
        Self { name, results, args, append, kernel, cgroups, capabilities, containers, observed }
    }

    /// fragwatch runs as an unprivileged user with these alone.
    pub(crate) const fn with_capabilities(mut self, capabilities: &'static str) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Each runtime starts so many containers while the node is well.
    pub(crate) const fn with_containers(mut self, containers: u32) -> Self {
        self.containers = Some(containers);
        self
    }

    /// With more on the kernel's command line.
    pub(crate) const fn append(mut self, append: &'static str) -> Self {
        self.append = append;
        self
    }

    /// On another kernel; its results lie in a directory of that kernel's.
    pub(crate) const fn on(mut self, kernel: &'static str) -> Self {
        self.kernel = kernel;
        self
    }

    /// On a node with v1 cgroups.
    pub(crate) const fn with_v1_cgroups(mut self) -> Self {
        self.cgroups = Some(Cgroups::V1);
        self
    }
}

impl Deref for Scenario {
    type Target = Observed;

    /// Every test of a scenario that could not be run fails with the same words.
    fn deref(&self) -> &Observed {
        let run = || Observed::run(self).map_err(|error| format!("{error:#}"));
        self.observed.get_or_init(run).as_ref().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What came out of a run.
pub(crate) struct Observed {
    pub(crate) run: Run,
    pub(crate) json: Vec<Value>,
}

impl Observed {
    fn run(scenario: &Scenario) -> Result<Self> {
        let mut request = Request::new(scenario.kernel, scenario.name);
        if let Some(cgroups) = scenario.cgroups {
            request.cgroups = cgroups;
        }
        request.args = scenario.args.iter().map(|arg| (*arg).to_owned()).collect();
        request.append = format!("{} {}", request.append, scenario.append);
        scenario.results.clone_into(&mut request.results);
        request.capabilities = scenario.capabilities.map(str::to_owned);
        request.containers = scenario.containers.unwrap_or(request.containers);
        let run = vm::run(&request, &mut |_| {})?;
        let parse = |line: &str| {
            serde_json::from_str(line).with_context(|| format!("fragwatch printed no JSON: {line}"))
        };
        let json = run.stream("fragwatch-out").map(parse).collect::<Result<_>>()?;
        Ok(Self { run, json })
    }

    /// The first line, which must say what is attached.
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

    /// The container of a creation, as it was told last: a name may come later than the creation's line.
    pub(crate) fn container_of(&self, creation: &Value) -> &Value {
        let of_it =
            |line: &&Value| line["type"] == "container" && line["creation"] == creation["id"];
        let own = |line: &&Value| line["type"] == "creation" && line["id"] == creation["id"];
        let told = self.json.iter().rfind(of_it).or_else(|| self.json.iter().find(own));
        &told.expect("the creation is one of this run's")["container"]
    }

    /// All creations that ended so.
    pub(crate) fn creations_that(&self, outcome: &str) -> Vec<&Value> {
        let mut creations = self.creations();
        creations.retain(|creation| creation["outcome"] == outcome);
        creations
    }

    /// The ids of the containers about which the node said this (`started`, `failed`), in order.
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

    /// fragwatch ended well and saw every event.
    pub(crate) fn assert_complete(&self) {
        let errors: Vec<&str> = self.run.stream("fragwatch-err").collect();
        assert_eq!(self.run.exit_code, 0, "fragwatch failed; its stderr: {errors:#?}");
        assert_eq!(self.summary()["lost"], 0, "{}", self.summary());
    }
}

/// Whether a hook's programs are called from a trampoline rather than from a probe.
pub(crate) fn via_trampoline(hook: &Value) -> bool {
    let via = hook["via"].as_str().unwrap_or_default();
    via.starts_with("fentry") || via.starts_with("fexit")
}
