//! A container whose cgroup can't be made because all ids of memory cgroups are in use.

mod slow {
    use crate::causes;
    use crate::observed::Scenario;

    static RUN: Scenario =
        Scenario::new("memcg-ids", "memcg-ids", &["trace", "--all", "--format", "json"]);

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn it_has_its_cause_and_its_twin_none() {
        causes::judge(&RUN, "memcg-ids");
        for refused in causes::positives(&RUN, "mkdir") {
            assert_eq!(refused["step"], "cgroup", "{refused}");
            assert_eq!(refused["cgroup_refused"]["errno"], "EBUSY", "{refused}");
        }
    }
}
