//! Steps of creations that were only counted.
use super::{Block, YELLOW, container, paint};
use crate::{
    report::line::repeats::Repeats,
    units::{grouped, printable},
};

/// One line.
pub(super) fn block(repeats: &Repeats, time: &str) -> Block {
    Block::new(format!("{time} {}", headline(repeats)))
}

/// How many, of what, and whose.
pub(super) fn headline(repeats: &Repeats) -> String {
    let step = match repeats.step {
        "user-namespace" => "user namespace",
        step => step,
    };
    let ended = repeats.errno.as_deref().unwrap_or("made although memory was short");
    let place = match (&repeats.container, &repeats.cgroup.path) {
        (Some(container), _) => format!(" in {}", container::label(container)),
        (None, Some(path)) => format!(" in {}", printable(path)),
        (None, None) => String::new(),
    };
    let user = repeats.user.map(|user| format!(" of user {user}")).unwrap_or_default();
    format!(
        "{} and {} more: {step}, {ended}{user}, the last by {} (pid {}){place}",
        paint(YELLOW, "repeated"),
        grouped(repeats.count),
        printable(&repeats.comm),
        repeats.pid,
    )
}
