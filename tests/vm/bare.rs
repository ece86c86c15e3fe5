//! fragwatch starts and reports on a root that holds no library: it is one file.

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("burst", TRACE_ALL)
            .named("burst-bare")
            .bare()
            .facts(facts![creations_are_reported_without_libraries]),
    ]
}

fn creations_are_reported_without_libraries(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    assert_eq!(run.run.stream("fragwatch-err").next(), None);
    assert_eq!(run.creations_that("ok").len(), 20, "{:#?}", run.creations());
}
