//! The forecast on eight nodes: four that run into a limit, and four that look like it and don't. Beside it
//! two rules that are published: more than 80 % of free memory outside blocks of the huge-page order, and
//! fewer than ten blocks of order 8 or above in zone Normal.
use fragwatch_core::model::{
    node::MemoryCgroups,
    sample::{Sample, SampleZone, VmCounters},
};

use super::*;

/// A node, minute by minute.
struct Node {
    name: &'static str,
    /// When it fails, in minutes; `None` if it never does.
    fails: Option<u32>,
    minutes: u32,
    at: fn(f64) -> State,
    resource: Resource,
}

/// What a node's files would say.
struct State {
    /// Free blocks of order 0, 6 and 9.
    blocks: [f64; 3],
    /// Pages on the lists of pages that can be moved, and of those the page cache.
    lru: f64,
    file: f64,
    failed_compactions: f64,
    memory_cgroups: f64,
    /// What is left of a limit on namespaces.
    namespaces: f64,
}

const CALM: State = State {
    blocks: [20_000.0, 400.0, 300.0],
    lru: 500_000.0,
    file: 300_000.0,
    failed_compactions: 0.0,
    memory_cgroups: 300.0,
    namespaces: 50_000.0,
};

/// Noise between −1 and 1 that is the same in each run.
fn noise(minute: f64) -> f64 {
    (minute * 12.9898).sin() * 0.7 + (minute * 78.233).sin() * 0.3
}

const NODES: [Node; 8] = [
    Node {
        name: "unmovable pages leak: order 6 runs out",
        fails: Some(480),
        minutes: 480,
        resource: Resource::Order(6),
        at: |m| State {
            blocks: [20_000.0 + m * 60.0, 4000.0 - m * 8.33 + 60.0 * noise(m), 40.0 - m / 6.0],
            lru: 500_000.0 - m * 500.0,
            ..CALM
        },
    },
    Node {
        name: "memory cgroups leak",
        fails: Some(600),
        minutes: 600,
        resource: Resource::MemoryCgroups,
        at: |m| State { memory_cgroups: 300.0 + m * 108.9 + 40.0 * noise(m), ..CALM },
    },
    Node {
        name: "namespaces leak",
        fails: Some(120),
        minutes: 120,
        resource: Resource::Limit("net-namespaces"),
        at: |m| State { namespaces: 1000.0 - m * 8.4 + 5.0 * noise(m), ..CALM },
    },
    Node {
        name: "processes grow until memory is exhausted",
        fails: Some(284),
        minutes: 284,
        resource: Resource::Memory,
        at: |m| State {
            blocks: [20_000.0 - m * 60.0, 400.0 - m * 1.3, 300.0 - m],
            file: (300_000.0 - m * 1100.0 + 3000.0 * noise(m)).max(0.0),
            lru: 500_000.0 + m * 600.0,
            ..CALM
        },
    },
    Node {
        name: "the page cache fills memory",
        fails: None,
        minutes: 480,
        resource: Resource::Order(6),
        at: |m| {
            let filled = (m / 300.0).min(1.0);
            State {
                blocks: [20_000.0, 4000.0 * (1.0 - filled) + 60.0, 300.0 * (1.0 - filled)],
                lru: 500_000.0 + 400_000.0 * filled,
                file: 300_000.0 + 400_000.0 * filled,
                ..CALM
            }
        },
    },
    Node {
        name: "pods come and go: cgroups grow and are freed",
        fails: None,
        minutes: 720,
        resource: Resource::MemoryCgroups,
        at: |m| State { memory_cgroups: 300.0 + (m % 40.0) * 120.0 + 30.0 * noise(m), ..CALM },
    },
    Node {
        name: "a large deployment takes namespaces once",
        fails: None,
        minutes: 480,
        resource: Resource::Limit("net-namespaces"),
        at: |m| State {
            namespaces: if m < 100.0 { 1000.0 } else { 1000.0 - (m - 100.0).min(8.0) * 90.0 },
            ..CALM
        },
    },
    Node {
        name: "few blocks, for days",
        fails: None,
        minutes: 720,
        resource: Resource::Order(6),
        at: |m| State {
            blocks: [60_000.0, 45.0 + 20.0 * noise(m), 2.0 + noise(m)],
            lru: 500_000.0 + 20_000.0 * noise(m + 0.5),
            failed_compactions: m / 7.0,
            ..CALM
        },
    },
];

fn sample(minute: u32, state: &State) -> Sample {
    #[allow(clippy::cast_sign_loss, reason = "it is not negative")]
    let count = |count: f64| count.max(0.0) as u64;
    let mut blocks = vec![0; 11];
    blocks[0] = count(state.blocks[0]);
    blocks[6] = count(state.blocks[1]);
    blocks[9] = count(state.blocks[2]);
    let zone = SampleZone { node: 0, name: "Normal".to_owned(), above_min: 1 << 30, blocks };
    Sample {
        time_ns: u64::from(minute) * 60_000_000_000,
        zones: vec![zone],
        vm: Some(VmCounters {
            compact_fail: count(state.failed_compactions),
            lru_pages: Some(count(state.lru)),
            file_pages: Some(count(state.file)),
            ..VmCounters::default()
        }),
        memory_cgroups: Some(MemoryCgroups {
            count: count(state.memory_cgroups),
            dying: None,
            at_most: false,
        }),
        ..Sample::default()
    }
}

