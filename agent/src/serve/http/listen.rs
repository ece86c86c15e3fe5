//! The sockets that HTTP is served on.
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::FromRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
};

use crate::{cli::Listen, host::SERVE_SOCKET};

/// Why HTTP can't be served.
#[derive(Debug, thiserror::Error)]
pub(in crate::serve) enum ListenError {
    /// Something else listens there.
    #[error(
        "could not listen on {0}: the port is in use; end what uses it, or choose another with \
         --listen"
    )]
    InUse(SocketAddr),
    /// The kernel refused.
    #[error("could not listen on {0}: {1}; choose another address with --listen, or --listen off")]
    Refused(SocketAddr, io::Error),
    /// Another `serve` answers.
    #[error("fragwatch serve runs already on this node: it answers on {SERVE_SOCKET}")]
    Running,
}

/// Sockets that listen.
pub(in crate::serve) struct Listeners {
    pub(super) tcp: Vec<TcpListener>,
    pub(super) unix: Option<UnixListener>,
}

impl Listeners {
    /// Takes the sockets that systemd passes, else opens one on that address; and that of `check`.
    pub(in crate::serve) fn open(listen: Listen) -> Result<Self, ListenError> {
        if UnixStream::connect(SERVE_SOCKET).is_ok() {
            return Err(ListenError::Running);
        }
        let mut tcp = passed();
        if let Listen::On(address) = listen
            && tcp.is_empty()
        {
            tcp.push(bind(address)?);
        }
        let unix = local().inspect_err(|error| {
            log::info!("could not listen on {SERVE_SOCKET}: {error}; check does without serve");
        });
        Ok(Self { tcp, unix: unix.ok() })
    }

    #[cfg(test)]
    pub(super) fn tcp(listener: TcpListener) -> Self {
        Self { tcp: vec![listener], unix: None }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Refused(address, error),
    })
}

/// Sockets of a `.socket` unit.
fn passed() -> Vec<TcpListener> {
    let passed = sd_notify::listen_fds().into_iter().flatten();
    passed
        .filter_map(|fd| {
            // SAFETY: systemd passed it to this process, and nothing else takes it.
            let listener = unsafe { TcpListener::from_raw_fd(fd) };
            listener.set_nonblocking(true).ok()?;
            Some(listener)
        })
        .collect()
}

fn local() -> io::Result<UnixListener> {
    let path = Path::new(SERVE_SOCKET);
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    // One that is left of a serve that was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
