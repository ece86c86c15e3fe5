//! Cases with what is said of them, each beside the one that must not get the same verdict.
use super::*;
use crate::{
    fixtures,
    fixtures::fragmented,
    model::{
        allocation::Outcome,
        event::{ChargeFailed, LimitKind, OomKill, OomScope},
        step::{CreationStep, MemcgReclaims, PernetInit, StepKind},
        verdict::{Cause, Confidence},
    },
};

/// The subsystem that failed in the making of namespaces.
fn pernet_init(step: &mut CreationStep) -> &mut Option<PernetInit> {
    match &mut step.kind {
        StepKind::Namespaces(made) => &mut made.pernet_init,
        other => panic!("{other:?}"),
    }
}

fn verdict(creation: &CreationStep) -> (Cause, Confidence) {
    let verdict = diagnose(&Evidence::step(creation, 4096, &[]));
    (verdict.cause, verdict.confidence)
}

/// Changes the zone that the failed creation's allocation saw.
fn with_zone(change: impl FnOnce(&mut crate::model::zone::Zone)) -> CreationStep {
    let mut creation = fixtures::failed_creation();
    let mut zone = fragmented();
    change(&mut zone);
    if let Some(failure) = &mut creation.allocations[0].failure {
        failure.zones = vec![zone];
    }
    creation
}

#[test]
fn enough_free_pages_without_a_block_is_fragmentation() {
    let creation = fixtures::failed_creation();
    assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
    let creation = fixtures::degraded_creation();
    assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
}

#[test]
fn zone_without_free_pages_is_not_fragmentation() {
    let creation = with_zone(|zone| zone.min_watermark = zone.free);
    assert_eq!(verdict(&creation).0, Cause::Exhaustion);
}

#[test]
fn usable_block_is_inconclusive() {
    let creation = with_zone(|zone| {
        zone.blocks[6] = 1;
        zone.usable_orders = 1 << 6;
    });
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
    // One zone that could have served is enough against it.
    let mut creation = fixtures::failed_creation();
    if let Some(failure) = &mut creation.allocations[0].failure {
        let mut served = fragmented();
        served.blocks[9] = 3;
        served.usable_orders = 1 << 9;
        failure.zones = vec![fragmented(), served];
    }
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn blocks_in_reserves_are_fragmentation() {
    let creation = with_zone(|zone| zone.blocks[6] = 1);
    assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::Medium));
}

#[test]
fn exhausted_zone_beside_a_fragmented_one_is_fragmentation() {
    let mut creation = fixtures::failed_creation();
    if let Some(failure) = &mut creation.allocations[0].failure {
        let mut empty = fragmented();
        empty.min_watermark = empty.free;
        failure.zones = vec![empty, fragmented()];
    }
    assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
}

