//! What is run and what must hold of it: a scenario with fragwatch's arguments, the kernels, and the
//! facts, each of which becomes a test.

use harness::job::Cgroups;
use harness::kernel::{DEFAULT, SERIES, Series};
use harness::scenario;
use harness::vm::Request;

use crate::observed::Observed;

/// A scenario, how it is run, and what must hold of the report.
pub(crate) struct Plan {
    scenario: &'static str,
    results: &'static str,
    args: &'static [&'static str],
    append: &'static str,
    cgroups: Cgroups,
    capabilities: Option<&'static str>,
    bare: bool,
    alone: bool,
    kernels: Kernels,
    /// Each with the kernels on which it must hold.
    facts: Vec<(Condition, Fact)>,
}

/// A name, and a function that panics if the fact doesn't hold.
pub(crate) type Fact = (&'static str, fn(&Observed));

/// When a plan runs on a kernel, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// Each time.
    Normal,
    /// With `cargo xtask test --slow` only.
    Slow,
}

/// The kernels of a plan. Those on which its scenario can't happen are left out anyway.
#[derive(Clone, Copy)]
pub(crate) enum Kernels {
    /// Every kernel, each time.
    Every,
    /// Every kernel, in the slow suite.
    EverySlow,
    /// The default kernel each time, the others in the slow suite.
    DefaultFirst,
    /// The default kernel alone.
    DefaultOnly,
    /// The default kernel alone, in the slow suite.
    SlowDefaultOnly,
    /// The oldest kernel each time, the others in the slow suite.
    OldestFirst,
    /// The oldest kernel alone.
    OldestOnly,
    /// The oldest and the default kernel, each time.
    OldestAndDefault,
}

impl Kernels {
    /// The suite in which a kernel's turn comes; none if the plan doesn't run on it.
    fn suite(self, series: &Series) -> Option<Suite> {
        let (default, oldest) = (is_default(series), is_oldest(series));
        let first = |first| if first { Suite::Normal } else { Suite::Slow };
        match self {
            Self::Every => Some(Suite::Normal),
            Self::EverySlow => Some(Suite::Slow),
            Self::DefaultFirst => Some(first(default)),
            Self::DefaultOnly => default.then_some(Suite::Normal),
            Self::SlowDefaultOnly => default.then_some(Suite::Slow),
            Self::OldestFirst => Some(first(oldest)),
            Self::OldestOnly => oldest.then_some(Suite::Normal),
            Self::OldestAndDefault => (oldest || default).then_some(Suite::Normal),
        }
    }
}

/// Whether a fact must hold on a kernel.
type Condition = fn(&Series) -> bool;

/// Whether it is the default kernel.
pub(crate) fn is_default(series: &Series) -> bool {
    series.name == DEFAULT
}

pub(crate) fn is_oldest(series: &Series) -> bool {
    SERIES.first().is_some_and(|oldest| oldest.name == series.name)
}

/// Facts with their functions' names: `facts![is_reported, causes::is_named]`.
macro_rules! facts {
    ($($fact:expr),* $(,)?) => {
        vec![$((stringify!($fact), $fact as fn(&$crate::observed::Observed))),*]
    };
}
pub(crate) use facts;

impl Plan {
    /// A scenario with fragwatch's arguments; the default kernel alone and no facts yet.
    pub(crate) fn new(scenario: &'static str, args: &'static [&'static str]) -> Self {
        let cgroups = scenario::find(scenario).map_or(Cgroups::V2, |known| known.cgroups);
        Self {
            scenario,
            results: scenario,
            args,
            append: "",
            cgroups,
            capabilities: None,
            bare: false,
            alone: false,
            kernels: Kernels::DefaultOnly,
            facts: Vec::new(),
        }
    }

    /// With another name for its tests and its directory of results: of plans of the same scenario
    /// only one can have the scenario's.
    pub(crate) fn named(mut self, results: &'static str) -> Self {
        self.results = results;
        self
    }

    /// On these kernels.
    pub(crate) fn on(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// What must hold.
    pub(crate) fn facts(self, facts: Vec<Fact>) -> Self {
        self.facts_on(|_| true, facts)
    }

    /// What must hold on some of the kernels.
    pub(crate) fn facts_on(mut self, kernels: Condition, facts: Vec<Fact>) -> Self {
        self.facts.extend(facts.into_iter().map(|fact| (kernels, fact)));
        self
    }

    /// With fragwatch as an unprivileged user with these capabilities alone.
    pub(crate) fn with_capabilities(mut self, capabilities: &'static str) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// On a root without libraries.
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// With more on the kernel's command line.
    pub(crate) fn append(mut self, append: &'static str) -> Self {
        self.append = append;
        self
    }

    /// On a node with v1 cgroups.
    pub(crate) fn with_v1_cgroups(mut self) -> Self {
        self.cgroups = Cgroups::V1;
        self
    }

    /// Without another machine beside it. Say why where it is called: it takes twice the time.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The boots that it takes.
    pub(crate) fn boots(&self) -> Vec<Boot> {
        let scenario = scenario::find(self.scenario).ok();
        let can_run =
            |series: &&Series| scenario.is_none_or(|known| known.can_run(series, self.cgroups));
        let kernels = SERIES.iter().filter(can_run);
        kernels
            .filter_map(|series| {
                Some(Boot {
                    suite: self.kernels.suite(series)?,
                    name: format!("{}::{}", self.results, series.name),
                    alone: self.alone,
                    request: self.request(series),
                    facts: self.facts_of(series),
                })
            })
            .collect()
    }

    fn facts_of(&self, series: &Series) -> Vec<Fact> {
        let facts = self.facts.iter().filter(|(holds_on, _)| holds_on(series));
        facts.map(|(_, fact)| *fact).collect()
    }

    fn request(&self, series: &Series) -> Request {
        let mut request = Request::new(series.name, self.scenario);
        request.args = self.args.iter().map(|arg| (*arg).to_owned()).collect();
        request.append = format!("{} {}", request.append, self.append);
        request.cgroups = self.cgroups;
        request.capabilities = self.capabilities.map(str::to_owned);
        request.bare = self.bare;
        self.results.clone_into(&mut request.results);
        request
    }
}

/// One machine, and the facts that must hold of its run.
pub(crate) struct Boot {
    pub(crate) suite: Suite,
    /// Plan and kernel, as the tests are called.
    pub(crate) name: String,
    /// No other machine runs beside it.
    pub(crate) alone: bool,
    pub(crate) request: Request,
    pub(crate) facts: Vec<Fact>,
}
