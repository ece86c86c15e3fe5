//! What `reproduce` says.
use crate::{
    model::verdict::Cause,
    report::line::reproduce::{Command, Creations, Distance, Outcome, Reproduce, State, Zone},
};

/// A failure that was expected, with this text in all that may come from outside.
pub(super) fn reproduce(outside: &str) -> Reproduce {
    Reproduce {
        version: "0.1.0".to_owned(),
        kernel: format!("6.12.117+deb12-cloud-amd64{outside}"),
        asked: "fragmentation",
        state: Some(State {
            reached: vec![format!("64.2 MiB free{outside}")],
            order: Some(6),
            fragmentation_index: Some(0.984),
            zones: vec![Zone {
                node: 0,
                name: format!("DMA32{outside}"),
                offer: "fragmented".to_owned(),
                free_kib: 65_700,
                free_blocks: vec![16_203, 43, 12, 4, 1, 1, 0, 0, 0, 0, 0],
                fragmentation_index: Some(0.984),
            }],
            distance: vec![Distance { order: 0, wanted: 16_000, reached: 16_203 }],
            took_us: 4_120_000,
        }),
        obstacle: None,
        command: Some(Command {
            args: ["runc", "run", "web"].map(|arg| format!("{arg}{outside}")).to_vec(),
            exit_code: Some(1),
            signal: None,
            timed_out: false,
            duration_us: 612_000,
        }),
        creations: Some(Creations {
            failed: 1,
            degraded: 0,
            stalled: 0,
            causes: vec![Cause::Fragmentation],
            lost: 0,
        }),
        expected: Some("fail:fragmentation".to_owned()),
        result: Outcome::AsExpected,
        reason:
            "the command failed, and creations failed, or had processes killed, for fragmentation"
                .to_owned(),
        not_undone: vec![format!("could not remove /sys/fs/cgroup/fragwatch-reproduce{outside}")],
        exit_code: 0,
    }
}