#[test]
fn unread_zones_are_undetermined() {
    let mut creation = fixtures::failed_creation();
    if let Some(failure) = &mut creation.allocations[0].failure {
        failure.zones_complete = false;
    }
    let verdict = diagnose(&Evidence::step(&creation, 4096, &[]));
    assert_eq!(verdict.cause, Cause::Undetermined);
    assert!(!verdict.not_seen.is_empty());
    let creation = with_zone(|zone| zone.incomplete = true);
    assert_eq!(self::verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn order_0_is_never_fragmentation() {
    let mut creation = fixtures::failed_creation();
    creation.allocations[0].order = 0;
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn allocation_with_fallback_is_no_cause_of_an_error() {
    let mut creation = fixtures::failed_creation();
    creation.allocations[0].outcome = Outcome::FellBack;
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn error_without_failed_allocation_is_undetermined() {
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    assert_eq!(verdict(&creation), (Cause::Undetermined, Confidence::Low));
}

#[test]
fn incomplete_evidence_is_undetermined() {
    let mut creation = fixtures::failed_creation();
    creation.events_lost = true;
    let verdict = diagnose(&Evidence::step(&creation, 4096, &[]));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::Undetermined, Confidence::Low));
    assert!(verdict.because.iter().any(|b| b.contains("fits fragmentation")), "{verdict:?}");
    assert!(verdict.not_seen.iter().any(|n| n.contains("lost")), "{verdict:?}");
}

#[test]
fn gaps_lower_the_confidence() {
    let unobservable = ["direct reclaim".to_owned()];
    let creation = fixtures::failed_creation();
    let verdict_of = diagnose(&Evidence::step(&creation, 4096, &unobservable));
    assert_eq!(
        (verdict_of.cause, verdict_of.confidence),
        (Cause::Fragmentation, Confidence::Medium)
    );
    let mut creation = fixtures::failed_creation();
    creation.errno = Some(libc::EINTR);
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn allocation_outside_the_failed_subsystem_is_no_cause() {
    let other = |creation: &mut CreationStep, errno| {
        if let Some(init) = pernet_init(creation) {
            init.init = Some(fixtures::frame("other_net_init", None));
            init.errno = Some(errno);
        }
    };
    let mut creation = fixtures::failed_creation();
    other(&mut creation, libc::EEXIST);
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
    // It may have ended by calling the function that is on the stack.
    other(&mut creation, libc::ENOMEM);
    assert_eq!(verdict(&creation).0, Cause::Fragmentation);
    let mut creation = fixtures::failed_creation();
    // Taking back what was set up may fail too, after the error.
    creation.allocations[0].failed_ns = creation.pernet_init().map(|i| i.ended_ns + 1);
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn unknown_gfp_mask_is_undetermined() {
    let mut creation = fixtures::failed_creation();
    (creation.allocations[0].gfp.flags, creation.allocations[0].gfp.traits) = (None, None);
    let verdict = diagnose(&Evidence::step(&creation, 4096, &[]));
    assert_eq!(verdict.cause, Cause::Undetermined);
    assert!(verdict.not_seen.iter().any(|n| n.contains("gfp")), "{verdict:?}");
}

/// The failed creation with another mask.
fn with_mask(raw: u32) -> CreationStep {
    let mut creation = fixtures::failed_creation();
    creation.allocations[0].gfp = fixtures::names_6_12().decode(raw);
    creation
}

#[test]
fn gfp_high_or_no_reclaim_lowers_the_confidence() {
    let medium = (Cause::Fragmentation, Confidence::Medium);
    // GFP_ATOMIC may go below the watermark, and no room is made for it.
    assert_eq!(verdict(&with_mask(0x820)), medium);
    assert_eq!(verdict(&with_mask(0xc0)), medium);
    assert_eq!(verdict(&with_mask(0x40cc0)).1, Confidence::High);
    // It may take of the atomic reserve, which a block on a reserve's list may be in.
    let mut creation = with_mask(0x820);
    if let Some(failure) = &mut creation.allocations[0].failure {
        failure.zones[0].blocks[6] = 1;
    }
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn nowarn_and_cpuset_lower_the_confidence() {
    // __GFP_NOWARN: its caller may have had a fallback.
    let medium = (Cause::Fragmentation, Confidence::Medium);
    assert_eq!(verdict(&with_mask(0x42cc0)), medium);
    // __GFP_HARDWALL on two nodes: its cpuset may have allowed one of them alone.
    let mut creation = with_mask(0x140cc0);
    assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
    if let Some(failure) = &mut creation.allocations[0].failure {
        let other = crate::model::zone::Zone { node: Some(1), ..fragmented() };
        failure.zones.push(other);
    }
    assert_eq!(verdict(&creation), medium);
    // A hook that is missing.
    let creation = fixtures::failed_creation();
    let unobservable = ["which subsystem's initialisation failed".to_owned()];
    let verdict = diagnose(&Evidence::step(&creation, 4096, &unobservable));
    assert_eq!((verdict.cause, verdict.confidence), medium);
    assert_eq!(verdict.not_seen, unobservable);
}

#[test]
fn unobservable_outcome_is_undetermined() {
    let creation = fixtures::step_with_failures_unobservable(Some(libc::ENOMEM));
    let unobservable = ["failed allocations".to_owned()];
    let verdict = diagnose(&Evidence::step(&creation, 4096, &unobservable));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::Undetermined, Confidence::Low));
    assert!(verdict.because.iter().any(|b| b.contains("order-6")), "{verdict:?}");
    assert!(verdict.because.iter().any(|b| b.contains("complete")), "{verdict:?}");
    assert!(verdict.not_seen.iter().any(|n| n.contains("asked for ipc")), "{verdict:?}");
    assert!(verdict.not_seen.contains(&unobservable[0]), "{verdict:?}");
    assert!(!verdict.because.iter().any(|b| b.contains("memory cgroup")), "{verdict:?}");
    // A hint, and no more.
    let mut hinted = creation;
    hinted.memcg_reclaims =
        Some(MemcgReclaims { memcg: None, count: 3, reclaimed: 0, stall_ns: 900 });
    let verdict = diagnose(&Evidence::step(&hinted, 4096, &unobservable));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::Undetermined, Confidence::Low));
    assert!(verdict.because.iter().any(|b| b.contains("make room 3 times")), "{verdict:?}");
    // What went well needs no namespace to blame.
    let creation = fixtures::step_with_failures_unobservable(None);
    let verdict = diagnose(&Evidence::step(&creation, 4096, &[]));
    assert!(verdict.not_seen.is_empty(), "{verdict:?}");
}

fn charge() -> ChargeFailed {
    ChargeFailed {
        memcg: Some("/kubepods/pod7".to_owned()),
        limit_kind: Some(LimitKind::Memory),
        gfp: None,
        bytes: Some(4096),
        usage: Some(262_144),
        limit: Some(262_144),
        refusals: Some(19),
        errno: libc::ENOMEM,
    }
}

#[test]
fn failed_charge_is_memcg_limit() {
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    creation.charges.push(charge());
    assert_eq!(verdict(&creation), (Cause::MemcgLimit, Confidence::High));
    // A charge that was tried less often may have been taken in the end.
    creation.charges[0].refusals = Some(3);
    creation.charges[0].limit_kind = Some(LimitKind::Memory);
    assert_eq!(verdict(&creation), (Cause::MemcgLimit, Confidence::Medium));
    creation.charges[0].limit_kind = Some(LimitKind::Kmem);
    assert_eq!(verdict(&creation), (Cause::MemcgLimit, Confidence::High));
}

#[test]
fn refused_charge_needs_the_errno() {
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    creation.charges.push(charge());
    let mut failed_in = |function: &str, errno| {
        creation.errno = Some(errno);
        if let StepKind::Namespaces(made) = &mut creation.kind {
            let init = Some(fixtures::frame(function, None));
            made.pernet_init =
                Some(PernetInit { ended_ns: creation.ended_ns, init, errno: Some(errno) });
        }
        verdict(&creation)
    };
    // The kernel's own subsystem is known to turn ENOMEM into that.
    let known = failed_in("uevent_net_init", libc::ENODEV);
    assert_eq!(known, (Cause::MemcgLimit, Confidence::High));
    let socket = failed_in("icmp_sk_init", libc::ENOBUFS);
    assert_eq!(socket, (Cause::MemcgLimit, Confidence::High));
    let other = failed_in("fw_pernet_init", libc::ENODEV);
    assert_eq!(other, (Cause::MemcgLimit, Confidence::Medium));
    // The kernel forced it over the limit, or it was taken: what failed is something else.
    if let StepKind::Namespaces(made) = &mut creation.kind {
        made.pernet_init = None;
    }
    for errno in [libc::EINTR, libc::ENOSPC, libc::EPERM] {
        creation.errno = Some(errno);
        assert_ne!(verdict(&creation).0, Cause::MemcgLimit, "errno {errno}");
    }
}

#[test]
fn second_fitting_cause_is_named() {
    let mut creation = fixtures::failed_creation();
    creation.charges.push(charge());
    let verdict = diagnose(&Evidence::step(&creation, 4096, &[]));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::MemcgLimit, Confidence::Medium));
    assert!(verdict.because.iter().any(|b| b.contains("fits fragmentation")), "{verdict:?}");
}

