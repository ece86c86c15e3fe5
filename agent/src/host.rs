//! The machine and this process: clocks, capabilities, cgroups, and the node's facts.
pub mod clock;
pub mod exit_watchdog;
pub mod hierarchy;
pub mod node;
pub mod oom_protection;
pub mod orders;
pub mod own_memory;
pub mod privileges;

/// Where `fragwatch serve` answers `fragwatch check`, whatever its port is. Every user may connect.
pub const SERVE_SOCKET: &str = "/run/fragwatch/serve.sock";
