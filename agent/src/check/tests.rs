//! Node facts and the status each must get, next to facts just beyond the threshold.
use fragwatch_core::{
    model::{
        node::{MemoryCgroups, NodeFacts},
        status::CheckStatus,
    },
    report::{Format as _, Json, Text, line::check as check_line},
};
use jiff::tz::TimeZone;

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

/// The facts of a node with one zone, after `change`.
fn node(change: impl FnOnce(&mut NodeFacts)) -> NodeFacts {
    let mut facts = fragwatch_core::fixtures::facts(0);
    facts.memory_cgroups = Some(MemoryCgroups { count: 9, dying: Some(0), at_most: false });
    change(&mut facts);
    facts
}

fn status(facts: NodeFacts, order: u32) -> CheckStatus {
    assess(facts, asked(&[order]), 4096).status()
}

fn line(check: &Check) -> Line {
    Line::Check(Box::new(view::check(check, None)))
}

fn text(check: &Check) -> String {
    let mut styled = Vec::new();
    Text::new(&mut styled, TimeZone::UTC).line(&line(check)).expect("memory takes all");
    String::from_utf8(anstream::adapter::strip_bytes(&styled).into_vec()).expect("UTF-8")
}

fn json(check: &Check) -> String {
    let mut out = Vec::new();
    Json::new(&mut out).line(&line(check)).expect("memory takes all");
    let value: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
    serde_json::to_string_pretty(&value).expect("it is JSON")
}

#[test]
fn a_node_with_enough_free_blocks_is_ok() {
    let check = real("6.18-v1", needs(&[], None));
    assert_eq!(check.status(), CheckStatus::Ok);
    insta::assert_snapshot!("plenty-text", text(&check));
    insta::assert_snapshot!("plenty-json", json(&check));
}

#[test]
fn a_fragmented_node_would_fail_order_6() {
    let check = real("6.12-fragmented", asked(&[1, 6]));
    assert_eq!(check.status(), CheckStatus::WouldFail);
    insta::assert_snapshot!("fragmented-text", text(&check));
    insta::assert_snapshot!("fragmented-json", json(&check));
    // The kernel's own minimum is still available.
    assert_eq!(real("6.12-fragmented", asked(&[1])).status(), CheckStatus::Ok);
}

#[test]
fn a_node_without_readable_files_is_unknown() {
    let check = real("no-such-node", asked(&[1]));
    assert_eq!(check.status(), CheckStatus::Unknown);
    assert_eq!(check.status().exit_code(), 3);
    insta::assert_snapshot!("nothing-text", text(&check));
}

#[test]
fn fewer_than_32_blocks_are_tight() {
    let with = |blocks: u64| node(|facts| facts.zones[0].blocks[6] = blocks);
    assert_eq!(status(with(32), 6), CheckStatus::Ok);
    assert_eq!(status(with(31), 6), CheckStatus::Tight);
    assert_eq!(status(with(1), 6), CheckStatus::Tight);
    assert_eq!(status(with(0), 6), CheckStatus::WouldFail);
    // A larger block can be split.
    assert_eq!(status(node(|facts| facts.zones[0].blocks[10] = 2), 6), CheckStatus::Ok);
}

#[test]
fn blocks_below_the_watermark_are_not_counted() {
    let facts = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].free = 700 + 63 + 129;
    });
    let check = assess(facts, asked(&[6]), 4096);
    // 129 pages are left after the first block: two further blocks fit above the watermark.
    assert_eq!((check.orders[0].blocks, check.status()), (3, CheckStatus::Tight));
}

#[test]
fn free_pages_below_the_low_watermark_are_tight() {
    // The check of the watermark for order 1 discounts one page.
    let with = |free: u64| node(|facts| facts.zones[0].free = free);
    assert_eq!(status(with(877), 1), CheckStatus::Ok);
    assert_eq!(status(with(876), 1), CheckStatus::Tight);
    assert_eq!(status(with(702), 1), CheckStatus::Tight);
    assert_eq!(status(with(701), 1), CheckStatus::WouldFail);
}

