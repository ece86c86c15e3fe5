//! What a mask says about who asks, in whatever kernel.
use serde::{Deserialize, Serialize};

use crate::model::gfp::{GfpNames, table};

/// What a mask says about its caller and about the pages that it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are bits of a mask")]
pub struct Traits {
    /// `__GFP_NOWARN`: the caller expects that it may fail.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nowarn: bool,
    /// `__GFP_NORETRY`: the kernel shall not try hard.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub noretry: bool,
    /// `__GFP_NOMEMALLOC`: it may have no page of the reserves, whoever asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nomemalloc: bool,
    /// `__GFP_HIGH`: it may have pages below the watermark, and of the atomic reserve.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub high: bool,
    /// `__GFP_DIRECT_RECLAIM`: it may wait until room is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direct_reclaim: bool,
    /// `__GFP_MOVABLE`: it may have pages of CMA.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub movable: bool,
    /// `__GFP_HARDWALL`: its cpuset bounds the nodes that it may use.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hardwall: bool,
}

impl Traits {
    /// What names that a kernel printed say (4.6 and later: `GFP_KERNEL|__GFP_COMP`), of whatever
    /// version it was: of a name that meant different bits at different times, what holds for all
    /// of them. `None` if a name isn't known, as when the line was cut.
    pub fn from_names(names: &str) -> Option<Self> {
        if names == "none" {
            return Some(Self::default());
        }
        let kernels: Vec<GfpNames> = table::TABLES.iter().map(GfpNames::from_table).collect();
        names.split('|').try_fold(Self::default(), |all, name| {
            let name = name.trim();
            // A bit that the kernel itself has no name for.
            let unnamed =
                name.strip_prefix("0x").is_some_and(|n| u32::from_str_radix(n, 16).is_ok());
            if unnamed { Some(all) } else { Some(all.or(Self::of_name(&kernels, name)?)) }
        })
    }

    fn of_name(kernels: &[GfpNames], name: &str) -> Option<Self> {
        kernels.iter().filter_map(|names| Some(names.traits(names.mask(name)?))).reduce(Self::and)
    }

    fn or(self, other: Self) -> Self {
        Self {
            nowarn: self.nowarn || other.nowarn,
            noretry: self.noretry || other.noretry,
            nomemalloc: self.nomemalloc || other.nomemalloc,
            high: self.high || other.high,
            direct_reclaim: self.direct_reclaim || other.direct_reclaim,
            movable: self.movable || other.movable,
            hardwall: self.hardwall || other.hardwall,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            nowarn: self.nowarn && other.nowarn,
            noretry: self.noretry && other.noretry,
            nomemalloc: self.nomemalloc && other.nomemalloc,
            high: self.high && other.high,
            direct_reclaim: self.direct_reclaim && other.direct_reclaim,
            movable: self.movable && other.movable,
            hardwall: self.hardwall && other.hardwall,
        }
    }
}
