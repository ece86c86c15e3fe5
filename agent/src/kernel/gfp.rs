//! Names of gfp masks on this kernel. The bits move between releases, so they come from the
//! kernel's BTF (`___GFP_*_BIT`, 6.10 and later); without them a mask is printed, not decoded.
use super::btf::Btf;

/// Compound masks and what they are made of (6.12; include/linux/gfp_types.h).
const COMPOUND: &[(&str, &[&str])] = &[
    ("__GFP_RECLAIM", &["__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM"]),
    ("GFP_ATOMIC", &["__GFP_HIGH", "__GFP_KSWAPD_RECLAIM"]),
    ("GFP_NOWAIT", &["__GFP_KSWAPD_RECLAIM", "__GFP_NOWARN"]),
    ("GFP_NOIO", &["__GFP_RECLAIM"]),
    ("GFP_NOFS", &["__GFP_RECLAIM", "__GFP_IO"]),
    ("GFP_KERNEL", &["__GFP_RECLAIM", "__GFP_IO", "__GFP_FS"]),
    ("GFP_KERNEL_ACCOUNT", &["GFP_KERNEL", "__GFP_ACCOUNT"]),
    ("GFP_USER", &["GFP_KERNEL", "__GFP_HARDWALL"]),
    ("GFP_DMA", &["__GFP_DMA"]),
    ("GFP_DMA32", &["__GFP_DMA32"]),
    ("GFP_HIGHUSER", &["GFP_USER", "__GFP_HIGHMEM"]),
    // With `__GFP_SKIP_KASAN` too, which is 0 but on arm64 with KASAN's hardware tags.
    ("GFP_HIGHUSER_MOVABLE", &["GFP_HIGHUSER", "__GFP_MOVABLE"]),
    ("GFP_TRANSHUGE", &["GFP_TRANSHUGE_LIGHT", "__GFP_DIRECT_RECLAIM"]),
];

/// `GFP_TRANSHUGE_LIGHT`: `GFP_HIGHUSER_MOVABLE` and more, without `__GFP_RECLAIM`.
const TRANSHUGE_LIGHT: &[&str] = &[
    "__GFP_IO",
    "__GFP_FS",
    "__GFP_HARDWALL",
    "__GFP_HIGHMEM",
    "__GFP_MOVABLE",
    "__GFP_COMP",
    "__GFP_NOMEMALLOC",
    "__GFP_NOWARN",
];

/// The order in which the kernel looks for names (`__def_gfpflag_names`, 6.12;
/// include/trace/events/mmflags.h).
const ORDER: &[&str] = &[
    "GFP_TRANSHUGE",
    "GFP_TRANSHUGE_LIGHT",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_HIGHUSER",
    "GFP_USER",
    "GFP_KERNEL_ACCOUNT",
    "GFP_KERNEL",
    "GFP_NOFS",
    "GFP_ATOMIC",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_DMA",
    "__GFP_HIGHMEM",
    "GFP_DMA32",
    "__GFP_HIGH",
    "__GFP_IO",
    "__GFP_FS",
    "__GFP_NOWARN",
    "__GFP_RETRY_MAYFAIL",
    "__GFP_NOFAIL",
    "__GFP_NORETRY",
    "__GFP_COMP",
    "__GFP_ZERO",
    "__GFP_NOMEMALLOC",
    "__GFP_MEMALLOC",
    "__GFP_HARDWALL",
    "__GFP_THISNODE",
    "__GFP_RECLAIMABLE",
    "__GFP_MOVABLE",
    "__GFP_ACCOUNT",
    "__GFP_WRITE",
    "__GFP_RECLAIM",
    "__GFP_DIRECT_RECLAIM",
    "__GFP_KSWAPD_RECLAIM",
    "__GFP_ZEROTAGS",
];

/// A gfp mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gfp {
    /// The mask.
    pub raw: u32,
    /// Its names as the kernel's `%pGg` prints them; `None` if this kernel's bits aren't known.
    pub flags: Option<String>,
    /// What it says about the caller; `None` if this kernel's bits aren't known.
    pub traits: Option<Traits>,
}

/// What a mask says about its caller and about the pages that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are bits of a mask")]
pub struct Traits {
    /// `__GFP_NOWARN`: the caller expects that it may fail.
    pub nowarn: bool,
    /// `__GFP_NORETRY`: the kernel shall not try hard.
    pub noretry: bool,
    /// `__GFP_HIGH`: it may have pages below the watermark, and of the atomic reserve.
    pub high: bool,
    /// `__GFP_DIRECT_RECLAIM`: it may wait until room is made.
    pub direct_reclaim: bool,
    /// `__GFP_MOVABLE`: it may have pages of CMA.
    pub movable: bool,
    /// `__GFP_HARDWALL`: its cpuset bounds the nodes that it may use.
    pub hardwall: bool,
}

