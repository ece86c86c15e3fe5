//! Stacks and the lines above them: whose they are.
use crate::{
    assemble::{
        Assembler, MAX_KEYS, Owner,
        incident_builder::IncidentBuilder,
        log_position::{Lane, LogPosition},
        stack::{Kind, Stack},
    },
    parse::trace::Trace,
};

impl Assembler {
    pub(super) fn take_trace(&mut self, trace: Trace, at: &LogPosition) {
        match trace {
            Trace::Task { pid, comm, kernel } => {
                if let Some(kernel) = &kernel {
                    self.saw_kernel(kernel, at);
                }
                let kernel = kernel.and_then(|release| release.parse().ok());
                let his = |draft: &IncidentBuilder| {
                    draft.pid.is_none() && draft.comm.as_deref() == Some(comm.as_str())
                };
                let owned = self.owned(at).filter(|draft| his(draft)).map(|draft| draft.id);
                let id = owned.or_else(|| self.youngest(at, his));
                if let Some(draft) = id.and_then(|id| self.draft(id)) {
                    (draft.pid, draft.kernel) = (pid, kernel);
                    draft.touch(at);
                } else if let Some(draft) = self.owned(at)
                    && draft.comm.is_none()
                    && (!draft.caches.is_empty() || draft.percpu.is_some())
                {
                    // These reports say only here which task it was.
                    (draft.pid, draft.comm, draft.kernel) = (pid, Some(comm), kernel);
                    draft.touch(at);
                }
            }
            Trace::Begin => {
                if self.stacks.len() < MAX_KEYS {
                    self.stacks.insert(at.lane(), Stack::new(at, true));
                }
            }
            Trace::Frame(frame) => {
                if self.stacks.len() < MAX_KEYS || self.stacks.contains_key(&at.lane()) {
                    self.stacks
                        .entry(at.lane())
                        .or_insert_with(|| Stack::new(at, false))
                        .push(frame, at);
                }
            }
            Trace::OtherReport => self.set_owner(at.lane(), Owner::NotReported),
        }
    }

    /// A stack is over: finds out whose it was.
    pub(super) fn end_stack(&mut self, lane: &Lane) {
        let Some(stack) = self.stacks.remove(lane) else { return };
        if stack.frames.is_empty() {
            return;
        }
        let kind = stack.kind();
        let fits = |draft: &IncidentBuilder| {
            draft.frames.is_empty()
                && draft.begin.first <= stack.begin.first
                && match kind {
                    Kind::PageAllocator => draft.is_of_page_allocator(),
                    Kind::OomKiller => draft.oom.is_some(),
                    Kind::SlabCache => !draft.caches.is_empty(),
                    Kind::Other => stack.has_heading,
                }
        };
        let owned = self.owned(&stack.begin).filter(|draft| fits(draft)).map(|draft| draft.id);
        // The first of those that wait for one is the one whose stack it is.
        let waiting = || {
            self.open
                .iter()
                .find(|draft| {
                    fits(draft)
                        && draft.end.caller == lane.caller
                        && draft.end.same_host(&stack.end)
                })
                .map(|draft| draft.id)
        };
        let id = owned.or_else(|| if kind == Kind::Other { None } else { waiting() });
        match id.and_then(|id| self.draft(id)) {
            Some(draft) => {
                draft.frames = stack.frames;
                draft.touch(&stack.end);
                let id = draft.id;
                self.set_owner(lane.clone(), Owner::IncidentBuilder(id));
            }
            None if matches!(kind, Kind::PageAllocator | Kind::OomKiller) => {
                // A second stack of the same report, or one whose heading is missing.
                let known = self.owned(&stack.begin).is_some_and(|draft| {
                    draft.begin.first <= stack.begin.first
                        && !draft.memory.begun
                        && !draft.frames.is_empty()
                });
                if !known {
                    self.without_beginning += 1;
                    self.set_owner(lane.clone(), Owner::NotReported);
                }
            }
            None => {}
        }
    }
}
