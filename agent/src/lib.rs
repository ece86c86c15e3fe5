//! fragwatch: which container creation the kernel could not find memory for, and why.
//!
//! Data goes one way: [`source`] → [`evidence`] → [`creation`] → [`diagnose`] → [`report`].
pub mod allocation;
pub mod async_fd;
pub mod check;
pub mod cli;
pub mod clock;
pub mod container;
pub mod creation;
pub mod diagnose;
pub mod doctor;
pub mod event;
pub mod exit_watchdog;
pub mod explain;
pub mod hook;
pub mod incident;
pub mod kernel;
pub mod lookup;
pub mod node;
pub mod oom_protection;
pub mod orders;
pub mod pipeline;
pub mod privileges;
pub mod replay;
pub mod report;
pub mod site;
pub mod source;
pub mod trace;
pub mod units;
