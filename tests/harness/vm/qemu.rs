//! One QEMU process: started, read from, and always killed and reaped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::accel::Accel;
use crate::network;

const COMMAND_LINE: &str = "console=ttyS0 oops=panic panic=-1 log_buf_len=4M";
const TAIL: usize = 30;
const POWER_OFF: Duration = Duration::from_secs(10);

/// What to boot and how.
pub struct Boot {
    /// The kernel.
    pub image: PathBuf,
    /// Its first file system; without one it panics, which suffices for a trial.
    pub initramfs: Option<PathBuf>,
    /// Its disk, if it has one; what is written there is forgotten.
    pub disk: Option<PathBuf>,
    /// The guest's memory.
    pub memory_mib: u32,
    /// On how many NUMA nodes that is.
    pub nodes: u32,
    /// What the kernel's command line ends with.
    pub append: String,
    /// A port of this machine's loopback interface that is forwarded to the guest's fragwatch.
    pub port: Option<u16>,
    /// How the guest's instructions are run.
    pub accel: Accel,
    /// Where the console's text goes.
    pub directory: PathBuf,
}

/// A running machine. Dropping it kills it.
pub struct Machine {
    child: Child,
    lines: Receiver<String>,
    console: PathBuf,
}

/// What came next.
pub enum Next {
    /// A line on the guest's channel.
    Line(String),
    /// Nothing, for the time that was given.
    Silence,
    /// QEMU is gone; how it ended.
    Ended(String),
}

impl Machine {
    /// Starts QEMU: the first serial port is the console, the second the guest's channel.
    pub fn boot(boot: &Boot) -> Result<Self> {
        let console = boot.directory.join("console.log");
        let log = boot.directory.join("qemu.log");
        let errors =
            File::create(&log).with_context(|| format!("can't create {}", log.display()))?;
        // An old console must not be taken for this one's.
        File::create(&console).with_context(|| format!("can't create {}", console.display()))?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(boot.accel.options())
            .args(["-smp", boot.accel.processors(), "-m", &boot.memory_mib.to_string()])
            .arg("-kernel")
            .arg(&boot.image)
            .args(["-append", &format!("{COMMAND_LINE} {}", boot.append)])
            .args(["-serial", &format!("file:{}", console.display())])
            .args(["-chardev", "stdio,id=channel,signal=off", "-serial", "chardev:channel"]);
        if boot.nodes > 1 {
            let size = boot.memory_mib / boot.nodes;
            for node in 0..boot.nodes {
                command
                    .args(["-object", &format!("memory-backend-ram,id=node{node},size={size}M")])
                    .args(["-numa", &format!("node,nodeid={node},memdev=node{node}")]);
            }
        }
        if let Some(initramfs) = &boot.initramfs {
            command.arg("-initrd").arg(initramfs);
        }
        if let Some(disk) = &boot.disk {
            // The kernels have no module for it: it is built in. A comma ends a value, two are one.
            let file = disk.display().to_string().replace(',', ",,");
            command
                .args(["-drive", &format!("if=none,id=disk,format=raw,snapshot=on,file={file}")])
                .args(["-device", "nvme,drive=disk,serial=disk"]);
        }
        if let Some(port) = boot.port {
            let forward = format!("hostfwd=tcp:127.0.0.1:{port}-:{}", network::PORT);
            command
                .args(["-netdev", &format!("user,id=network,restrict=on,{forward}")])
                .args(["-device", "virtio-net-pci,netdev=network,romfile="]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // Ctrl-C is for us; we end QEMU.
        command.process_group(0);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let mut child =
            command.spawn().context("can't start qemu-system-x86_64: run `cargo xtask setup`")?;
        let stdout = child.stdout.take().context("QEMU has no stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            while matches!(stdout.read_until(b'\n', &mut line), Ok(length) if length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { child, lines, console })
    }

    /// QEMU's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the guest.
    pub fn next(&mut self, timeout: Duration) -> Result<Next> {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Ok(Next::Line(line)),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Silence),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().context("can't wait for QEMU")?;
                let log = fs::read_to_string(self.console.with_file_name("qemu.log"));
                let errors = log.unwrap_or_default().trim().replace('\n', "; ");
                let errors = if errors.is_empty() { errors } else { format!(": {errors}") };
                Ok(Next::Ended(format!("{status}{errors}")))
            }
        }
    }

    /// The console's text.
    #[must_use]
    pub fn console(&self) -> String {
        let mut bytes = Vec::new();
        // Before QEMU has opened it, there is nothing in it.
        let _ = File::open(&self.console).and_then(|mut file| file.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// The kernel's panic message, if it panicked.
    #[must_use]
    pub fn panic(&self) -> Option<String> {
        let console = self.console();
        let (_, message) = console.split_once("Kernel panic - not syncing")?;
        Some(format!("Kernel panic{}", message.lines().next().unwrap_or_default()))
    }

    /// The console's last lines, as the end of an error's sentence.
    #[must_use]
    pub fn console_tail(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        if lines.is_empty() {
            return "its console stayed empty".to_owned();
        }
        let tail = &lines[lines.len().saturating_sub(TAIL)..];
        format!("the last lines of {}:\n  {}", self.console.display(), tail.join("\n  "))
    }

    /// Gives the guest the time to power off by itself.
    pub fn wait_for_power_off(&mut self) {
        let deadline = Instant::now() + POWER_OFF;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