#[test]
fn a_zones_lowmem_reserve_is_not_counted() {
    let facts = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].lowmem_reserve = Some(79_000);
    });
    let check = assess(facts, asked(&[6]), 4096);
    assert_eq!(check.status(), CheckStatus::WouldFail);
    assert!(check.orders[0].zones[0].margin < 0);
    // A zone for movable pages only does not count either.
    let movable = node(|facts| {
        facts.zones[0].blocks[6] = 40;
        facts.zones[0].lowmem_reserve = None;
    });
    assert_eq!(status(movable, 6), CheckStatus::Unknown);
}

#[test]
fn one_zone_with_enough_blocks_is_ok() {
    let facts = node(|facts| {
        let mut other = facts.zones[0].clone();
        other.node = 1;
        other.blocks[6] = 100;
        facts.zones.push(other);
    });
    assert_eq!(status(facts, 6), CheckStatus::Ok);
}

#[test]
fn an_order_above_the_kernels_maximum_would_fail() {
    assert_eq!(status(node(|_| {}), 20), CheckStatus::WouldFail);
}

#[test]
fn unreadable_block_counts_are_unknown() {
    assert_eq!(status(node(|facts| facts.zones[0].blocks.clear()), 1), CheckStatus::Unknown);
}

#[test]
fn memory_cgroup_ids_are_judged_by_count_and_kernel() {
    let with = |count, dying, at_most, kernel: &str| {
        let facts = node(|facts| {
            facts.memory_cgroups = Some(MemoryCgroups { count, dying, at_most });
            facts.kernel = Some(kernel.to_owned());
        });
        status(facts, 1)
    };
    assert_eq!(with(62_259, Some(0), false, "6.12.1"), CheckStatus::Ok);
    assert_eq!(with(62_260, Some(0), false, "6.12.1"), CheckStatus::Tight);
    assert_eq!(with(65_534, Some(0), false, "6.12.1"), CheckStatus::Tight);
    assert_eq!(with(65_535, Some(0), false, "6.12.1"), CheckStatus::WouldFail);
    // Only on old kernels is it certain that dying cgroups hold their ids.
    assert_eq!(with(70_000, Some(9_000), false, "6.12.1"), CheckStatus::Tight);
    assert_eq!(with(65_535, None, false, "5.10.0-46-amd64"), CheckStatus::Tight);
    assert_eq!(with(65_535, None, false, "3.10.0-514.el7.x86_64"), CheckStatus::WouldFail);
    // With `at_most`, some of these may not be memory cgroups.
    assert_eq!(with(65_535, Some(0), true, "5.10.0-46-amd64"), CheckStatus::Tight);
    let unknown = node(|facts| facts.memory_cgroups = None);
    assert_eq!(status(unknown, 1), CheckStatus::Ok, "the kernel may have no memory controller");
}

#[test]
fn orders_seen_by_trace_are_needed_unless_given() {
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
        "creations requested it 1,200 times, last at 2026-11-20T09:42:36Z"
    );
    // The command line replaces them.
    assert_eq!(needs(&[3, 2, 3], Some(orders)), asked(&[2, 3]));
    assert_eq!(asked(&[]), [Need { order: 1, source: Source::Kernel }]);
}

#[test]
fn maximal_numbers_do_not_overflow() {
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

#[test]
fn what_runs_out_soon_is_tight() {
    let serve = |seconds_to_failure| check_line::Serve {
        state: "watching".to_owned(),
        started: jiff::Timestamp::UNIX_EPOCH.into(),
        failed_last_hour: 0,
        last_failure: None,
        trend: Vec::new(),
        forecast: vec![check_line::Forecast { resource: "pids".to_owned(), seconds_to_failure }],
    };
    let healthy = assess(node(|_| {}), asked(&[1]), 4096);
    assert_eq!(healthy.status(), CheckStatus::Ok);
    for (seconds, status) in [(3600, CheckStatus::Ok), (3599, CheckStatus::Tight)] {
        let line = view::check(&healthy, Some(serve(seconds)));
        assert_eq!((line.status, line.exit_code), (status, status.exit_code()));
    }
    let failing = assess(node(|facts| facts.zones[0].blocks.clear()), asked(&[1]), 4096);
    let line = view::check(&failing, Some(serve(1)));
    assert_eq!(line.status, failing.status(), "a forecast makes nothing better");
}
