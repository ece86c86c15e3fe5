//! Whether KVM works here: tried once, and kept until the host reboots.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Event;
use super::qemu::{Boot, Machine, Next};
use crate::kernel::Kernel;
use crate::paths;

/// A kernel that KVM runs prints its first line well within this time.
const DEADLINE: Duration = Duration::from_secs(5);

/// How QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// The processor runs them.
    Kvm,
    /// QEMU translates them.
    Tcg,
    /// QEMU translates and counts them: two nanoseconds of the guest's time for each, so that times
    /// do not depend on the host.
    Counted,
}

impl Accel {
    /// QEMU's own options for it.
    #[must_use]
    pub fn options(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            // With several threads, QEMU 7.2 now and then dies when the kernel patches itself.
            Self::Tcg => &["-accel", "tcg,thread=single", "-cpu", "max"],
            Self::Counted => {
                &["-accel", "tcg,thread=single", "-cpu", "max", "-icount", "shift=1,sleep=off"]
            }
        }
    }

    /// How many processors the guest has. Counted, it has one: a thread's time would hold what the
    /// others did meanwhile.
    #[must_use]
    pub fn processors(self) -> &'static str {
        match self {
            Self::Kvm | Self::Tcg => "2",
            Self::Counted => "1",
        }
    }

    /// Its name in messages to the user.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulated, because KVM doesn't work here",
            Self::Counted => "emulated, with its instructions counted",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Counted => "counted",
        }
    }
}

/// KVM where it really works, otherwise emulation.
pub fn choose(kernel: &Kernel, observe: &mut dyn FnMut(Event)) -> Result<Accel> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(Accel::Tcg);
    }
    let directory = paths::target().join("vm");
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    let result = directory.join("accel");
    // One process tries it; others wait for the result.
    let lock = directory.join("accel.lock");
    let _lock = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .with_context(|| format!("can't lock {}", lock.display()))?;
    // The result of an earlier boot of the host doesn't count.
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("can't read the host's boot id")?;
    let known = fs::read_to_string(&result).unwrap_or_default();
    for accel in [Accel::Kvm, Accel::Tcg] {
        if known == format!("{} {}\n", boot_id.trim(), accel.name()) {
            return Ok(accel);
        }
    }
    observe(Event::Progress("try whether KVM works here (a few seconds)"));
    let accel = if kvm_boots(kernel, &directory)? { Accel::Kvm } else { Accel::Tcg };
    fs::write(&result, format!("{} {}\n", boot_id.trim(), accel.name()))
        .with_context(|| format!("can't write {}", result.display()))?;
    Ok(accel)
}

/// /dev/kvm may exist and hang, so a kernel must print something.
fn kvm_boots(kernel: &Kernel, directory: &Path) -> Result<bool> {
    let directory = directory.join("probe");
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    let boot = Boot {
        image: kernel.image.clone(),
        initramfs: None,
        disk: None,
        memory_mib: 256,
        nodes: 1,
        port: None,
        append: String::new(),
        accel: Accel::Kvm,
        directory,
    };
    let started = Instant::now();
    let mut machine = Machine::boot(&boot)?;
    while started.elapsed() < DEADLINE {
        if machine.console().contains("Linux version") {
            return Ok(true);
        }
        if matches!(machine.next(Duration::from_millis(50))?, Next::Ended(_)) {
            break;
        }
    }
    Ok(machine.console().contains("Linux version"))
}
