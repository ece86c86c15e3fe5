//! The report of `reproduce` in all of its forms.
mod github;
mod junit;

use std::{
    fs,
    io::{self, Write as _},
};

use fragwatch_core::report::{
    Format as _, Json, Text,
    line::{
        Line,
        reproduce::{Command, Distance, Outcome, Reproduce, State, Zone},
    },
};
use fragwatch_states::Reached;
use jiff::tz::TimeZone;

use crate::{
    cli::ReproduceFormat,
    reproduce::{
        Watched,
        judge::{Happened, judge},
        plan::Plan,
        relay::Relayed,
    },
};

/// The result and the lines of the trace.
pub(super) struct Report {
    pub(super) result: Reproduce,
    pub(super) lines: Vec<Relayed>,
}

/// Judges what happened.
pub(super) fn of(plan: &Plan, kernel: String, watched: Watched) -> Report {
    let succeeded = watched.command.map(|ended| ended.success());
    let happened = watched.traced.as_ref().map(|traced| Happened::of(traced, succeeded));
    let (outcome, reason) = match (&watched.obstacle, &happened) {
        (None, Some(happened)) => judge(plan.run.expect, happened),
        (Some(obstacle), _) => (Outcome::NoResult, obstacle.clone()),
        (None, None) => (Outcome::NoResult, "creations were not watched".to_owned()),
    };
    let command = watched.command.map(|ended| Command {
        args: plan.command_text(),
        exit_code: ended.status.code(),
        signal: ended.signal(),
        timed_out: ended.timed_out,
        duration_us: ended.took.as_micros() as u64,
    });
    let result = Reproduce {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        asked: plan.asked,
        state: state(&watched.reached),
        obstacle: watched.obstacle,
        command,
        creations: happened.map(|happened| happened.creations),
        expected: plan.run.expect.map(|expect| expect.to_string()),
        result: outcome,
        reason,
        not_undone: watched.not_undone,
        exit_code: outcome.exit_code(),
    };
    Report { result, lines: watched.traced.map(|traced| traced.lines).unwrap_or_default() }
}

/// All states that were reached, as one.
fn state(reached: &[Reached]) -> Option<State> {
    let mut state = State::default();
    for one in reached {
        state.reached.extend(one.sentences.iter().cloned());
        state.took_us += one.took_ms * 1000;
        let Some(order) = one.order else { continue };
        state.order = Some(order);
        let total = total(one);
        state.fragmentation_index = one.fragmentation_index();
        state.zones.extend(one.zones.iter().map(|zone| Zone {
            node: zone.node,
            name: zone.name.clone(),
            offer: zone.offer.clone(),
            free_kib: zone.free_kib,
            free_blocks: zone.blocks.clone(),
            fragmentation_index: zone.index,
        }));
        if !one.wanted.is_empty() {
            let of = |blocks: &[u64], order: usize| blocks.get(order).copied().unwrap_or_default();
            state.distance.extend((0..total.len().max(one.wanted.len())).map(|order| Distance {
                order: order as u32,
                wanted: of(&one.wanted, order),
                reached: of(&total, order),
            }));
        }
    }
    (!reached.is_empty()).then_some(state)
}

/// Free blocks per order of all zones but the one for old devices.
fn total(reached: &Reached) -> Vec<u64> {
    let mut total = Vec::new();
    for zone in reached.zones.iter().filter(|zone| zone.name != "DMA") {
        total.resize(total.len().max(zone.blocks.len()), 0);
        for (sum, count) in total.iter_mut().zip(&zone.blocks) {
            *sum += count;
        }
    }
    total
}

impl Report {
    /// Writes it to standard output.
    pub(super) fn write(self, format: ReproduceFormat) -> io::Result<()> {
        match format {
            ReproduceFormat::Json => {
                let mut out = io::stdout();
                for line in &self.lines {
                    let text = fragwatch_core::report::escape(&serde_json::to_string(&line.line)?);
                    writeln!(out, "{text}")?;
                }
                Json::new(out).line(&Line::Reproduce(Box::new(self.result)))
            }
            ReproduceFormat::Text => {
                let mut out = anstream::stdout();
                out.write_all(self.text()?.as_bytes())?;
                out.flush()
            }
            ReproduceFormat::Junit => io::stdout().write_all(junit::xml(&self)?.as_bytes()),
            ReproduceFormat::Github => {
                if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
                    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
                    file.write_all(github::summary(&self)?.as_bytes())?;
                }
                io::stdout().write_all(github::commands(&self)?.as_bytes())
            }
        }
    }

    /// The report for people, with colours.
    fn text(&self) -> io::Result<String> {
        let mut text: Vec<u8> = Vec::new();
        for line in &self.lines {
            text.extend(line.text.as_bytes());
        }
        Text::new(&mut text, TimeZone::system())
            .line(&Line::Reproduce(Box::new(self.result.clone())))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The same without colours.
    fn plain_text(&self) -> io::Result<String> {
        Ok(anstream::adapter::strip_str(&self.text()?).to_string())
    }
}