/// More than 80 % of free memory outside blocks of the huge-page order.
fn rule_of_share(sample: &Sample) -> bool {
    let zone = &sample.zones[0];
    let huge = zone.blocks_from(9) * 512;
    (zone.free() - huge) as f64 > 0.8 * zone.free() as f64
}

/// Fewer than ten blocks of order 8 or above in zone Normal.
fn rule_of_ten(sample: &Sample) -> bool {
    sample.zones[0].blocks_from(8) < 10
}

/// For each node, when an alarm began that did not end before the failure; `None` if there was none at the
/// end. And whether there was an alarm at any time.
fn run(node: &Node, mut alarm: impl FnMut(u32, &Sample) -> bool) -> (Option<u32>, bool) {
    let (mut since, mut ever) = (None, false);
    for minute in 0..node.minutes {
        let now = alarm(minute, &sample(minute, &(node.at)(f64::from(minute))));
        ever |= now;
        since = if now { since.or(Some(minute)) } else { None };
    }
    (since, ever)
}

struct Score {
    lines: Vec<String>,
    precision: f64,
    recall: f64,
}

fn score(name: &str, mut alarm: impl FnMut(&Node) -> (Option<u32>, bool)) -> Score {
    let (mut right, mut wrong, mut missed) = (0.0, 0.0, 0.0);
    let mut lines = Vec::new();
    for node in &NODES {
        let (since, ever) = alarm(node);
        match (node.fails, since) {
            (Some(fails), Some(since)) => {
                right += 1.0;
                lines.push(format!("{name}: {}: {} minutes before", node.name, fails - since));
            }
            (Some(_), None) => {
                missed += 1.0;
                lines.push(format!("{name}: {}: missed", node.name));
            }
            (None, _) if ever => {
                wrong += 1.0;
                lines.push(format!("{name}: {}: false alarm", node.name));
            }
            (None, _) => lines.push(format!("{name}: {}: quiet", node.name)),
        }
    }
    let precision = right / f64::max(right + wrong, 1.0);
    Score { lines, precision, recall: right / (right + missed) }
}

#[test]
fn the_forecast_is_right_where_the_published_rules_are_not() {
    let forecast = score("forecast", |node| {
        let mut forecast = Forecast::default();
        run(node, |minute, sample| {
            forecast.sample(sample, &[6]);
            let left = (node.at)(f64::from(minute)).namespaces;
            forecast.observe(Resource::Limit("net-namespaces"), f64::from(minute) * 60.0, left);
            forecast.outlooks().any(|(_, outlook)| outlook.seconds_to_failure.is_some())
        })
    });
    let share = score("80 %", |node| run(node, |_, sample| rule_of_share(sample)));
    let ten = score("10 blocks", |node| run(node, |_, sample| rule_of_ten(sample)));
    for of in [&forecast, &share, &ten] {
        println!("{}", of.lines.join("\n"));
        println!("precision {:.2}, recall {:.2}", of.precision, of.recall);
    }
    assert!(forecast.precision > 0.99 && forecast.recall > 0.99);
    for rule in [share, ten] {
        assert!(rule.precision < 0.8 || rule.recall < 0.8);
    }
}

#[test]
fn the_time_that_is_left_is_right_to_a_fifth() {
    for node in NODES.iter().filter(|node| node.fails.is_some()) {
        let mut forecast = Forecast::default();
        let mut checked = 0;
        for minute in 0..node.minutes {
            let state = (node.at)(f64::from(minute));
            forecast.sample(&sample(minute, &state), &[6]);
            let now_s = f64::from(minute) * 60.0;
            forecast.observe(Resource::Limit("net-namespaces"), now_s, state.namespaces);
            let left = f64::from(node.fails.unwrap_or_default() - minute) * 60.0;
            if let Some(seconds) = forecast.seconds_to_failure(node.resource)
                && left > 1800.0
            {
                let wrong = (seconds - left).abs() / left;
                assert!(wrong < 0.2, "{}: {seconds} of {left} at minute {minute}", node.name);
                checked += 1;
            }
        }
        assert!(checked > 20, "{}: {checked}", node.name);
    }
}

#[test]
fn a_forecast_is_not_taken_back_for_one_reading() {
    let mut forecast = Forecast::default();
    let resource = Resource::Limit("pids");
    let mut said = 0;
    for minute in 0..120 {
        let left = if minute % 30 == 29 { 5000.0 } else { 1000.0 - 8.0 * f64::from(minute) };
        forecast.observe(resource, f64::from(minute) * 60.0, left);
        let says = forecast.seconds_to_failure(resource).is_some();
        assert!(says || said == 0, "it was taken back at minute {minute}");
        said += u32::from(says);
    }
    assert!(said > 60, "{said}");
}
