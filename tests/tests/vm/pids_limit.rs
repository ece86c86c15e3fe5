//! A pod that is full of processes is told as that, and never as a lack of memory.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!(
    "pids-limit", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2"
);

fn own(run: &Observed) {
    for creation in causes::positives(run, "fork") {
        assert_eq!(creation["errno"], "EAGAIN", "{creation}");
        assert_eq!(creation["step"], "fork", "{creation}");
        let refused = &creation["fork_refused"];
        assert_eq!(refused["limit"], 1, "{creation}");
        let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
        let pod = refused["cgroup"].as_str().expect("the full cgroup is named");
        assert!(path.strip_prefix(pod).is_some_and(|rest| rest.starts_with('/')), "{creation}");
    }
}
