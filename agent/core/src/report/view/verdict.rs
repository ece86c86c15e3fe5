//! Verdicts.
use crate::{
    model::verdict,
    report::line::verdict::{Remedy, Verdict},
};

/// A verdict.
pub(super) fn verdict(v: &verdict::Verdict) -> Verdict {
    Verdict {
        cause: v.cause,
        confidence: v.confidence,
        because: v.because.clone(),
        not_seen: v.not_seen.clone(),
        remedies: v.remedies.iter().map(remedy).collect(),
        no_help: v.no_help.iter().map(|&text| text.to_owned()).collect(),
    }
}

fn remedy(remedy: &verdict::Remedy) -> Remedy {
    Remedy {
        title: remedy.title.to_owned(),
        command: remedy.command.to_owned(),
        risk: remedy.risk.to_owned(),
        durable: remedy.durable,
    }
}
