//! A Debian whose process 1 is systemd. It starts this program again, as a service that runs the
//! scenario.

use std::convert::Infallible;
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result};
use harness::job::{self, PACKAGE};
use nix::unistd::execv;

use crate::{package, root};

const SYSTEMD: &CStr = c"/lib/systemd/systemd";
/// This program, in the initramfs and then on the disk.
const GUEST: &str = "/init";
const UNIT: &str = "/etc/systemd/system/scenario.service";
const WANTED: &str = "/etc/systemd/system/multi-user.target.wants/scenario.service";

/// Makes the disk the root and becomes its systemd. Returns only if that fails.
pub(crate) fn become_systemd() -> Result<()> {
    root::bring_in(&[GUEST, job::PATH, PACKAGE])?;
    let unit = format!(
        "[Unit]\nAfter=network.target\n[Service]\nType=exec\nExecStart={GUEST} {}\n\
         StandardOutput=null\nStandardError=tty\nTTYPath=/dev/console\n",
        package::CHILD
    );
    fs::write(UNIT, unit).with_context(|| format!("can't write {UNIT}"))?;
    let _ = fs::create_dir_all(WANTED.trim_end_matches("/scenario.service"));
    symlink(UNIT, WANTED).with_context(|| format!("can't link {WANTED}"))?;
    let error: Result<Infallible, _> = execv(SYSTEMD, &[SYSTEMD]);
    error.map(drop).with_context(|| format!("can't run {}", SYSTEMD.to_string_lossy()))
}
