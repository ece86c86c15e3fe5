//! A pod's limit on kernel memory alone (cgroup v1, before 6.1) is reached, and network namespaces
//! can't be made in it. The control's pod has the same limit with room.

use anyhow::Result;

use super::Node;
use super::memcg_limit::{self, Limit};

const KMEM: Limit =
    Limit { most: "memory.kmem.limit_in_bytes", usage: "memory.kmem.usage_in_bytes", drain: None };

pub(super) fn run(node: &mut Node) -> Result<()> {
    memcg_limit::reach(node, "kmem", &KMEM, &[])
}
