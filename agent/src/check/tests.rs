//! Nodes with what is said of them, each beside one that must not get the same answer.
use fragwatch_core::model::node::{MemoryCgroups, NodeFacts};

use super::*;
use crate::{
    check::needs::Source,
    host::{
        node::tests as nodes,
        orders::{Orders, Seen},
    },
};

fn asked(orders: &[u32]) -> Vec<Need> {
    needs(orders, None)
}

fn real(name: &str, needs: Vec<Need>) -> Check {
    assess(node::read(&nodes::root(name)), needs, 4096)
}

/// A node with one zone, changed.
fn node(change: impl FnOnce(&mut NodeFacts)) -> NodeFacts {
    let mut facts = fragwatch_core::fixtures::facts(0);
    facts.memory_cgroups = Some(MemoryCgroups { count: 9, dying: Some(0), at_most: false });
    change(&mut facts);
    facts
}

fn standing(facts: NodeFacts, order: u32) -> Standing {
    assess(facts, asked(&[order]), 4096).standing()
}

fn text(check: &Check) -> String {
    let mut styled = Vec::new();
    text::write(check, &mut styled).expect("memory takes all");
    String::from_utf8(anstream::adapter::strip_bytes(&styled).into_vec()).expect("UTF-8")
}

fn json(check: &Check) -> String {
    let mut line = Vec::new();
    json::write(check, &mut line).expect("memory takes all");
    let value: serde_json::Value = serde_json::from_slice(&line).expect("it is JSON");
    serde_json::to_string_pretty(&value).expect("it is JSON")
}

#[test]
fn a_node_with_plenty() {
    let check = real("6.18-v1", needs(&[], None));
    assert_eq!(check.standing(), Standing::Ok);
    insta::assert_snapshot!("plenty-text", text(&check));
    insta::assert_snapshot!("plenty-json", json(&check));
}

#[test]
fn a_fragmented_node() {
    let check = real("6.12-fragmented", asked(&[1, 6]));
    assert_eq!(check.standing(), Standing::WouldFail);
    insta::assert_snapshot!("fragmented-text", text(&check));
    insta::assert_snapshot!("fragmented-json", json(&check));
    // What it needs at least it still gets.
    assert_eq!(real("6.12-fragmented", asked(&[1])).standing(), Standing::Ok);
}

#[test]
fn a_node_that_tells_nothing() {
    let check = real("no-such-node", asked(&[1]));
    assert_eq!(check.standing(), Standing::Unknown);
    assert_eq!(check.standing().exit_code(), 3);
    insta::assert_snapshot!("nothing-text", text(&check));
}

#[test]
fn few_blocks_are_tight() {
    let with = |blocks: u64| node(|facts| facts.zones[0].blocks[6] = blocks);
    assert_eq!(standing(with(32), 6), Standing::Ok);
    assert_eq!(standing(with(31), 6), Standing::Tight);
    assert_eq!(standing(with(1), 6), Standing::Tight);
    assert_eq!(standing(with(0), 6), Standing::WouldFail);
    // A larger one can be split.
    assert_eq!(standing(node(|facts| facts.zones[0].blocks[10] = 2), 6), Standing::Ok);
}

#[test]
fn blocks_below_the_watermark_are_nobodys() {
    let facts = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].free = 700 + 63 + 129;
    });
    let check = assess(facts, asked(&[6]), 4096);
    // Pages beyond the first block's: 129, so that two more can be taken and then a third.
    assert_eq!((check.orders[0].blocks, check.standing()), (3, Standing::Tight));
}

#[test]
fn little_above_the_low_watermark_is_tight() {
    // An order-1 block leaves one page less than are free.
    let with = |free: u64| node(|facts| facts.zones[0].free = free);
    assert_eq!(standing(with(877), 1), Standing::Ok);
    assert_eq!(standing(with(876), 1), Standing::Tight);
    assert_eq!(standing(with(702), 1), Standing::Tight);
    assert_eq!(standing(with(701), 1), Standing::WouldFail);
}

