//! `fragwatch check` before and after memory is fragmented, against the kernel's own figures.

use serde_json::Value;

use crate::observed::Scenario;

static RUN: Scenario = Scenario::new("check", "check", &["trace", "--format", "json"]);

/// What the run of that name answered: its exit code and its object.
fn answer(name: &str) -> (String, Value) {
    let find = |what: &str| {
        let head = format!("{name} {what} ");
        RUN.run
            .stream("node")
            .find_map(|line| line.strip_prefix(&head))
            .unwrap_or_else(|| panic!("the node did not tell what {name} {what}"))
    };
    (find("exited").to_owned(), serde_json::from_str(find("printed:")).expect("it is JSON"))
}

fn order_6(answer: &Value) -> &Value {
    let orders = answer["orders"].as_array().expect("orders are listed");
    orders.iter().find(|order| order["order"] == 6).expect("order 6 is among them")
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn check_is_ok_while_there_is_plenty() {
    let (code, answer) = answer("plenty");
    assert_eq!((code.as_str(), &answer["verdict"]), ("0", &"ok".into()), "{answer:#}");
    assert!(order_6(&answer)["blocks"].as_u64() >= Some(32), "{answer:#}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn check_says_that_a_fragmented_node_would_fail() {
    let (code, answer) = answer("fragmented");
    assert_eq!((code.as_str(), &answer["verdict"]), ("2", &"would fail".into()), "{answer:#}");
    let order = order_6(&answer);
    assert_eq!((&order["verdict"], &order["blocks"]), (&"would fail".into(), &0.into()));
    let zones = order["zones"].as_array().expect("zones are listed");
    let zone = zones.iter().find(|zone| zone["name"] == "DMA32").expect("the guest has DMA32");
    assert_eq!(zone["offer"], "fragmented", "{zone:#}");
    assert!(zone["margin_kib"].as_i64() > Some(40_000), "{zone:#}");
    assert!(zone["fragmentation_index"].as_f64() > Some(0.5), "{zone:#}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn check_knows_what_the_trace_saw() {
    let (code, answer) = answer("unasked");
    let order = order_6(&answer);
    assert_eq!((code.as_str(), &order["from"]), ("2", &"seen".into()), "{answer:#}");
    assert!(order["seen"]["count"].as_u64() >= Some(1), "{order:#}");
    let cgroups = &answer["memory_cgroups"];
    assert!((1..100).contains(&cgroups["count"].as_u64().unwrap_or_default()), "{cgroups:#}");
}
