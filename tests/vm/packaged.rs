//! The Debian package as its users have it: a service of systemd, from installation to purge.

use serde_json::Value;

use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        installed_package_runs_as_an_unprivileged_service,
        exposure_is_low,
        failure_is_counted,
        watchdog_restarts_a_stopped_service,
        configuration_is_taken_by_a_restart,
        purge_leaves_nothing_but_the_store,
    ];
    vec![Plan::new("packaged", &["serve"]).on(Kernels::SlowDefaultOnly).facts(facts)]
}

/// What the guest sent of a step.
fn step(run: &Observed, name: &str) -> Value {
    let mut steps = run
        .run
        .stream("package")
        .map(|line| serde_json::from_str::<Value>(line).expect("the guest sends JSON"));
    let step = steps.find(|step| step["step"] == name);
    step.unwrap_or_else(|| panic!("the guest sent nothing of `{name}`"))["value"].clone()
}

fn installed_package_runs_as_an_unprivileged_service(run: &Observed) {
    let unit = step(run, "unit");
    assert_eq!(unit["ActiveState"], "active", "{unit}");
    assert_eq!(unit["User"], "fragwatch", "{unit}");
    assert_eq!(unit["NRestarts"], "0", "{unit}");
    assert_ne!(unit["StatusText"], "", "{unit}");
}

fn exposure_is_low(run: &Observed) {
    let text = step(run, "exposure");
    let text = text.as_str().expect("it is a text");
    let level = text.lines().find_map(|line| line.split_once("exposure level for "));
    let (_, level) = level.unwrap_or_else(|| panic!("no level in {text}"));
    let level: f64 = level
        .split(' ')
        .find_map(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no number in {level}"));
    assert!(level < 3.0, "{text}");
}

fn failure_is_counted(run: &Observed) {
    let metrics = step(run, "metrics");
    let metrics = metrics.as_str().expect("it is a text");
    let counted = metrics.lines().any(|line| {
        line.starts_with("fragwatch_creation_failures_total{")
            && line.contains("namespace-limit")
            && line.trim_end().ends_with(" 1")
    });
    assert!(counted, "{metrics}");
}

fn watchdog_restarts_a_stopped_service(run: &Observed) {
    let unit = step(run, "after the watchdog");
    assert_eq!(unit["NRestarts"], "1", "{unit}");
    assert_eq!(unit["ActiveState"], "active", "{unit}");
}

fn configuration_is_taken_by_a_restart(run: &Observed) {
    assert_eq!(step(run, "configured")["ActiveState"], "active");
}

fn purge_leaves_nothing_but_the_store(run: &Observed) {
    // dpkg's and systemd's own notes of what was once installed are theirs.
    let own = ["/var/lib/fragwatch", "/var/lib/dpkg", "/var/lib/systemd", "/var/log", "/var/cache"];
    let left = step(run, "left");
    let left: Vec<&str> = left
        .as_array()
        .expect("it is a list")
        .iter()
        .filter_map(Value::as_str)
        .filter(|path| !own.iter().any(|own| path.starts_with(own)))
        // The account of the store's owner, and the files that were there before the change.
        .filter(|path| !path.starts_with("/etc/") || !path.ends_with('-'))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}
