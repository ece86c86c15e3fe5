//! The result of `reproduce`: whether it is as expected, then what was reached and what happened.
use super::{Block, GREEN, RED, YELLOW, micros, paint};
use crate::{
    report::line::reproduce::{Command, Creations, Distance, Outcome, Reproduce, Zone},
    units::{bytes, grouped, printable},
};

/// The result.
pub(super) fn block(result: &Reproduce) -> Block {
    let (style, word) = match result.result {
        Outcome::AsExpected => (GREEN, "AS EXPECTED"),
        Outcome::NotAsExpected => (RED, "NOT AS EXPECTED"),
        Outcome::NoResult => (YELLOW, "NO RESULT"),
    };
    let reason = printable(&result.reason);
    let mut block = Block::new(format!("{}  {}: {reason}", paint(style, word), result.asked));
    if let Some(expected) = &result.expected {
        block.row("expected", &printable(expected));
    }
    if let Some(state) = &result.state {
        let took = format!("reached after {}", micros(state.took_us));
        block.list("state", state.reached.iter().map(|text| printable(text)).chain([took]));
        block.list("", state.zones.iter().map(zone));
        block.list("distance", state.distance.iter().map(distance));
    }
    if let Some(command) = &result.command {
        block.row("command", &printable(&command.args.join(" ")));
        block.row("", &ended(command));
    }
    if let Some(creations) = &result.creations {
        block.row("creations", &in_trouble(creations));
    }
    block.list("left over", result.not_undone.iter().map(|text| printable(text)));
    block
}

fn zone(zone: &Zone) -> String {
    let index =
        zone.fragmentation_index.map(|index| format!(", index {index:.3}")).unwrap_or_default();
    let blocks: Vec<String> = zone.free_blocks.iter().map(u64::to_string).collect();
    printable(&format!(
        "zone {} of node {}: {}{index}, {} free; blocks from order 0: {}",
        zone.name,
        zone.node,
        zone.offer,
        bytes(zone.free_kib.saturating_mul(1024)),
        blocks.join(" ")
    ))
}

fn distance(distance: &Distance) -> String {
    let Distance { order, wanted, reached } = *distance;
    format!("order {order}: {} wanted, {} reached", grouped(wanted), grouped(reached))
}

fn ended(command: &Command) -> String {
    let how = match (command.timed_out, command.exit_code, command.signal) {
        (true, _, _) => "killed, because it did not end in time".to_owned(),
        (false, Some(code), _) => format!("exit code {code}"),
        (false, None, Some(signal)) => format!("ended by signal {signal}"),
        (false, None, None) => "ended".to_owned(),
    };
    format!("{how} after {}", micros(command.duration_us))
}

fn in_trouble(creations: &Creations) -> String {
    let causes: Vec<&str> = creations.causes.iter().map(|cause| cause.name()).collect();
    let causes = if causes.is_empty() { String::new() } else { format!("; {}", causes.join(", ")) };
    format!(
        "{} failed, {} degraded, {} stalled{causes}; lost {}",
        creations.failed, creations.degraded, creations.stalled, creations.lost
    )
}
