//! Reports, in one form or another.
mod attribution;
mod json;
pub mod log;
mod node;
mod step;
mod text;

use std::io;

use jiff::Timestamp;

use crate::{
    attribution::late::LateAttribution,
    model::{
        hook::HookStatus,
        incident::Incident,
        loss::{Loss, OutsideCounts},
        node::Reading,
        step::{CreationStep, Outcome},
        verdict::{Cause, Verdict},
    },
};

pub use json::Json;
pub use json::escape;
pub use text::Text;
pub use text::{GREEN, RED, YELLOW, labelled, paint};

/// What is being watched, reported first.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The kernel's release.
    pub kernel: String,
    /// Every hook.
    pub hooks: Vec<HookStatus>,
    /// What else is not seen, in sentences.
    pub not_seen: Vec<String>,
}

/// Something happened at a time of day.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a, T> {
    /// When it ended.
    pub time: Timestamp,
    /// What.
    pub what: &'a T,
    /// Why; `None` if nothing was wrong.
    pub verdict: Option<&'a Verdict>,
    /// The node's facts, read at another time.
    pub node: Option<Reading<'a>>,
}

/// All that was seen, reported last.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Creations per outcome.
    pub ok: u64,
    /// See [`Outcome::Stalled`].
    pub stalled: u64,
    /// See [`Outcome::Degraded`].
    pub degraded: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// Creations that had not ended.
    pub unfinished: u64,
    /// Incidents outside creations that were reported.
    pub incidents: u64,
    /// Incidents that were not reported because too many came at once.
    pub incidents_omitted: u64,
    /// Creations in trouble per cause.
    pub causes: Vec<(Cause, u64)>,
    /// What happened outside creations; `None` where a capture does not say it.
    pub outside: Option<OutsideCounts>,
    /// What was lost.
    pub loss: Loss,
    /// The longest time from a creation's end to its line being written, in microseconds.
    pub slowest_report_us: Option<u64>,
}

impl Summary {
    /// Counts a creation.
    pub fn count(&mut self, outcome: Outcome, verdict: Option<&Verdict>) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Stalled => self.stalled += 1,
            Outcome::Degraded => self.degraded += 1,
            Outcome::Failed => self.failed += 1,
        }
        let Some(cause) = verdict.map(|v| v.cause) else { return };
        if let Some((_, count)) = self.causes.iter_mut().find(|(known, _)| *known == cause) {
            *count += 1;
        } else {
            self.causes.push((cause, 1));
            self.causes.sort_unstable();
        }
    }
}

