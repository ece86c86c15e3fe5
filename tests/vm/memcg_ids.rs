//! A container whose cgroup can't be made because all ids of memory cgroups are in use.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        causes::plan("memcg-ids", facts![cgroup_is_refused_with_ebusy])
            .on(Kernels::SlowDefaultOnly),
    ]
}

fn cgroup_is_refused_with_ebusy(run: &Observed) {
    for refused in causes::faulty(run, "mkdir") {
        assert_eq!(refused["step"], "cgroup", "{refused}");
        assert_eq!(refused["cgroup_refused"]["errno"], "EBUSY", "{refused}");
    }
}
