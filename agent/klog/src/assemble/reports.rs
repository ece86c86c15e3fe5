//! Lines of reports: to which failure each belongs, and which of those are the same.
use fragwatch_core::model::slab::SlabCache;

use crate::{
    assemble::{
        Assembler, Owner, REPORT_GAP,
        incident_builder::{IncidentBuilder, MAX_PARTS, OomBuilder, SlabDraft},
        log_position::LogPosition,
        near,
    },
    parse::{allocation::Header, memory::Memory, oom::Oom, slab::Slab, vmalloc::Vmalloc},
};

impl Assembler {
    pub(super) fn take_vmalloc(&mut self, vmalloc: Vmalloc, at: &LogPosition) {
        let other_comm = |draft: &IncidentBuilder| {
            vmalloc.comm.is_some() && draft.comm.is_some() && draft.comm != vmalloc.comm
        };
        let id = self.owned(at).filter(|draft| {
            !draft.vmalloc.is_empty()
                && draft.header.is_none()
                && !draft.memory.begun
                && !other_comm(draft)
        });
        let id = id.map(|draft| draft.id);
        let draft = self.draft_or_new(id, at);
        if draft.comm.is_none() {
            draft.comm.clone_from(&vmalloc.comm);
        }
        if draft.vmalloc.len() < MAX_PARTS {
            draft.vmalloc.push(vmalloc);
        }
    }

    pub(super) fn take_slab(&mut self, slab: Slab, at: &LogPosition) {
        match slab {
            Slab::OutOfMemory { mask } => {
                // Where the page allocator's own report came first, this is its caller's.
                let inside = self.owned(at).filter(|draft| draft.is_being_printed());
                let inside = inside.map(|draft| draft.id);
                let reported = inside.or_else(|| {
                    self.youngest(at, |draft| {
                        let raw = |header: &Header| header.mask.as_ref().map(|m| m.raw);
                        draft.slab.is_empty()
                            && draft.header.as_ref().is_some_and(|header| {
                                raw(header)
                                    .zip(mask.as_ref())
                                    .is_some_and(|(raw, mask)| raw & mask.raw == mask.raw)
                            })
                    })
                });
                let draft = self.draft_or_new(reported, at);
                draft.slab.push(SlabDraft {
                    mask,
                    name: None,
                    object_size: None,
                    min_order: None,
                    times: 1,
                });
            }
            Slab::Cache { name, object_size, min_order } => {
                let nameless =
                    |draft: &IncidentBuilder| draft.slab.iter().any(|slab| slab.name.is_none());
                // Headings and caches come in the same order.
                let waiting = self.open.iter().find(|draft| nameless(draft)).map(|draft| draft.id);
                let draft = self.draft_or_new(waiting, at);
                let id = draft.id;
                let slab = match draft.slab.iter().position(|slab| slab.name.is_none()) {
                    Some(index) => SlabDraft {
                        name: Some(name),
                        object_size,
                        min_order,
                        ..draft.slab.remove(index)
                    },
                    None => {
                        SlabDraft { mask: None, name: Some(name), object_size, min_order, times: 1 }
                    }
                };
                draft.add_slab(slab);
                self.join_same_cache(id, at);
            }
            Slab::Node => {
                if let Some(draft) = self.owned(at) {
                    draft.touch(at);
                }
            }
            Slab::CreateFailed { name, errno } => {
                let reported = self.youngest(at, |draft| {
                    draft.caches.is_empty() && (draft.header.is_some() || !draft.slab.is_empty())
                });
                let draft = self.draft_or_new(reported, at);
                if draft.caches.len() < MAX_PARTS {
                    draft.caches.push(SlabCache { name, size: None, failed: true, errno });
                }
            }
            Slab::NoConntrackCache => {
                let id =
                    self.youngest(at, |draft| !draft.caches.is_empty() || draft.header.is_some());
                self.draft_or_new(id, at);
            }
        }
    }

