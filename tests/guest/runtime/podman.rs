//! podman, with the network that it makes by default.

use std::process::Command;

use anyhow::Result;

use super::{ARCHIVE, IMAGE, Identity, Runtime, Start, command, configure};

/// There is no systemd and no journal here.
const CONFIGURATION: &str = r#"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
"#;

/// podman, as root.
pub(super) struct Podman;

impl Runtime for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn prepare(&self) -> Result<()> {
        configure("/etc/containers/containers.conf", CONFIGURATION)?;
        command::must(Command::new("/usr/bin/podman").args(["load", "--input", ARCHIVE]))
    }

    fn start(&self, number: u64) -> Result<Start> {
        let name = format!("podman-{number}");
        let id = format!("/run/{name}.id");
        let mut run = Command::new("/usr/bin/podman");
        run.args(["run", "--detach", "--name", &name, "--cidfile", &id, IMAGE]);
        let (running, output) = command::run(&mut run)?;
        let identity =
            Identity { id: command::id_in(&id), name: Some(name), ..Identity::default() };
        Ok(Start { running, identity, output })
    }
}
