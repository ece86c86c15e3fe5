//! `fragwatch check` before and after memory is fragmented, compared with the kernel's own figures.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts =
        facts![healthy_node_is_ok, fragmented_node_would_fail, order_seen_by_the_trace_is_checked];
    vec![Plan::new("check", TRACE).facts(facts)]
}

/// Exit code and object of the run of that name.
fn result(run: &Observed, name: &str) -> (String, Value) {
    let find = |what: &str| {
        let head = format!("{name} {what} ");
        run.run
            .stream("node")
            .find_map(|line| line.strip_prefix(&head))
            .unwrap_or_else(|| panic!("the guest sent no line `{name} {what}`"))
    };
    (find("exited").to_owned(), serde_json::from_str(find("printed:")).expect("it is JSON"))
}

fn order_6(result: &Value) -> &Value {
    let orders = result["orders"].as_array().expect("orders are listed");
    orders.iter().find(|order| order["order"] == 6).expect("order 6 is among them")
}

fn healthy_node_is_ok(run: &Observed) {
    let (code, result) = result(run, "plenty");
    assert_eq!((code.as_str(), &result["status"]), ("0", &"ok".into()), "{result:#}");
    assert!(order_6(&result)["blocks"].as_u64() >= Some(32), "{result:#}");
}

fn fragmented_node_would_fail(run: &Observed) {
    let (code, result) = result(run, "fragmented");
    assert_eq!((code.as_str(), &result["status"]), ("2", &"would-fail".into()), "{result:#}");
    let order = order_6(&result);
    assert_eq!((&order["status"], &order["blocks"]), (&"would-fail".into(), &0.into()));
    let zones = order["zones"].as_array().expect("zones are listed");
    let zone = zones.iter().find(|zone| zone["name"] == "DMA32").expect("the guest has DMA32");
    assert_eq!(zone["offer"], "fragmented", "{zone:#}");
    assert!(zone["margin_kib"].as_i64() > Some(40_000), "{zone:#}");
    assert!(zone["fragmentation_index"].as_f64() > Some(0.5), "{zone:#}");
}

fn order_seen_by_the_trace_is_checked(run: &Observed) {
    let (code, result) = result(run, "unasked");
    let order = order_6(&result);
    assert_eq!((code.as_str(), &order["from"]), ("2", &"seen".into()), "{result:#}");
    assert!(order["seen"]["count"].as_u64() >= Some(1), "{order:#}");
    let cgroups = &result["memory_cgroups"];
    assert!((1..100).contains(&cgroups["count"].as_u64().unwrap_or_default()), "{cgroups:#}");
}
