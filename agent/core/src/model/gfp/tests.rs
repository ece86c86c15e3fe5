//! Tests of the names of gfp masks.
use super::*;
use crate::{fixtures::names_6_12, model::gfp::table};

#[track_caller]
fn check(raw: u32, flags: &str) {
    assert_eq!(names_6_12().decode(raw).flags.as_deref(), Some(flags), "{raw:#x}");
}

/// Masks with their names as 6.12's own log printed them.
#[test]
fn names_masks_as_the_kernel_does() {
    check(0x40cc0, "GFP_KERNEL|__GFP_COMP");
    check(0xcc0, "GFP_KERNEL");
    check(0x400cc0, "GFP_KERNEL_ACCOUNT");
    check(0x40dc0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO");
    check(0x820, "GFP_ATOMIC");
    check(0x2800, "GFP_NOWAIT");
    check(0x14_0cca, "GFP_HIGHUSER_MOVABLE|__GFP_COMP");
    check(0, "none");
    check(0x4000_0cc0, "GFP_KERNEL|0x40000000");
    check(0x200, "0x200");
}

#[test]
fn a_fallback_needs_both_bits() {
    let names = names_6_12();
    assert!(names.decode(0xd20c0).has_fallback());
    assert!(!names.decode(0x40cc0).has_fallback());
    assert!(!names.decode(0x2800).has_fallback());
}

#[test]
fn a_mask_says_what_its_caller_may_have() {
    let traits = |raw| names_6_12().decode(raw).traits.expect("known bits");
    let kernel = traits(0x40cc0);
    assert!(kernel.direct_reclaim && !kernel.high && !kernel.movable && !kernel.hardwall);
    let atomic = traits(0x820);
    assert!(atomic.high && !atomic.direct_reclaim);
    let user = traits(0x140cca);
    assert!(user.movable && user.hardwall);
}

#[test]
fn unknown_bits_are_not_decoded() {
    let gfp = GfpNames::from_bits(&[]).decode(0x40cc0);
    assert_eq!(gfp, Gfp { raw: 0x40cc0, flags: None, traits: None });
}

#[track_caller]
fn check_release(release: &str, raw: u32, flags: &str) {
    let names = GfpNames::from_release(&version(release)).expect("a release that is known");
    assert_eq!(names.decode(raw).flags.as_deref(), Some(flags), "{release} {raw:#x}");
}

/// Masks that kernels printed with their names: 4.6 and later do.
#[test]
fn tables_name_masks_as_logs_do() {
    for (release, raw, flags) in [
        ("4.8.0-rc1", 0x240c0c0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO"),
        ("4.8.0-rc1", 0x24010c0, "GFP_KERNEL|__GFP_NORETRY"),
        ("4.8.0-rc1", 0x27080c0, "GFP_KERNEL_ACCOUNT|__GFP_ZERO|__GFP_NOTRACK"),
        ("4.8.0-rc1", 0x24200ca, "GFP_HIGHUSER_MOVABLE"),
        ("4.9.24-coreos", 0x2084120, "GFP_ATOMIC|__GFP_COLD|__GFP_COMP"),
        ("4.9.0-5-amd64", 0x2080020, "GFP_ATOMIC"),
        ("4.12.0-rc3", 0x14210d2, "GFP_HIGHUSER|__GFP_NORETRY|__GFP_RECLAIMABLE"),
        ("4.15.0-108-generic", 0x15000c0, "GFP_KERNEL_ACCOUNT"),
        ("4.18.0-513.24.1.el8_9.v1.aarch64", 0x480020, "GFP_ATOMIC"),
        ("4.19.60", 0x484020, "GFP_ATOMIC|__GFP_COMP"),
        ("4.19.4-1.el7.elrepo.x86_64", 0x6000c0, "GFP_KERNEL"),
        ("5.3.0-rc6", 0x40a20, "GFP_ATOMIC|__GFP_COMP"),
        ("5.4.143", 0x40dc0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO"),
        ("5.4.0-29-generic", 0xcc0, "GFP_KERNEL"),
        ("5.4.17-2136.307.3.4.el8uek.x86_64", 0x100cca, "GFP_HIGHUSER_MOVABLE"),
        ("5.7.0-rc3+", 0x1, "GFP_DMA"),
        ("5.9.0-0.rc4.5.fc34.x86_64+debug", 0x800, "GFP_NOWAIT"),
        ("5.10.0-60.18.0.50.oe2203.x86_64", 0x100cca, "GFP_HIGHUSER_MOVABLE"),
        ("5.15.158-2-pve", 0x1100cca, "GFP_HIGHUSER_MOVABLE"),
        ("6.1.1-arch1-1", 0x140dca, "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO"),
        ("6.1.43-android14-11", 0xa20, "GFP_ATOMIC"),
        ("6.8.0+", 0xcc1, "GFP_KERNEL|GFP_DMA"),
        ("6.8.0", 0x820, "GFP_ATOMIC"),
        ("6.11.11-valve17-1-neptune-611-g027868a0ac03", 0xc04, "GFP_NOIO|GFP_DMA32"),
        ("6.17.3-arch2-1-lily", 0xcc0, "GFP_KERNEL"),
    ] {
        check_release(release, raw, flags);
    }
}

/// Masks of kernels that print no names, read from their headers.
#[test]
fn tables_name_masks_of_old_kernels() {
    for (release, raw, flags) in [
        ("2.6.32-754.el6.x86_64", 0x42d0, "GFP_KERNEL|__GFP_NOWARN|__GFP_COMP"),
        ("2.6.31+frans2", 0x8020, "GFP_ATOMIC|__GFP_ZERO"),
        ("2.6.32", 0, "GFP_NOWAIT"),
        ("2.6.38", 0x4352da, "GFP_TRANSHUGE"),
        ("3.10.0-514.el7.x86_64", 0x10c0d0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG"),
        ("3.10.0-514.6.1.el7.x86_64", 0x201da, "GFP_HIGHUSER_MOVABLE|__GFP_COLD"),
        ("3.13.0-29-generic", 0x10c0d0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG"),
        // Which of the two names bit 20 has there isn't known.
        ("3.10.0-862.el7.x86_64", 0x10c0d0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO|0x100000"),
        ("3.10.0-1160.49.1.el7.x86_64", 0xc0d0, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO"),
        ("3.10.0-1160.49.1.el7.x86_64", 0x1000d0, "GFP_KERNEL_ACCOUNT"),
        ("4.1.20-1.9pre", 0xd0, "GFP_KERNEL"),
        ("4.2.3-jh1", 0x204020, "GFP_ATOMIC|__GFP_COMP|__GFP_NOTRACK"),
        ("4.4.0-62-generic", 0x26000c0, "GFP_KERNEL|__GFP_NOTRACK"),
        ("4.4.114+", 0x24000c2, "GFP_KERNEL|__GFP_HIGHMEM"),
        ("5.10.0-37-cloud-amd64", 0x40cc0, "GFP_KERNEL|__GFP_COMP"),
        ("5.10.0-37-cloud-amd64", 0x400cc0, "GFP_KERNEL_ACCOUNT"),
        (
            "v6.1",
            0xd20c0,
            "__GFP_IO|__GFP_FS|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_NOMEMALLOC",
        ),
        ("6.12.107+deb12-cloud-amd64", 0x2800, "GFP_NOWAIT"),
        ("7.2.13+deb14-cloud-amd64", 0x40cc0, "GFP_KERNEL|__GFP_COMP"),
        // el9 took the rest of its mm from later kernels: only what is certain has a name.
        ("5.14.0-362.el9.x86_64", 0xa20, "GFP_ATOMIC"),
        ("5.14.0-427.el9_4.x86_64", 0x820, "__GFP_HIGH|__GFP_KSWAPD_RECLAIM"),
        ("5.14.0-427.el9_4.x86_64", 0x140cca, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"),
    ] {
        check_release(release, raw, flags);
    }
}

#[test]
fn an_unknown_release_has_no_names() {
    for release in
        ["7.3.0", "8.0", "2.6.30-1", "2.6", "2.4.37", "", "el7", "linux", "5", "4294967296.1"]
    {
        let version = release.parse::<KernelVersion>().ok();
        assert!(version.as_ref().and_then(GfpNames::from_release).is_none(), "{release}");
    }
}

/// The table and BTF of the same kernel say the same.
#[test]
fn the_table_of_6_12_is_what_its_btf_has() {
    let table = GfpNames::from_release(&version("6.12.107")).expect("a release that is known");
    for bit in 0..24 {
        for raw in [1 << bit, 0xcc0 | 1 << bit, 0x820 | 1 << bit] {
            assert_eq!(table.decode(raw), names_6_12().decode(raw), "{raw:#x}");
        }
    }
}

#[test]
fn every_table_is_whole() {
    for table in table::TABLES {
        let names = GfpNames::from_table(table);
        for name in ["GFP_KERNEL", "GFP_ATOMIC", "GFP_NOIO", "GFP_NOFS", "GFP_HIGHUSER_MOVABLE"] {
            let mask = names.mask(name).unwrap_or_else(|| panic!("{name} in {:?}", table.releases));
            assert_eq!(names.decode(mask).flags.as_deref(), Some(name), "{:?}", table.releases);
        }
        let traits = |name| names.traits(names.mask(name).expect("it is there"));
        assert!(traits("GFP_KERNEL").direct_reclaim);
        assert!(!traits("GFP_ATOMIC").direct_reclaim && traits("GFP_ATOMIC").high);
    }
}

/// SLUB's first try, a huge page that the program advised, and the huge zero page; what a module asks for with
/// no warning alone has none.
#[test]
fn masks_of_callers_with_a_fallback() {
    let has = |names| {
        let traits = Traits::from_names(names).expect("names of masks");
        Gfp { raw: 0, flags: None, traits: Some(traits) }.has_fallback()
    };
    assert!(has("GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP"));
    assert!(has("GFP_TRANSHUGE"));
    assert!(has("GFP_HIGHUSER|__GFP_COMP|__GFP_ZERO|__GFP_NOWARN|__GFP_NOMEMALLOC"));
    assert!(!has("GFP_KERNEL|__GFP_NOWARN"));
    assert!(!has("GFP_KERNEL|__GFP_NOMEMALLOC"));
    assert!(!has("GFP_KERNEL|__GFP_NORETRY"));
}

#[test]
fn printed_names_say_what_the_mask_says() {
    let of = |names| Traits::from_names(names);
    let release = |release, raw| {
        GfpNames::from_release(&version(release))
            .expect("a release that is known")
            .decode(raw)
            .traits
    };
    assert_eq!(of("GFP_KERNEL|__GFP_COMP|__GFP_ZERO"), release("5.10", 0x40dc0));
    assert_eq!(of("GFP_KERNEL|__GFP_COMP|__GFP_ZERO"), release("4.8", 0x240c0c0));
    assert_eq!(of("GFP_ATOMIC|__GFP_COMP"), release("5.3", 0x40a20));
    assert_eq!(of("GFP_HIGHUSER_MOVABLE"), release("5.15", 0x1100cca));
    assert_eq!(of("__GFP_WAIT|__GFP_NORETRY|__GFP_NOWARN"), release("3.10", 0x1210));
    assert_eq!(of("GFP_KERNEL|0x2000000"), release("5.10", 0xcc0));
    assert_eq!(of("none"), Some(Traits::default()));
    // Since 6.8 it has `__GFP_NOWARN`, before it had not: unsaid.
    assert_eq!(of("GFP_NOWAIT"), Some(Traits::default()));
    for cut in ["GFP_KERNEL|__GFP_CO", "", "GFP_KERNEL|", "0xzz", "GFP_NONE"] {
        assert_eq!(of(cut), None, "{cut}");
    }
}

#[test]
fn a_mask_of_an_unknown_kernel_has_readings() {
    let readings = |raw| {
        let all = GfpNames::readings(raw).into_iter();
        all.map(|r| format!("{}: {}", r.releases, r.gfp.flags.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        readings(0xd0),
        ["2.6.31 to 4.3: GFP_KERNEL", "4.4 to 7.2: __GFP_IO|__GFP_FS|__GFP_RECLAIMABLE",]
    );
    assert_eq!(readings(0x1), ["2.6.31 to 7.2: GFP_DMA"]);
    assert_eq!(
        readings(0x10c0d0),
        [
            "3.0 to 3.15: GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG",
            "4.1 to 4.3: GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_NOACCOUNT",
            "4.4: __GFP_IO|__GFP_FS|__GFP_COMP|__GFP_ZERO|__GFP_RECLAIMABLE|__GFP_NOACCOUNT",
            "4.5 to 5.0: __GFP_IO|__GFP_FS|__GFP_COMP|__GFP_ZERO|__GFP_RECLAIMABLE|__GFP_ACCOUNT",
            "5.1 to 7.2: __GFP_IO|__GFP_FS|__GFP_RETRY_MAYFAIL|__GFP_NOFAIL|__GFP_HARDWALL|\
             __GFP_RECLAIMABLE",
        ]
    );
    assert_eq!(readings(0x8000_0000).len(), 1, "a bit that no kernel has");
}

fn version(release: &str) -> KernelVersion {
    release.parse().expect("a release")
}
