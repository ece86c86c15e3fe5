//! What bytes come from.
use std::io::Read;

/// Plain or compressed bytes.
pub(crate) type Source = Box<dyn Read + Send>;
