//! fragwatch: which container creation the kernel could not find memory for, and why.
//!
//! Data goes one way: [`source`] → [`evidence`] → [`creation`] → [`diagnose`] → [`report`].
pub mod allocation;
pub mod check;
pub mod cli;
pub mod clock;
pub mod container;
pub mod creation;
pub mod diagnose;
pub mod doctor;
pub mod evidence;
pub mod explain;
pub mod hook;
pub mod incident;
pub mod kernel;
pub mod naming;
pub mod node;
pub mod orders;
pub mod privileges;
pub mod readiness;
pub mod replay;
pub mod report;
pub mod site;
pub mod source;
pub mod survive;
pub mod telling;
pub mod trace;
pub mod units;
pub mod watchdog;
