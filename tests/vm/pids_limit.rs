//! A pod that is full of processes is reported with its own cause, and never as a lack of memory.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("pids-limit", facts![full_cgroup_is_named])]
}

fn full_cgroup_is_named(run: &Observed) {
    for creation in causes::faulty(run, "fork") {
        assert_eq!(creation["errno"], "EAGAIN", "{creation}");
        assert_eq!(creation["step"], "fork", "{creation}");
        let refused = &creation["fork_refused"];
        assert_eq!(refused["limit"], 1, "{creation}");
        let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
        let pod = refused["cgroup"].as_str().expect("the full cgroup is named");
        assert!(path.strip_prefix(pod).is_some_and(|rest| rest.starts_with('/')), "{creation}");
    }
}
