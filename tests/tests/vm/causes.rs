//! What all scenarios with a cause have in common: who met the trouble is told with its cause, and its
//! twin is not accused.

use serde_json::Value;
use xtask::truth::judge::Boot;
use xtask::vm::scenario;

use crate::observed::Observed;

/// Runs a scenario on the default kernel and, among the slow tests, on the others that are named, and
/// judges each with [`judge`] and with a function for what is the scenario's own.
macro_rules! told_with_its_cause {
    ($scenario:literal, $own:ident $(, $test:ident on $kernel:literal)*) => {
        const fn scenario() -> $crate::observed::Scenario {
            $crate::observed::Scenario::new(
                $scenario,
                $scenario,
                &["trace", "--all", "--format", "json"],
            )
        }

        static RUN: $crate::observed::Scenario = scenario();

        #[test]
        #[ignore = "boots a VM; run by cargo xtask test"]
        fn it_has_its_cause_and_its_twin_none() {
            $crate::causes::judge(&RUN, $scenario);
            $own(&RUN);
        }

        mod slow {
            $(
                #[test]
                #[ignore = "boots a VM; run by cargo xtask test --slow"]
                fn $test() {
                    static RUN: $crate::observed::Scenario = super::scenario().on($kernel);
                    $crate::causes::judge(&RUN, $scenario);
                    super::$own(&RUN);
                }
            )*
        }
    };
}

/// Each trouble of the scenario was told with its cause and confidence high, and no twin was accused.
pub(crate) fn judge(run: &Observed, name: &str) {
    run.assert_complete();
    let boot = boot(run);
    let truth = scenario::find(name).expect("it is there").truth.expect("it is about a cause");
    for (name, cause) in truth.parts {
        let part = boot.part(name);
        assert_eq!(part.missing, 0, "{name}: creations that nothing was said of; {:#?}", run.json);
        for given in part.given {
            assert_eq!(given.cause, *cause, "{name}: {:#?}", run.json);
        }
    }
    assert_eq!(boot.twins().given, [], "twins were accused: {:#?}", run.json);
}

/// The lines about the creations that met that trouble.
pub(crate) fn positives<'a>(run: &'a Observed, part: &str) -> Vec<&'a Value> {
    let boot = boot(run);
    let lines = boot.lines_of(part);
    run.json.iter().filter(|line| lines.contains(line)).collect()
}

fn boot(run: &Observed) -> Boot {
    Boot::of(&run.run).expect("the guest tells outcomes, fragwatch prints JSON")
}
