//! Where the node's facts come from.
use fragwatch_core::model::node::NodeFacts;

/// A source of facts.
pub trait ReadFacts {
    /// Requests facts.
    fn request(&mut self);
    /// The newest facts that have arrived since the last call.
    fn take(&mut self) -> Option<NodeFacts>;
}
