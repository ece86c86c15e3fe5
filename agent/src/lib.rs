//! The `fragwatch` command: what needs this machine's kernel, files and processes. What the data is and
//! means is in `fragwatch-core`, logs are read by `fragwatch-klog`.
pub mod capture;
pub mod check;
pub mod cli;
pub mod doctor;
pub mod explain;
pub mod hook;
pub mod host;
pub mod kernel;
pub mod live;
pub mod lookup;
pub mod output;
pub mod replay;
pub mod trace;
