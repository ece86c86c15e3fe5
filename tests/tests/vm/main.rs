//! Boots each scenario once, beside the real fragwatch, and judges what it printed against what
//! the kernel and runc of the same machine said.

mod burst;
mod check;
mod doctor;
mod endings;
mod explained;
mod fallback;
mod flood;
mod harness;
mod healthy;
mod memcg_limit;
mod observed;
mod order6;
mod recorded;
mod tracepoints;
