//! One line for a log, where [`super::Text`] has a block.
use std::fmt::Write as _;

use super::{container, creation, incident, kib, loss, ready, repeats, unfinished, verdict};
use crate::{
    model::step::Outcome,
    report::line::{Line, creation::Creation, verdict::Remedy},
    units::printable,
};

/// What a line of the report says, in one line of text; `None` for what a log does not need. Styles are
/// written always, as by [`super::Text`].
pub fn one_line(line: &Line) -> Option<String> {
    Some(match line {
        Line::Ready(ready) => ready::headline(ready, "watching"),
        Line::Creation(creation) => self::creation(creation)?,
        Line::Container(late) => {
            let who = container::who(late.container.as_ref(), &late.candidates)?;
            format!("creation {} was for {who}", late.creation)
        }
        Line::Unfinished(one) => unfinished::headline(one),
        Line::Repeats(repeats) => repeats::headline(repeats),
        Line::Loss(loss) => loss::headline(loss),
        Line::Incident(incident) => {
            let killed = incident::killed(incident)?;
            format!("{killed}: {}", verdict::short(&incident.verdict))
        }
        Line::Recording(_)
        | Line::Summary(_)
        | Line::Check(_)
        | Line::Doctor(_)
        | Line::Reproduce(_) => return None,
    })
}

/// Who, what, why, and what to do first; `None` if nothing was wrong.
fn creation(c: &Creation) -> Option<String> {
    let v = c.verdict.as_ref()?;
    let mut text = creation::headline(c);
    text.push_str(": ");
    text.push_str(&verdict::short(v));
    if let Some(a) = creation::decisive(c) {
        let zone = a.zone.as_ref();
        let free = zone.map(|zone| format!(", {} free", kib(zone.free_kib))).unwrap_or_default();
        let _ = write!(text, ", order {}{free}", a.order);
    }
    let first = |durable| v.remedies.iter().find(move |remedy: &&Remedy| remedy.durable == durable);
    if c.outcome == Outcome::Failed
        && let Some(remedy) = first(false).or_else(|| first(true))
    {
        let _ = write!(text, "; now: {}", printable(&remedy.command));
    }
    Some(text)
}
