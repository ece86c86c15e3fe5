//! runc and crun alone, in the cgroup of a pod.

use std::process::Command;

use anyhow::Result;

use super::pod::Pod;
use super::{Runtime, Start, command};
use crate::container;

/// One of the two: their commands are the same.
pub(super) struct Oci {
    name: &'static str,
    program: &'static str,
}

impl Oci {
    /// What most others call.
    pub(super) const RUNC: Self = Self { name: "runc", program: "/usr/sbin/runc" };
    /// The one in C.
    pub(super) const CRUN: Self = Self { name: "crun", program: "/usr/bin/crun" };
}

impl Runtime for Oci {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn start(&self, number: u64) -> Result<Start> {
        let pod = Pod::make(self.name, number)?;
        let id = container::container_id(number);
        container::configure(&format!("{}/{id}", pod.cgroup()), &container::SLEEP)?;
        let mut run = Command::new(self.program);
        run.args(["run", "--detach", "--bundle", container::BUNDLE, &id]);
        let (running, output) = command::run(&mut run)?;
        Ok(Start { running, identity: pod.identity(Some(id)), output })
    }
}