    /// Failures of one cache, or of caches of one memory cgroup, are one incident.
    fn join_same_cache(&mut self, id: u64, at: &LogPosition) {
        let Some(index) = self.open.iter().position(|draft| draft.id == id) else { return };
        let young = &self.open[index];
        // One that has a heading of the page allocator's is reported by itself.
        if young.is_of_page_allocator() {
            return;
        }
        let memcg = young.memcg_of_slab();
        let same = |draft: &IncidentBuilder| {
            let caches = || draft.slab.iter().filter_map(|slab| slab.name.as_deref());
            let one_cache =
                young.slab.iter().any(|s| caches().any(|name| Some(name) == s.name.as_deref()));
            draft.id != id
                && !draft.is_of_page_allocator()
                && draft.end.same_host(at)
                && (one_cache || memcg.is_some() && draft.memcg_of_slab() == memcg)
        };
        let Some(older) = self.open.iter().find(|draft| same(draft)).map(|draft| draft.id) else {
            return;
        };
        let mut young = self.open.remove(index);
        let slab = std::mem::take(&mut young.slab);
        let older = self.draft_or_new(Some(older), at);
        for slab in slab {
            older.add_slab(slab);
        }
        older.absorb(young);
    }

    pub(super) fn take_oom(&mut self, oom: Oom, at: &LogPosition) {
        if let Oom::Invoked { comm, .. } = &oom {
            let comm = comm.clone();
            let draft = self.draft_or_new(None, at);
            draft.comm = Some(comm);
            draft.oom.insert(OomBuilder::default()).take(oom);
            return;
        }
        let can_take = |draft: &IncidentBuilder| {
            draft.oom.as_ref().is_some_and(|of| of.can_take(&oom))
                && draft.end.same_host(at)
                && near(&draft.end, at, REPORT_GAP)
        };
        // The killer's lines come from the task that called it; before 5.1 a second one may report the kill.
        let known = self
            .youngest(at, can_take)
            .or_else(|| self.open.iter().rev().find(|draft| can_take(draft)).map(|draft| draft.id));
        let draft = self.draft_or_new(known, at);
        let id = draft.id;
        draft.oom.get_or_insert_default().take(oom);
        self.join_slab_of_container(id);
    }

    /// Slab caches of a container that got no memory, and the OOM kill that came of it.
    fn join_slab_of_container(&mut self, id: u64) {
        let Some(index) = self.open.iter().position(|draft| draft.id == id) else { return };
        let oom = &self.open[index];
        let of_it = |draft: &IncidentBuilder| {
            draft.id != id
                && draft.oom.is_none()
                && !draft.is_of_page_allocator()
                && draft.memcg_of_slab().is_some_and(|memcg| oom.names(memcg))
        };
        let Some(other) = self.open.iter().position(of_it) else { return };
        let slab = self.open.remove(other);
        if let Some(oom) = self.draft(id) {
            oom.absorb(slab);
        }
    }

    pub(super) fn take_memory(&mut self, memory: Memory, at: &LogPosition) {
        let begins = memory == Memory::Begin;
        let wants = |draft: &IncidentBuilder| {
            !draft.memory.begun && (draft.is_of_page_allocator() || draft.oom.is_some())
        };
        let owner = match self.owner.get(&at.lane()) {
            Some(&Owner::IncidentBuilder(id)) => {
                let known = self.open.iter().find(|draft| draft.id == id);
                // A second heading is another report's.
                let fits = known.is_some_and(|draft| {
                    if begins {
                        wants(draft)
                    } else {
                        !draft.memory.ended
                            || matches!(
                                memory,
                                Memory::Ram(_)
                                    | Memory::HighMem(_)
                                    | Memory::FreeSwap(_)
                                    | Memory::TotalSwap(_)
                                    | Memory::Other
                            )
                    }
                });
                if fits {
                    Some(id)
                } else if begins {
                    self.youngest(at, wants)
                } else {
                    None
                }
            }
            Some(Owner::NotReported) => None,
            None => self.youngest(at, wants),
        };
        match owner {
            Some(id) => self.draft_or_new(Some(id), at).memory.take(memory),
            None if begins => {
                self.without_beginning +=
                    u64::from(!matches!(self.owner.get(&at.lane()), Some(Owner::NotReported)));
                self.set_owner(at.lane(), Owner::NotReported);
            }
            None => {}
        }
    }
}
