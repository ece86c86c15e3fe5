use super::*;

fn verdicts(given: &[(&str, &str)], missing: usize) -> Verdicts {
    let given = given.iter().map(|(cause, confidence)| Given {
        cause: (*cause).to_owned(),
        confidence: (*confidence).to_owned(),
    });
    Verdicts { given: given.collect(), missing }
}

fn totals(all: &[Verdicts]) -> Totals {
    let truth = truth_of("netns-limit");
    let rows = rows_of(scenario::find("netns-limit").expect("it is there"), truth);
    let mut totals = Totals::default();
    for verdicts in all {
        totals.add(&rows[0], verdicts);
    }
    totals
}

fn truth_of(name: &str) -> Truth {
    scenario::find(name).expect("it is there").truth.expect("it is about a cause")
}

#[test]
fn missed_aim_fails() {
    assert!(totals(&[verdicts(&[("namespace-limit", "high"); 3], 0)]).are_good());
    assert!(!totals(&[verdicts(&[("exhaustion", "high")], 0)]).are_good(), "wrong and sure");
    assert!(totals(&[verdicts(&[("exhaustion", "low")], 0)]).are_good(), "wrong and not sure");
    assert!(!totals(&[verdicts(&[("undetermined", "low")], 0)]).are_good(), "one in one");
    let mut many: Vec<Verdicts> =
        (0..19).map(|_| verdicts(&[("namespace-limit", "high")], 0)).collect();
    many.push(verdicts(&[("namespace-limit", "high"), ("undetermined", "low")], 0));
    assert!(totals(&many).are_good(), "one in twenty");
    assert!(!totals(&[verdicts(&[], 1)]).are_good(), "the only one is not reported");
}

#[test]
fn control_reported_as_failed_misses_the_aim() {
    let rows = rows_of(scenario::find("healthy").expect("it is there"), truth_of("healthy"));
    let mut totals = Totals::default();
    totals.add(&rows[0], &verdicts(&[("fragmentation", "low")], 0));
    assert!(!totals.are_good());
}

#[test]
fn expected_causes_exist() {
    let faults = SCENARIOS.iter().filter_map(|scenario| scenario.truth).flat_map(|t| t.faults);
    for (fault, cause) in faults {
        assert!(crate::matrix::labelled_logs::CAUSES.contains(cause), "{fault}: {cause}");
    }
}

#[test]
fn cell_has_counts_and_causes() {
    let mut cell = Cell::default();
    cell.add("namespace-limit", &verdicts(&[("namespace-limit", "high")], 0));
    cell.add("namespace-limit", &verdicts(&[("undetermined", "low")], 0));
    assert_eq!(cell.shown(), "1/2 namespace-limit high, undetermined low");
    let mut cell = Cell::default();
    cell.add(NOTHING, &verdicts(&[], 0));
    assert_eq!(cell.shown(), "1/1");
}
