//! A creation that the OOM killer ends together with the process that it chose (`memory.oom.group`) was killed,
//! and the limit is the cause.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![creation_is_killed_for_the_pods_limit];
    vec![causes::plan("oom-group", facts).on(Kernels::EverySlow)]
}

fn creation_is_killed_for_the_pods_limit(run: &Observed) {
    for creation in causes::faulty(run, "group") {
        assert_eq!(creation["errno"], "EINTR", "{creation}");
        assert_eq!(creation["killed"], true, "{creation}");
        let kill = &creation["oom_kills"][0];
        assert_ne!(kill["pid"], creation["pid"], "another was chosen: {creation}");
        let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
        let pod = kill["memcg"].as_str().expect("the full cgroup is named");
        assert!(path.starts_with(pod), "{creation}");
    }
}
