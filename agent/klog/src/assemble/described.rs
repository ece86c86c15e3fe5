//! The pod that is named above a message: by `kubectl describe`, or by an event that is printed over
//! several lines.
use fragwatch_core::model::program_message::ContainerFailure;

use crate::{
    assemble::log_position::LogPosition,
    parse::described::{Described, Field},
};

/// Namespace and name in the head of a pod's description stand this close together, and the fields
/// of an event's object this close to its beginning.
const HEAD_LINES: u64 = 2;
const OBJECT_LINES: u64 = 9;
/// A description's events are at most this far below its head, and an event's message below its
/// object.
const EVENTS_LINES: u64 = 200;
const MESSAGE_LINES: u64 = 16;

/// What was named last, and where.
#[derive(Debug, Default)]
pub(super) struct Named {
    at: Option<LogPosition>,
    of_event: bool,
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
}

impl Named {
    /// Takes a line.
    pub(super) fn take(&mut self, line: Described, at: &LogPosition) {
        let begin = |of_event| Self { at: Some(at.clone()), of_event, ..Self::default() };
        match line {
            Described::Name(name) => *self = Self { name: Some(name), ..begin(false) },
            Described::EventObject => *self = begin(true),
            Described::Namespace(namespace) if !self.of_event && self.is_near(at, HEAD_LINES) => {
                self.namespace = Some(namespace);
            }
            Described::Field(field, value) if self.of_event && self.is_near(at, OBJECT_LINES) => {
                let known = match field {
                    Field::Name => &mut self.name,
                    Field::Namespace => &mut self.namespace,
                    Field::Uid => &mut self.uid,
                };
                known.get_or_insert(value);
            }
            Described::Namespace(_) | Described::Field(..) => {}
        }
    }

    fn is_near(&self, at: &LogPosition, lines: u64) -> bool {
        // Lines of other sources may lie between these.
        let lines = if at.source == 0 { lines } else { lines * 4 };
        self.at
            .as_ref()
            .is_some_and(|named| named.same_host(at) && named.lines_between(at) <= lines)
    }

    /// Adds the names to a failure below that names no pod.
    pub(super) fn add_to(&self, failure: &mut ContainerFailure, at: &LogPosition) {
        let lines = if self.of_event { MESSAGE_LINES } else { EVENTS_LINES };
        let is_whole = self.name.is_some() && self.namespace.is_some();
        let names_none = failure.pod.is_none() && failure.program.is_none();
        if is_whole && names_none && at.time.is_none() && self.is_near(at, lines) {
            failure.pod.clone_from(&self.name);
            failure.namespace.clone_from(&self.namespace);
            failure.pod_uid = failure.pod_uid.take().or_else(|| self.uid.clone());
        }
    }
}