impl Gfp {
    /// `__GFP_NOWARN` and `__GFP_NORETRY` are both set: the caller mostly has a fallback. False if
    /// that can't be known.
    pub fn has_fallback(&self) -> bool {
        self.traits.is_some_and(|t| t.nowarn && t.noretry)
    }
}

/// This kernel's bits.
#[derive(Clone, Debug, Default)]
pub struct GfpNames {
    /// Masks with their names, in the order in which they are looked for.
    masks: Vec<(u32, String)>,
}

impl GfpNames {
    /// Takes the bits from BTF; knows no name if it has none.
    pub fn from_btf(btf: &Btf) -> Self {
        Self::from_bits(&btf.enum_beginning_with("___GFP_DMA_BIT"))
    }

    fn from_bits(bits: &[(&str, u32)]) -> Self {
        let single: Vec<(u32, String)> = bits
            .iter()
            .filter_map(|&(name, bit)| {
                let name = name.strip_prefix("___GFP_")?.strip_suffix("_BIT")?;
                // Neither has a meaning: a hole, and the end of the enum.
                let real = !name.starts_with("UNUSED") && name != "LAST";
                real.then_some((1u32.checked_shl(bit)?, format!("__GFP_{name}")))
            })
            .collect();
        let ordered = ORDER.iter().filter_map(|n| Some((mask(&single, n)?, (*n).to_owned())));
        // Bits that the kernel has no name for in its own print.
        let others = single.iter().filter(|(_, name)| !ORDER.contains(&name.as_str())).cloned();
        let masks = ordered.chain(others).collect();
        Self { masks }
    }

    /// Whether this kernel's bits are known.
    pub fn known(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Names a mask, as `format_flags` does (lib/vsprintf.c): the first that fits whole is taken
    /// out, then the next; what has no name stays a number.
    pub fn decode(&self, raw: u32) -> Gfp {
        if !self.known() {
            return Gfp { raw, flags: None, traits: None };
        }
        let mut names = Vec::new();
        let mut rest = raw;
        for (mask, name) in &self.masks {
            if rest & mask == *mask {
                names.push(name.clone());
                rest &= !mask;
            }
        }
        if rest != 0 {
            names.push(format!("{rest:#x}"));
        }
        let flags = if names.is_empty() { "none".to_owned() } else { names.join("|") };
        Gfp { raw, flags: Some(flags), traits: Some(self.traits(raw)) }
    }

    fn traits(&self, raw: u32) -> Traits {
        let has = |name: &str| self.masks.iter().any(|(mask, n)| n == name && raw & mask == *mask);
        Traits {
            nowarn: has("__GFP_NOWARN"),
            noretry: has("__GFP_NORETRY"),
            high: has("__GFP_HIGH"),
            direct_reclaim: has("__GFP_DIRECT_RECLAIM"),
            movable: has("__GFP_MOVABLE"),
            hardwall: has("__GFP_HARDWALL"),
        }
    }
}

/// The bits of a name, `None` if the kernel lacks one of them.
fn mask(single: &[(u32, String)], name: &str) -> Option<u32> {
    let parts = if name == "GFP_TRANSHUGE_LIGHT" {
        Some(TRANSHUGE_LIGHT)
    } else {
        COMPOUND.iter().find(|(n, _)| *n == name).map(|&(_, parts)| parts)
    };
    match parts {
        Some(parts) => parts.iter().try_fold(0, |all, part| Some(all | mask(single, part)?)),
        None => single.iter().find(|(_, n)| n == name).map(|&(mask, _)| mask),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The enum as 6.12's BTF has it.
    const BITS_6_12: [&str; 24] = [
        "DMA",
        "HIGHMEM",
        "DMA32",
        "MOVABLE",
        "RECLAIMABLE",
        "HIGH",
        "IO",
        "FS",
        "ZERO",
        "UNUSED",
        "DIRECT_RECLAIM",
        "KSWAPD_RECLAIM",
        "WRITE",
        "NOWARN",
        "RETRY_MAYFAIL",
        "NOFAIL",
        "NORETRY",
        "MEMALLOC",
        "COMP",
        "NOMEMALLOC",
        "HARDWALL",
        "THISNODE",
        "ACCOUNT",
        "ZEROTAGS",
    ];

    pub(crate) fn names_6_12() -> GfpNames {
        let names: Vec<String> = BITS_6_12.iter().map(|n| format!("___GFP_{n}_BIT")).collect();
        let bits: Vec<(&str, u32)> =
            names.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect();
        GfpNames::from_bits(&bits)
    }

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
}