fn killed(order: i32, scope: OomScope) -> CreationStep {
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    creation.oom_kills.push(OomKill {
        pid: Some(7),
        comm: Some("x".to_owned()),
        order: Some(order),
        gfp: None,
        scope,
        cgroup_id: None,
        failure: None,
        ..OomKill::default()
    });
    creation
}

#[test]
fn oom_kill_scope_decides_the_cause() {
    let of_cgroup = OomScope::Memcg(Some("/a".to_owned()));
    assert_eq!(verdict(&killed(0, of_cgroup)), (Cause::MemcgLimit, Confidence::High));
    assert_eq!(verdict(&killed(0, OomScope::Node)), (Cause::Exhaustion, Confidence::Medium));
    assert_eq!(verdict(&killed(-1, OomScope::Node)), (Cause::NotMemory, Confidence::High));
    // Above order 0 only the zones distinguish exhaustion from fragmentation.
    assert_eq!(verdict(&killed(1, OomScope::Node)).0, Cause::Undetermined);
    assert_eq!(verdict(&killed(0, OomScope::Unknown)).0, Cause::Undetermined);
}

#[test]
fn no_zone_with_pages_is_exhaustion() {
    let creation = with_zone(|zone| zone.min_watermark = zone.free);
    assert_eq!(verdict(&creation), (Cause::Exhaustion, Confidence::High));
}

#[test]
fn enospc_without_failed_subsystem_is_namespace_limit() {
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    creation.errno = Some(libc::ENOSPC);
    pernet_init(&mut creation).take();
    assert_eq!(verdict(&creation), (Cause::NamespaceLimit, Confidence::High));
    let mut creation = fixtures::failed_creation();
    creation.allocations.clear();
    creation.errno = Some(libc::ENOSPC);
    assert_eq!(verdict(&creation).0, Cause::Undetermined);
}

#[test]
fn node_facts_change_no_verdict() {
    let mut creation = fixtures::failed_creation();
    let mut undetermined = creation.clone();
    undetermined.allocations.clear();
    pernet_init(&mut creation).take();
    for creation in [&creation, &undetermined, &fixtures::degraded_creation()] {
        let without = diagnose(&Evidence::step(creation, 4096, &[]));
        for facts in [crate::model::node::NodeFacts::default(), fixtures::facts(0)] {
            let reading = crate::model::node::Reading { facts: &facts, of_ns: creation.ended_ns };
            let case = Evidence::step(creation, 4096, &[]).with_node(Some(reading));
            assert_eq!(diagnose(&case), without);
        }
    }
}

#[test]
fn node_facts_are_reported_with_their_age() {
    let facts = fixtures::facts(12_000_000);
    let reading = crate::model::node::Reading { facts: &facts, of_ns: 0 };
    let case = Evidence::default().with_node(Some(reading));
    let cgroups = "1,204 of 65,535 memory cgroups (87 dying), 12.0 ms later";
    assert_eq!(case.memory_cgroups_beside().as_deref(), Some(cgroups));
    let slab = "21 MiB of slab that can't be reclaimed in 235 caches, 12.0 ms later";
    assert_eq!(case.slab_beside().as_deref(), Some(slab));
    assert_eq!(Evidence::default().slab_beside(), None);
}
