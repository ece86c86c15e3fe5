//! Creations whose end was not seen.
use super::{Block, YELLOW, container, micros, paint};
use crate::{
    report::line::unfinished::{State, Unfinished},
    units::{grouped, printable},
};

/// Functions of the stack that are shown.
const MAX_FUNCTIONS: usize = 8;

/// One that was found at that time.
pub(super) fn block(one: &Unfinished, time: &str) -> Block {
    let mut block = Block::new(format!("{time} {}", headline(one)));
    if one.state == State::UnderWay {
        let shown = &one.stack[..one.stack.len().min(MAX_FUNCTIONS)];
        match shown {
            [] => block.row("not seen", "its kernel stack, and so what it waits for"),
            shown => block.row("in", &printable(&shown.join(" < "))),
        }
    }
    if one.stall_us != 0 {
        let text = format!("direct compaction or reclaim for it for {}", micros(one.stall_us));
        block.row("under way", &text);
    }
    if one.allocations_failed != 0 {
        let text = format!("{} allocations failed in it", grouped(one.allocations_failed));
        block.row("so far", &text);
    }
    if let Some(path) = &one.cgroup.path {
        block.row("cgroup", &printable(path));
    }
    block.row("process", &format!("{} (pid {})", printable(&one.comm), one.pid));
    if one.more != 0 {
        let word = if one.more == 1 { "creation" } else { "creations" };
        block.row("and", &format!("{} more {word} like it", grouped(one.more)));
    }
    block
}

/// What has become of which.
pub(super) fn headline(one: &Unfinished) -> String {
    let who = container::who(one.container.as_ref(), &[])
        .unwrap_or_else(|| format!("{} (pid {})", printable(&one.comm), one.pid));
    let step = match one.step {
        "namespaces" if one.namespaces.is_empty() || one.namespaces.contains(&"net") => {
            "network namespace".to_owned()
        }
        "namespaces" => format!("namespaces {}", one.namespaces.join(", ")),
        "other" => "a step".to_owned(),
        step => step.to_owned(),
    };
    let open = micros(one.open_us);
    match one.state {
        State::UnderWay => {
            let waits =
                one.waits_for.as_ref().map(|what| format!(", waits for {}", printable(what)));
            format!(
                "{} {who}: {step}, since {open}{}",
                paint(YELLOW, "still under way"),
                waits.unwrap_or_default()
            )
        }
        State::EndLost => format!(
            "{} {who}: {step}, which began {open} before; whether it failed is not known",
            paint(YELLOW, "end lost")
        ),
    }
}
