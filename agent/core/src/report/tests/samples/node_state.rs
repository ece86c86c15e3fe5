//! What `check` and `doctor` say of a node.
use super::time;
use crate::{
    model::{
        hook::State,
        status::{CheckStatus, DoctorStatus},
    },
    report::line::{check, doctor, hook},
};

/// The result of `check` for a zone of this name.
pub(super) fn check(zone: &str) -> check::Check {
    check::Check {
        version: "0.1.0".to_owned(),
        kernel: Some("6.12.117+deb12-cloud-amd64".to_owned()),
        status: CheckStatus::WouldFail,
        exit_code: 2,
        orders: vec![check::OrderCheck {
            order: 6,
            bytes: Some(262_144),
            from: "seen",
            needed_for: "creations asked for it".to_owned(),
            seen: Some(check::Seen { count: 3, first: time().into(), last: time().into() }),
            status: CheckStatus::WouldFail,
            reason: "no block of 256 KiB in any zone".to_owned(),
            blocks: 0,
            zones: vec![check::ZoneCheck {
                node: Some(0),
                name: zone.to_owned(),
                offer: "fragmented",
                blocks: 0,
                free_kib: 287_000,
                min_watermark_kib: 2800,
                lowmem_reserve_kib: 0,
                margin_kib: 283_948,
                free_blocks: vec![69_949, 411, 21, 15, 2, 1],
                fragmentation_index: Some(0.985),
            }],
        }],
        memory_cgroups: Some(check::IdCheck {
            status: CheckStatus::Ok,
            count: 1204,
            at_most: false,
            dying: Some(87),
            max: 65_535,
            left: 64_331,
        }),
        serve: Some(check::Serve {
            state: "watching".to_owned(),
            started: time().into(),
            failed_last_hour: 2,
            last_failure: Some(check::LastFailure {
                time: time().into(),
                summary: format!("FAILED   {zone}: network namespace, ENOMEM"),
            }),
            trend: vec![check::Trend {
                resource: "order-6".to_owned(),
                left: 0,
                left_before: 1200,
                before_s: 3600,
            }],
            forecast: vec![check::Forecast {
                resource: "memory-cgroups".to_owned(),
                seconds_to_failure: 5400,
            }],
        }),
        not_seen: vec!["limits of cgroups".to_owned()],
    }
}

/// A hook that is missing, with this text in all that may come from outside.
pub(super) fn hook(outside: &str) -> hook::Hook {
    hook::Hook {
        name: "allocation-failed".to_owned(),
        via: None,
        state: Some(State::Missing),
        why: Some(format!("it was refused{outside}")),
        reasons: vec![format!("a kprobe: refused by the kernel{outside}")],
        not_seen: Some("failed allocations".to_owned()),
        attempts: Some(vec![hook::Attempt {
            via: format!("kprobe:warn_alloc{outside}"),
            refusal: Some(format!("refused{outside}")),
        }]),
    }
}

/// The result of `doctor`, with this text in all that may come from outside.
pub(super) fn doctor(outside: &str) -> doctor::Doctor {
    doctor::Doctor {
        version: "0.1.0".to_owned(),
        kernel: format!("6.12{outside}"),
        status: DoctorStatus::CannotRun,
        exit_code: 2,
        obstacle: Some(format!("not one hook could be attached{outside}")),
        not_seen: vec![format!("failed allocations{outside}")],
        advice: vec![format!("mount tracefs{outside}")],
        btf: doctor::Btf {
            path: "/sys/kernel/btf/vmlinux",
            bytes: None,
            missing: None,
            error: Some(format!("could not be read{outside}")),
        },
        kallsyms: doctor::Kallsyms {
            names: false,
            addresses: false,
            error: Some(format!("could not be read{outside}")),
        },
        environment: doctor::Environment {
            kprobes: false,
            lockdown: None,
            tracefs: Some(format!("/sys/kernel/tracing{outside}")),
            own_tracefs: false,
            bpffs: None,
            cgroups: "hybrid",
            perf_event_paranoid: Some(2),
            unprivileged_bpf_disabled: None,
            kptr_restrict: Some(0),
        },
        capabilities: vec![doctor::Capability {
            name: "CAP_SYSLOG".to_owned(),
            held: false,
            required: false,
            purpose: "shows addresses",
            lost_without: "names of functions",
        }],
        hooks: vec![hook(outside)],
    }
}
