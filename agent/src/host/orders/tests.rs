//! Which requests are counted, and when the file is written.
use std::path::PathBuf;

use fragwatch_core::{
    fixtures::{KEY, at, names_6_12},
    model::event::Failure,
};

use super::*;

/// A root directory, removed when dropped.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("run")).expect("it can be made");
        Self(root)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entered(raw: u32, order: u32) -> Event {
    at(Some(KEY), 0, EventKind::SlowPathEntered { gfp: names_6_12().decode(raw), order })
}

fn counts(orders: &Orders) -> Vec<(u32, u64)> {
    orders.orders.iter().map(|(order, seen)| (*order, seen.count)).collect()
}

#[test]
fn only_requests_without_fallback_in_a_creation_are_counted() {
    let mut orders = Orders::default();
    let now = Timestamp::UNIX_EPOCH;
    let mut outside = entered(0x40cc0, 6);
    outside.creation = None;
    for event in [
        outside,
        // order 0, a mask with a fallback, movable pages, an order that no kernel has
        entered(0xcc0, 0),
        entered(0xd20c0, 3),
        entered(0x1c24ca, 9),
        entered(0x40cc0, 21),
    ] {
        assert!(!orders.push(&event, now), "{event:?}");
    }
    for _ in 0..3 {
        assert!(orders.push(&entered(0x40cc0, 6), now));
    }
    assert!(orders.push(&entered(0x400dc0, 1), now));
    let gfp = || names_6_12().decode(0x40cc0);
    let failed =
        |order| EventKind::AllocationFailed { gfp: gfp(), order, failure: Failure::default() };
    assert!(orders.push(&at(Some(KEY), 0, failed(6)), now));
    assert!(orders.push(&at(Some(KEY), 0, failed(4)), now));
    assert_eq!(counts(&orders), [(1, 1), (4, 1), (6, 3)]);
}

#[test]
fn the_file_is_written_once_a_minute_and_at_the_end() {
    let root = Root::new("orders");
    let written = || counts(&read(&root.0).expect("the file is there"));
    let mut store = OrderStore::open(&root.0).expect("it can be opened");
    assert_eq!(written(), []);
    store.push(&entered(0x40cc0, 6));
    store.tick(Some(1_000_000_000));
    assert_eq!(written(), [(6, 1)]);
    store.push(&entered(0x40cc0, 6));
    store.tick(Some(60_000_000_000));
    assert_eq!(written(), [(6, 1)], "a minute has not passed");
    store.tick(Some(61_000_000_000));
    assert_eq!(written(), [(6, 2)]);
    store.push(&entered(0x40cc0, 1));
    store.tick(None);
    assert_eq!(written(), [(1, 1), (6, 2)]);
    // The next trace continues from the file.
    drop(store);
    let mut store = OrderStore::open(&root.0).expect("it can be opened");
    store.push(&entered(0x40cc0, 6));
    store.tick(None);
    assert_eq!(written(), [(1, 1), (6, 3)]);
    let size = fs::metadata(root.0.join(PATH)).expect("it is there").len();
    assert_eq!(size, SIZE as u64);
}

#[test]
fn twenty_orders_fit_into_the_file() {
    let mut orders = Orders::default();
    for order in 1..=MAX_ORDER {
        let seen = Seen { count: u64::MAX, first: Timestamp::MAX, last: Timestamp::MAX };
        orders.orders.insert(order, seen);
    }
    let text = serde_json::to_string(&orders).expect("it is JSON");
    assert!(text.len() < SIZE, "{}", text.len());
    assert_eq!(Orders::parse(&text), Some(orders));
}

#[test]
fn an_invalid_file_is_ignored_and_replaced() {
    let root = Root::new("strange-orders");
    assert_eq!(read(&root.0), None);
    let path = root.0.join(PATH);
    fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
    for text in ["", "{", "[]", "\0\0", r#"{"orders":{"6":{"count":-1}}}"#, &" ".repeat(1 << 20)] {
        fs::write(&path, text).expect("it can be written");
        assert_eq!(read(&root.0), None, "{text:.20}");
    }
    fs::write(&path, r#"{"orders":{"99":{"count":1,"first":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z"}}}"#)
        .expect("it can be written");
    assert_eq!(read(&root.0), Some(Orders::default()));
    // A trace replaces it.
    fs::write(&path, " ".repeat(1 << 20)).expect("it can be written");
    drop(OrderStore::open(&root.0).expect("it can be opened"));
    assert_eq!(read(&root.0), Some(Orders::default()));
}
