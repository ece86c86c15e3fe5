//! The `fragwatch` command: everything that needs this machine's kernel, files or processes. The data
//! model, diagnosis and reports are in `fragwatch-core`; logs are parsed by `fragwatch-klog`.
pub mod capture;
pub mod capture_command;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod hook;
pub mod host;
pub mod kernel;
pub mod live;
pub mod lookup;
pub mod output;
pub mod replay;
pub mod serve;
pub mod trace;

pub use fragwatch_cli as cli;