/// A form of report. Each call writes whole lines and leaves nothing in a buffer.
pub trait Report {
    /// Watching begins.
    fn ready(&mut self, ready: &Ready) -> io::Result<()>;
    /// A creation ended.
    fn creation(&mut self, reported: Reported<CreationStep>) -> io::Result<()>;
    /// More is known of the container that an earlier creation was for, which ended at that time.
    fn owner(&mut self, ended: Timestamp, owner: &LateAttribution) -> io::Result<()>;
    /// Trouble outside any creation.
    fn incident(&mut self, reported: Reported<Incident>) -> io::Result<()>;
    /// Events were lost.
    fn loss(&mut self, loss: &Loss) -> io::Result<()>;
    /// Watching ends.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::{
        incident::Source,
        step::{Namespaces, StepKind},
    };
    use crate::{
        diagnose::{Evidence, diagnose},
        fixtures as node, fixtures,
        model::{
            container::{Candidate, Container},
            hook::{Hook, State},
            identity::{Identity, NamedBy},
        },
    };

    const TIME: &str = "2026-11-20T09:42:36.123Z";

    fn known(pod: &str) -> Identity {
        Identity {
            by: NamedBy::PodLogs,
            runtime: None,
            id: None,
            pod_uid: Some("6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned()),
            pod: Some(pod.to_owned()),
            namespace: Some("default".to_owned()),
            name: None,
        }
    }

    fn candidate(pod: &str) -> Candidate {
        let mut container = Container::default();
        container.learn(&known(pod));
        Candidate { container, why: "a pod without a container" }
    }

    /// A whole run, as it would be reported.
    fn correlate(report: &mut dyn Report) -> io::Result<()> {
        let time: Timestamp = TIME.parse().expect("a valid time");
        let hook = |hook: Hook, via: Option<&str>, state, why: Option<&str>| HookStatus {
            hook,
            via: via.map(|via| via.parse().expect("a way to attach")),
            state,
            why: why.map(str::to_owned),
            not_seen: (state == State::Missing).then(|| hook.info().lost.to_owned()),
            reasons: Vec::new(),
            attempts: Vec::new(),
        };
        report.ready(&Ready {
            kernel: "6.12.117+deb12-cloud-amd64".to_owned(),
            hooks: vec![
                hook(Hook::NetnsSetup, Some("fentry+fexit:copy_net_ns"), State::Attached, None),
                hook(
                    Hook::SlowPathEntered,
                    Some("kprobe:wake_all_kswapds"),
                    State::Fallback,
                    Some("the kernel refused a kprobe on __alloc_pages_slowpath.constprop.0"),
                ),
                hook(
                    Hook::Reclaim,
                    None,
                    State::Missing,
                    Some("this kernel has no function try_to_free_pages"),
                ),
            ],
            not_seen: vec!["names of gfp flags: this kernel's BTF does not have them".to_owned()],
        })?;
        let mut hostile = fixtures::failed_creation();
        hostile.id = 4;
        hostile.task.comm = "\x1b[2Jevil\n\u{202e}".to_owned();
        hostile.cgroup = None;
        hostile.container = None;
        hostile.allocations.clear();
        hostile.slab_caches[0].failed = true;
        hostile.slab_caches[0].name = "a\x1b]0;\"b".to_owned();
        hostile.kind =
            StepKind::Namespaces(Namespaces { flags: 0x4000_0000, ..Namespaces::default() });
        hostile.events_lost = true;
        let mut named = fixtures::failed_creation();
        named.container.iter_mut().for_each(|container| assert!(container.learn(&known("web-0"))));
        let mut guessed = fixtures::ok_creation();
        guessed.container = None;
        guessed.candidates = vec![candidate("web-1"), candidate("\x1b[2Jweb\n")];
        let mut creations = [
            fixtures::ok_creation(),
            fixtures::degraded_creation(),
            named,
            hostile,
            guessed.clone(),
            CreationStep { errno: Some(libc::EINTR), ..guessed },
        ];
        let mut summary = Summary::default();
        for (i, creation) in creations.iter_mut().enumerate() {
            creation.id = i as u64 + 1;
            let verdict = (creation.outcome() != Outcome::Ok)
                .then(|| diagnose(&Evidence::step(creation, 4096, &[])));
            summary.count(creation.outcome(), verdict.as_ref());
            // As it is reported: read later, read before, not read.
            let facts = node::facts(creation.ended_ns + 12_000_000 - 400_000_000 * (i as u64 % 2));
            let reading = Reading::of(&facts, creation.ended_ns).filter(|_| i != 3);
            let reading = reading.filter(|_| verdict.is_some());
            let verdict = verdict.as_ref();
            report.creation(Reported { time, what: creation, verdict, node: reading })?;
        }
        let owner = |creation: &CreationStep| LateAttribution {
            creation: creation.id,
            ended_ns: creation.ended_ns,
            task: creation.task.clone(),
            container: creation.container.clone(),
            candidates: creation.candidates.clone(),
        };
        report.owner(time, &owner(&creations[2]))?;
        report.owner(time, &owner(&creations[5]))?;
        let incident = fixtures::incident();
        let verdict = diagnose(&Evidence::incident(&incident, &[]));
        let Source::Live { time_ns } = incident.source else { unreachable!("it was seen live") };
        let facts = node::facts(time_ns + 900_000);
        let reading = Reading::of(&facts, time_ns);
        report.incident(Reported {
            time,
            what: &incident,
            verdict: Some(&verdict),
            node: reading,
        })?;
        summary.loss = Loss { creation_events: 3, ..Loss::default() };
        report.loss(&summary.loss)?;
        summary.incidents = 1;
        summary.unfinished = 1;
        summary.outside = Some(OutsideCounts {
            slow_paths: 120,
            failures: Some(7),
            compactions: 9,
            reclaims: 31,
        });
        summary.slowest_report_us = Some(1830);
        report.summary(&summary)
    }

    #[test]
    fn text() {
        let mut styled = Vec::new();
        correlate(&mut Text::new(&mut styled, 4096, TimeZone::UTC)).expect("memory takes all");
        let plain = anstream::adapter::strip_bytes(&styled).into_vec();
        let text = String::from_utf8(plain).expect("UTF-8");
        assert!(!text.contains('\x1b'), "a terminal would be driven");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn json() {
        let mut out = Vec::new();
        correlate(&mut Json::new(&mut out, 4096)).expect("memory takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("one object a line");
            assert!(value["type"].is_string());
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn styles_are_for_terminals() {
        let mut styled = Vec::new();
        correlate(&mut Text::new(&mut styled, 4096, TimeZone::UTC)).expect("memory takes all");
        assert!(styled.windows(2).any(|w| w == b"\x1b["), "no style at all");
        let mut plain = anstream::StripStream::new(Vec::new());
        correlate(&mut Text::new(&mut plain, 4096, TimeZone::UTC)).expect("memory takes all");
        assert!(!plain.into_inner().contains(&0x1b));
    }
}
