//! Which pages to free so that free blocks of given orders come about, and none that is larger.
//!
//! The page allocator merges a free block with its buddy, the other half of the block of the next order
//! (mm/page_alloc.c `__free_one_page`). So of each block that is carved the last page is never freed.

/// Memory that can be carved: blocks of page frames that are all held.
pub(crate) struct Carver {
    /// By frame.
    frames: Vec<(u64, u32)>,
    /// Whole blocks per order, by their first frame's index in `frames`.
    blocks: Vec<Vec<u32>>,
}

/// Frames below this are of the zone for old devices, of which the kernel keeps most to itself.
const DMA_END: u64 = (16 << 20) / super::PAGE;

/// Odd, so that multiplying by it gives a permutation, and neighbours lie far apart.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Carver {
    /// From the frames that are held, each with the page that is there, up to blocks of order `max`.
    pub(crate) fn new(mut frames: Vec<(u64, u32)>, max: u32) -> Self {
        frames.retain(|(frame, _)| *frame >= DMA_END);
        frames.sort_unstable();
        let mut blocks = vec![Vec::new(); max as usize + 1];
        let mut at = 0;
        while at < frames.len() {
            let first = frames[at].0;
            let fits = |order: &u32| {
                let last = at + (1 << order) - 1;
                first.is_multiple_of(1 << order)
                    && frames.get(last).is_some_and(|(frame, _)| *frame == first + (1 << order) - 1)
            };
            let order = (0..=max).take_while(fits).last().unwrap_or(0);
            blocks[order as usize].push(at as u32);
            at += 1 << order;
        }
        // Spread over all nodes and zones.
        for list in &mut blocks {
            list.sort_unstable_by_key(|at| frames[*at as usize].0.wrapping_mul(SCATTER));
        }
        Self { frames, blocks }
    }

    /// Pages in blocks that can be carved.
    pub(crate) fn held(&self) -> u64 {
        let blocks = self.blocks.iter().enumerate().skip(1);
        blocks.map(|(order, list)| (list.len() as u64) << order).sum()
    }

    /// Pages to free for that many more free blocks of an order; fewer if there are not enough held.
    pub(crate) fn carve(&mut self, order: u32, count: u64) -> Vec<u32> {
        let mut pages = Vec::new();
        for _ in 0..count {
            let Some(mut from) = (order as usize + 1..self.blocks.len())
                .find(|order| !self.blocks[*order].is_empty())
            else {
                break;
            };
            let Some(at) = self.blocks[from].pop() else { break };
            while from > order as usize + 1 {
                from -= 1;
                // The lower half is used next, the upper half later.
                self.blocks[from].push(at + (1 << from));
            }
            let half = 1 << order;
            self.blocks[order as usize].push(at + half);
            pages.extend((at..at + half).map(|at| self.frames[at as usize].1));
        }
        pages
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FIRST: u64 = DMA_END + 1024;

    /// Free blocks per order as the buddy allocator would have them.
    fn buddies(free: &BTreeSet<u64>, max: u32) -> Vec<u64> {
        let mut counts = vec![0; max as usize + 1];
        let mut left = free.clone();
        for order in (0..=max).rev() {
            let size = 1_u64 << order;
            let starts: Vec<u64> =
                left.iter().copied().filter(|f| f.is_multiple_of(size)).collect();
            for start in starts {
                if (start..start + size).all(|frame| left.contains(&frame)) {
                    (start..start + size).for_each(|frame| _ = left.remove(&frame));
                    counts[order as usize] += 1;
                }
            }
        }
        counts
    }

    fn carve(frames: impl Iterator<Item = u64>, wanted: &[u64]) -> Vec<u64> {
        // The page of a frame has another number than the frame.
        let frames: Vec<(u64, u32)> = frames.map(|f| (f, (f * 7 % 100_003) as u32)).collect();
        let frame_of = |page: u32| {
            let found = frames.iter().find(|(_, of)| *of == page);
            found.expect("each page is one that is held").0
        };
        let mut carver = Carver::new(frames.clone(), 10);
        let mut free = BTreeSet::new();
        for (order, count) in wanted.iter().enumerate().rev() {
            for page in carver.carve(order as u32, *count) {
                assert!(free.insert(frame_of(page)), "each page is freed once");
            }
        }
        buddies(&free, 10)
    }

    #[test]
    fn every_other_page_is_free() {
        let counts = carve(FIRST..FIRST + 4096, &[2048]);
        assert_eq!(counts, [2048, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn more_than_half_is_free_without_a_larger_block() {
        let counts = carve(FIRST..FIRST + 4096, &[64, 64, 64, 64, 64, 64]);
        assert_eq!(counts, [64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn any_distribution_comes_about_from_scattered_frames() {
        // Every 37th frame belongs to something else.
        let frames = (FIRST..FIRST + 40_000).filter(|frame| frame % 37 != 3);
        let counts = carve(frames, &[1163, 1101, 932, 222]);
        assert_eq!(counts[..4], [1163, 1101, 932, 222]);
        assert_eq!(counts[4..], [0; 7]);
    }

    #[test]
    fn no_more_is_freed_than_is_held() {
        assert_eq!(carve(FIRST..FIRST + 8, &[100])[0], 4);
        assert_eq!(carve(std::iter::empty(), &[100]), [0; 11]);
        assert_eq!(carve(FIRST + 1..FIRST + 2, &[1]), [0; 11]);
    }
}
