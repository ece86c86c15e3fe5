use super::*;

fn part(given: &[(&str, &str)], missing: usize) -> Part {
    let given = given.iter().map(|(cause, confidence)| Given {
        cause: (*cause).to_owned(),
        confidence: (*confidence).to_owned(),
    });
    Part { given: given.collect(), missing }
}

fn totals(parts: &[Part]) -> Totals {
    let truth = truth_of("netns-limit");
    let rows = rows_of(scenario::find("netns-limit").expect("it is there"), truth);
    let mut totals = Totals::default();
    for part in parts {
        totals.add(&rows[0], part);
    }
    totals
}

fn truth_of(name: &str) -> Truth {
    scenario::find(name).expect("it is there").truth.expect("it is about a cause")
}

#[test]
fn the_aims_are_judged() {
    assert!(totals(&[part(&[("namespace-limit", "high"); 3], 0)]).are_good());
    assert!(!totals(&[part(&[("exhaustion", "high")], 0)]).are_good(), "wrong and sure");
    assert!(totals(&[part(&[("exhaustion", "low")], 0)]).are_good(), "wrong and not sure");
    assert!(!totals(&[part(&[("undetermined", "low")], 0)]).are_good(), "one in one");
    let mut many: Vec<Part> = (0..19).map(|_| part(&[("namespace-limit", "high")], 0)).collect();
    many.push(part(&[("namespace-limit", "high"), ("undetermined", "low")], 0));
    assert!(totals(&many).are_good(), "one in twenty");
    assert!(!totals(&[part(&[], 1)]).are_good(), "nothing said of the only one");
}

#[test]
fn an_accused_twin_fails() {
    let rows = rows_of(scenario::find("healthy").expect("it is there"), truth_of("healthy"));
    let mut totals = Totals::default();
    totals.add(&rows[0], &part(&[("fragmentation", "low")], 0));
    assert!(!totals.are_good());
}

#[test]
fn every_cause_that_is_expected_is_one() {
    let parts = SCENARIOS.iter().filter_map(|scenario| scenario.truth).flat_map(|t| t.parts);
    for (part, cause) in parts {
        assert!(crate::truth::logs::CAUSES.contains(cause), "{part}: {cause}");
    }
}

#[test]
fn a_cell_says_how_often_and_what() {
    let mut cell = Cell::default();
    cell.add("namespace-limit", &part(&[("namespace-limit", "high")], 0));
    cell.add("namespace-limit", &part(&[("undetermined", "low")], 0));
    assert_eq!(cell.shown(), "1/2 namespace-limit high, undetermined low");
    let mut cell = Cell::default();
    cell.add(NOTHING, &part(&[], 0));
    assert_eq!(cell.shown(), "1/1");
}