#[test]
fn a_zones_reserve_is_not_for_it() {
    let facts = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].lowmem_reserve = Some(79_000);
    });
    let check = assess(facts, asked(&[6]), 4096);
    assert_eq!(check.standing(), Standing::WouldFail);
    assert!(check.orders[0].zones[0].margin < 0);
    // Nor is a zone for movable pages.
    let movable = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].lowmem_reserve = None;
    });
    assert_eq!(standing(movable, 6), Standing::Unknown);
}

#[test]
fn one_zone_that_has_it_is_enough() {
    let facts = node(|facts| {
        let mut other = facts.zones[0].clone();
        other.node = 1;
        other.blocks[6] = 100;
        facts.zones.push(other);
    });
    assert_eq!(standing(facts, 6), Standing::Ok);
}

#[test]
fn an_order_that_no_kernel_has() {
    assert_eq!(standing(node(|_| {}), 20), Standing::WouldFail);
}

#[test]
fn blocks_that_could_not_be_read() {
    assert_eq!(standing(node(|facts| facts.zones[0].blocks.clear()), 1), Standing::Unknown);
}

#[test]
fn ids_of_memory_cgroups() {
    let with = |count, dying, at_most, kernel: &str| {
        let facts = node(|facts| {
            facts.memory_cgroups = Some(MemoryCgroups { count, dying, at_most });
            facts.kernel = Some(kernel.to_owned());
        });
        standing(facts, 1)
    };
    assert_eq!(with(62_259, Some(0), false, "6.12.1"), Standing::Ok);
    assert_eq!(with(62_260, Some(0), false, "6.12.1"), Standing::Tight);
    assert_eq!(with(65_534, Some(0), false, "6.12.1"), Standing::Tight);
    assert_eq!(with(65_535, Some(0), false, "6.12.1"), Standing::WouldFail);
    // Dying ones hold theirs for certain only in old kernels.
    assert_eq!(with(70_000, Some(9_000), false, "6.12.1"), Standing::Tight);
    assert_eq!(with(65_535, None, false, "5.10.0-46-amd64"), Standing::Tight);
    assert_eq!(with(65_535, None, false, "3.10.0-514.el7.x86_64"), Standing::WouldFail);
    // Not all of these are memory cgroups.
    assert_eq!(with(65_535, Some(0), true, "5.10.0-46-amd64"), Standing::Tight);
    let unknown = node(|facts| facts.memory_cgroups = None);
    assert_eq!(standing(unknown, 1), Standing::Ok, "there may be no such controller");
}

#[test]
fn what_was_seen_is_needed() {
    let time = "2026-11-20T09:42:36Z".parse().expect("a valid time");
    let seen = Seen { count: 1_200, first: time, last: time };
    let orders = Orders { orders: [(6, seen.clone())].into() };
    let found = needs(&[], Some(orders.clone()));
    assert_eq!(
        found,
        [Need { order: 1, source: Source::Kernel }, Need { order: 6, source: Source::Seen(seen) },]
    );
    assert_eq!(
        found[1].source.describe(),
        "creations asked for it 1,200 times, last at 2026-11-20T09:42:36Z"
    );
    // The command line knows better.
    assert_eq!(needs(&[3, 2, 3], Some(orders)), asked(&[2, 3]));
    assert_eq!(asked(&[]), [Need { order: 1, source: Source::Kernel }]);
}

#[test]
fn numbers_as_large_as_can_be_are_no_trouble() {
    for order in [0, 1, 20] {
        let facts = node(|facts| {
            let zone = &mut facts.zones[0];
            (zone.free, zone.min, zone.low) = (u64::MAX, u64::MAX, u64::MAX);
            zone.lowmem_reserve = Some(u64::MAX);
            zone.blocks = vec![u64::MAX; 70];
            facts.memory_cgroups =
                Some(MemoryCgroups { count: u64::MAX, dying: Some(u64::MAX), at_most: false });
        });
        let check = assess(facts, asked(&[order]), 4096);
        assert!(!text(&check).is_empty() && !json(&check).is_empty());
    }
}
