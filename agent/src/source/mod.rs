//! Where evidence comes from.
pub mod decode;
pub mod live;
