//! Charges to a memory cgroup.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::model::gfp::Gfp;

/// A charge to a memory cgroup that came back with an error.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeFailed {
    /// Path of the memory cgroup that was to be charged, as far as it is known.
    pub memcg: Option<String>,
    /// Which of its limits refused, if that is known.
    pub limit_kind: Option<LimitKind>,
    /// gfp mask of the charge, if it is known.
    pub gfp: Option<Gfp>,
    /// How much was to be charged, in bytes.
    pub bytes: Option<u64>,
    /// What the cgroup whose limit it hit was using then, in bytes.
    pub usage: Option<u64>,
    /// That limit, in bytes.
    pub limit: Option<u64>,
    /// How often it was refused in a row, if that was counted: the kernel makes room and tries
    /// again.
    pub refusals: Option<u32>,
    /// The error as a positive errno.
    pub errno: i32,
}

/// One of a memory cgroup's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// `memory.max`, on v1 `memory.limit_in_bytes`.
    Memory,
    /// v1's `memory.kmem.limit_in_bytes`.
    Kmem,
    /// v1's `memory.memsw.limit_in_bytes`.
    MemorySwap,
}
