//! The network of a machine whose fragwatch is reached from this one.

/// The port that fragwatch listens on in the guest.
pub const PORT: u16 = 9823;

/// The guest's address, as QEMU's user network has it.
pub const ADDRESS: &str = "10.0.2.15";

/// The modules of its network card, in the order in which they are loaded. The kernel unpacks them (since
/// 5.17).
pub const MODULES: [&str; 3] = [
    "kernel/net/core/failover.ko.xz",
    "kernel/drivers/net/net_failover.ko.xz",
    "kernel/drivers/net/virtio_net.ko.xz",
];

/// Where a module is in the guest.
#[must_use]
pub fn in_guest(module: &str) -> String {
    format!("/{}", module.rsplit('/').next().unwrap_or(module))
}
