//! The DaemonSet's pod under containerd, with its own securityContext, mounts and limits: it names a pod that
//! fails beside it.

use serde_json::Value;

use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        pod_gets_ready_with_all_hooks,
        pod_that_fails_beside_it_is_named,
        memory_is_far_below_its_limit,
    ];
    vec![Plan::new("daemonset", &["serve"]).on(Kernels::SlowDefaultOnly).facts(facts)]
}

/// What the guest sent of a step.
fn step(run: &Observed, name: &str) -> Value {
    let mut steps = run
        .run
        .stream("daemonset")
        .map(|line| serde_json::from_str::<Value>(line).expect("the guest sends JSON"));
    let step = steps.find(|step| step["step"] == name);
    step.unwrap_or_else(|| panic!("the guest sent nothing of `{name}`"))["value"].clone()
}

fn pod_gets_ready_with_all_hooks(run: &Observed) {
    assert_eq!(step(run, "healthy"), true);
    let before = step(run, "before");
    let hooks = before["doctor"]["hooks"].as_array().expect("hooks are listed");
    assert!(hooks.len() > 10 && hooks.iter().all(|hook| hook["via"].is_string()), "{hooks:#?}");
    assert_eq!(before["failed"], 0, "{before:#}");
}

fn pod_that_fails_beside_it_is_named(run: &Observed) {
    let pod = step(run, "failed")["identity"]["pod"].clone();
    let pod = pod.as_str().expect("each sandbox has a pod");
    let failure = step(run, "after")["failures"][0].clone();
    assert_eq!(failure["cause"], "fragmentation", "{failure:#}");
    let named = ["summary", "container"]
        .iter()
        .any(|field| failure[*field].as_str().is_some_and(|text| text.contains(pod)));
    assert!(named, "{pod} is not in {failure:#}");
}

fn memory_is_far_below_its_limit(run: &Observed) {
    let metrics = step(run, "metrics");
    let metrics = metrics.as_str().expect("it is a text");
    let resident = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes ")?.parse::<f64>().ok());
    assert!(resident.is_some_and(|bytes| bytes < 32.0 * 1024.0 * 1024.0), "{resident:?}");
}
