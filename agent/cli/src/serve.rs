//! Arguments of `serve`. Each is a key of the configuration file too, and overrides it.
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;

use crate::{Preference, duration};

/// Arguments of `serve`.
#[derive(Debug, Default, Args)]
#[command(after_help = SERVE_EXIT_CODES)]
pub struct ServeArgs {
    /// Read the configuration from this TOML file. Its keys are the options below without the dashes,
    /// such as store-max-size = "64MiB"; an unknown key is an error
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,
    /// Serve HTTP on this address, or off. Every user who reaches it sees names of pods and cgroups [default:
    /// 127.0.0.1:9823]
    #[arg(long, value_name = "ADDRESS:PORT|off")]
    pub listen: Option<Listen>,
    /// Keep failures and the samples before them in this directory, or off [default: the directory
    /// that systemd made for the service, else /var/lib/fragwatch]
    #[arg(long, value_name = "DIRECTORY|off")]
    pub store: Option<StorePlace>,
    /// What the store may take on disk, such as 64MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub store_max_size: Option<Size>,
    /// What the store leaves free on its file system [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub store_min_free: Option<Size>,
    /// Write this much time before a failure to the store [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub record_before: Option<Duration>,
    /// Write this much time after a failure to the store [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub record_after: Option<Duration>,
    /// An order that containers need on this node, as for check; may be given more than once
    #[arg(long = "order", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub orders: Vec<u32>,
    /// Report at most so many failures a minute of one container or user; further ones are counted
    /// [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub reports_per_minute: Option<u32>,
    /// Report creations that waited for memory longer than this [default: 10ms]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub stall: Option<Duration>,
    /// How to attach, as for trace
    #[arg(long, value_enum)]
    pub attach: Option<Preference>,
}

const SERVE_EXIT_CODES: &str = "\
Exit codes:
  0  ended by SIGINT or SIGTERM, or the configuration is valid
  1  ended early: the kernel's events could not be read
  2  could not start: wrong arguments or configuration, a port or store that can't be used, missing
     capabilities, or a kernel that can't be traced";

/// Where HTTP is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On this address.
    On(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let wrong = "neither off nor an address with a port, such as 127.0.0.1:9823 or [::1]:9823";
        text.parse().map(Self::On).map_err(|_| wrong.to_owned())
    }
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// There is none.
    Off,
    /// In this directory.
    In(PathBuf),
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "" => Err("neither off nor a directory".to_owned()),
            path => Ok(Self::In(path.into())),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Units of sizes: powers of 1024, as memory and file systems have them.
const UNITS: [(&str, u32); 5] = [("", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
        let bytes = unit.and_then(|(_, shift)| number.parse::<u64>().ok()?.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| {
            "not a size: write bytes, or a number with KiB, MiB, GiB or TiB, such as 64MiB"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_or_refused() {
        assert_eq!("1".parse(), Ok(Size(1)));
        assert_eq!("64MiB".parse(), Ok(Size(64 << 20)));
        assert_eq!("2 GiB".parse(), Ok(Size(2 << 30)));
        for wrong in ["", "MiB", "64MB", "-1", "1.5GiB", "99999999999999TiB", "64mib", "64MiB "] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_parsed_or_refused() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert!(matches!("[::1]:9823".parse(), Ok(Listen::On(_))));
        for wrong in ["", "9823", "localhost:9823", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
