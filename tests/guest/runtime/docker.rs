//! Docker: dockerd, on the node's containerd, and its client.

use std::process::Command;

use anyhow::Result;

use super::daemon::Daemon;
use super::{ARCHIVE, IMAGE, Identity, Runtime, Start, command, containerd};

const CLIENT: &str = "/usr/bin/docker";
const DAEMON: Daemon = Daemon {
    name: "docker",
    command: &["/usr/sbin/dockerd", "--containerd", containerd::SOCKET],
    socket: "/run/docker.sock",
};

/// Docker, with the network that it makes by default.
pub(super) struct Docker;

impl Runtime for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn prepare(&self) -> Result<()> {
        DAEMON.start()?;
        command::must(Command::new(CLIENT).args(["load", "--input", ARCHIVE]))
    }

    fn start(&self, number: u64) -> Result<Start> {
        let name = format!("docker-{number}");
        let id = format!("/run/{name}.id");
        let mut run = Command::new(CLIENT);
        run.args(["run", "--detach", "--name", &name, "--cidfile", &id, IMAGE]);
        let (running, output) = command::run(&mut run)?;
        let identity =
            Identity { id: command::id_in(&id), name: Some(name), ..Identity::default() };
        Ok(Start { running, identity, output })
    }
}
