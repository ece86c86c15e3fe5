//! Slab caches that could not grow or be created (mm/slub.c and mm/slab.c `slab_out_of_memory`,
//! mm/slab_common.c `kmem_cache_create`, net/netfilter/nf_conntrack_core.c).
//!
//! ```text
//! SLUB: Unable to allocate memory on node -1 (gfp=0xd0)                        up to 4.5
//! SLUB: Unable to allocate memory on node -1, gfp=0xcc0(GFP_KERNEL)            4.6
//! SLUB: Unable to allocate memory on CPU 1 (of node 0) on node -1, gfp=0xcc0(GFP_KERNEL)   6.12
//!   cache: sock_inode_cache(158:64bec1), object size: 632, buffer size: 640, default order: 3, min order: 0
//!   node 0: slabs: 8, objs: 363, free: 0
//! kmem_cache_create(nf_conntrack_48971) failed with error -12
//! __kmem_cache_create_args(nf_conntrack_1) failed with error -12              6.12
//! ```
use crate::parse::field::{self, Mask};

/// What was said about a slab cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slab {
    /// A cache got no pages for a new slab: the heading, which doesn't say which cache.
    OutOfMemory {
        /// gfp mask of the object's allocation.
        mask: Option<Mask>,
    },
    /// The line under the heading that names the cache.
    Cache {
        /// Its name, from outside; a memory cgroup's own cache ends in `(id:cgroup)`.
        name: String,
        /// Object size in bytes.
        object_size: Option<u32>,
        /// The smallest order that it can do with.
        min_order: Option<u32>,
    },
    /// How many slabs a node has: nothing that we use.
    Node,
    /// A cache could not be created.
    CreateFailed {
        /// Its name, from outside.
        name: String,
        /// The error as a positive errno.
        errno: Option<i32>,
    },
    /// Connection tracking has no cache and gives up.
    NoConntrackCache,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Slab> {
    let text = text.trim_start();
    if text.starts_with("SLUB: Unable to allocate memory on")
        || text.starts_with("SLAB: Unable to allocate memory on")
    {
        return Some(Slab::OutOfMemory { mask: field::mask(text, "gfp=") });
    }
    if let Some(rest) = text.strip_prefix("cache: ") {
        let (name, sizes) = rest.split_once(", object size: ")?;
        let order =
            field::number(sizes, "min order: ").or_else(|| field::number(sizes, ", order: "));
        return Some(Slab::Cache {
            name: name.to_owned(),
            object_size: field::leading_number(sizes).and_then(|(n, _)| u32::try_from(n).ok()),
            min_order: order.and_then(|order| u32::try_from(order).ok()),
        });
    }
    if text.starts_with("node ") && text.contains(": slabs: ") {
        return Some(Slab::Node);
    }
    if text == "Unable to create nf_conn slab cache" {
        return Some(Slab::NoConntrackCache);
    }
    created(text)
}

fn created(text: &str) -> Option<Slab> {
    let error = |text: &str| field::number(text, "-").and_then(|n| i32::try_from(n).ok());
    if let Some((call, rest)) = text.split_once(") failed with error ") {
        // The line begins with it: source code that is quoted in a log has it in a string.
        let (function, name) = call.split_once('(')?;
        let plain = function.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return (plain && function.contains("kmem_cache_create"))
            .then(|| Slab::CreateFailed { name: name.to_owned(), errno: error(rest) });
    }
    // What precedes a panic.
    let text = text.strip_prefix("Kernel panic - not syncing: ").unwrap_or(text);
    let (function, rest) = text.split_once(": Failed to create slab '")?;
    let (name, rest) = rest.rsplit_once('\'')?;
    matches!(function, "kmem_cache_create" | "__kmem_cache_create_args")
        .then(|| Slab::CreateFailed { name: name.to_owned(), errno: error(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fragwatch_core::model::slab::memcg_of_cache;

    #[test]
    fn headings_of_all_ages() {
        for (text, raw) in [
            ("SLUB: Unable to allocate memory on node -1 (gfp=0xd0)", 0xd0),
            ("SLUB: Unable to allocate memory on node -1, gfp=0xcc0(GFP_KERNEL)", 0xcc0),
            (
                "SLUB: Unable to allocate memory on CPU 1 (of node 0) on node -1, gfp=0x820(GFP_ATOMIC)",
                0x820,
            ),
            ("SLAB: Unable to allocate memory on node 0 (gfp=0x20)", 0x20),
        ] {
            let Some(Slab::OutOfMemory { mask: Some(mask) }) = parse(text) else {
                panic!("{text}")
            };
            assert_eq!(mask.raw, raw, "{text}");
        }
    }

    #[test]
    fn the_cache_has_its_line() {
        let parsed = parse(
            "  cache: dentry(12:a, b(c)), object size: 192, buffer size: 200, default order: 1, min order: 0",
        );
        let name = "dentry(12:a, b(c))".to_owned();
        assert_eq!(parsed, Some(Slab::Cache { name, object_size: Some(192), min_order: Some(0) }));
        let parsed = parse("  cache: size-4096, object size: 4096, order: 1");
        let name = "size-4096".to_owned();
        assert_eq!(parsed, Some(Slab::Cache { name, object_size: Some(4096), min_order: Some(1) }));
        assert_eq!(parse("  node 0: slabs: 8, objs: 363, free: 0"), Some(Slab::Node));
    }

    #[test]
    fn caches_that_were_not_created() {
        for (text, name) in [
            ("kmem_cache_create(nf_conntrack_48971) failed with error -12", "nf_conntrack_48971"),
            ("__kmem_cache_create_args(a(b) failed with error -12", "a(b"),
            ("kmem_cache_create_usercopy(x) failed with error -12", "x"),
            (
                "Kernel panic - not syncing: kmem_cache_create: Failed to create slab 'x'. Error -12",
                "x",
            ),
        ] {
            let expected = Slab::CreateFailed { name: name.to_owned(), errno: Some(12) };
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn quoted_source_code_is_no_failure() {
        for text in [
            "printk(KERN_WARNING \"kmem_cache_create(%s) failed with error %d\",",
            "panic(\"kmem_cache_create: Failed to create slab '%s'. Error %d\\n\",",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_caches_name_tells_its_cgroup() {
        assert_eq!(memcg_of_cache("sock_inode_cache(158:8aff)"), Some((Some(158), "8aff")));
        assert_eq!(memcg_of_cache("kmalloc-64(pod7)"), None);
        assert_eq!(memcg_of_cache("dentry"), None);
    }
}
