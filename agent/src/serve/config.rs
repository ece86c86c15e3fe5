//! The configuration: options, else the file's keys, else defaults.
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use fragwatch_core::{model::step::STALL_NS, units::printable};
use fragwatch_recorder::store;
use serde::Deserialize;

use crate::cli::{self, Listen, Preference, ServeArgs, Size, StorePlace};

/// Where the store is if nothing else says so.
const STORE: &str = "/var/lib/fragwatch";

/// The directories that systemd made for the service, by `StateDirectory=`, with colons between.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The highest order that is accepted, as for options.
const MAX_ORDER: u32 = 20;

/// What holds for this run.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) listen: Listen,
    /// `None` if it is off.
    pub(super) store: Option<store::Options>,
    pub(super) record_before: Duration,
    pub(super) record_after: Duration,
    pub(super) orders: Vec<u32>,
    pub(super) reports_per_minute: u32,
    pub(super) stall: Duration,
    pub(super) attach: Preference,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    /// The file can't be read.
    #[error("could not read the configuration {0}: {1}")]
    Unreadable(String, io::Error),
    /// It is no TOML, or has keys that there are not.
    #[error("could not use the configuration {0}: {1}")]
    Invalid(String, String),
    /// The store would be too small.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// A key's value makes no sense.
    #[error("could not use the configuration {file}: {key} = {value}: {reason}")]
    Value {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The file. Values are those of the options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<String>,
    store: Option<String>,
    store_max_size: Option<String>,
    store_min_free: Option<String>,
    record_before: Option<String>,
    record_after: Option<String>,
    orders: Option<Vec<u32>>,
    reports_per_minute: Option<u32>,
    stall: Option<String>,
    attach: Option<String>,
}

impl Config {
    /// The configuration for these options.
    pub(super) fn read(args: &ServeArgs) -> Result<Self, ConfigError> {
        let path = args.config.as_deref();
        let file = path.map(read).transpose()?.unwrap_or_default();
        let name = path.map(|path| printable(&path.display().to_string())).unwrap_or_default();
        let keys = Keys { file: &name };
        let place = args.store.clone().or(keys.parse("store", file.store)?);
        let directories = env::var(STATE_DIRECTORY).unwrap_or_default();
        let directory = || match directories.split(':').next() {
            None | Some("") => STORE.into(),
            Some(first) => first.into(),
        };
        let size = |given: Option<Size>, default| given.map_or(default, |size| size.0);
        let max_size = args.store_max_size.or(keys.parse("store-max-size", file.store_max_size)?);
        let min_free = args.store_min_free.or(keys.parse("store-min-free", file.store_min_free)?);
        let before = args.record_before.or(keys.duration("record-before", file.record_before)?);
        let after = args.record_after.or(keys.duration("record-after", file.record_after)?);
        let stall = args.stall.or(keys.duration("stall", file.stall)?);
        let recorder = fragwatch_recorder::Options::default();
        let mut orders = if args.orders.is_empty() {
            keys.orders(file.orders.unwrap_or_default())?
        } else {
            args.orders.clone()
        };
        orders.sort_unstable();
        orders.dedup();
        let store_max_size = size(max_size, store::DEFAULT_SIZE);
        if store_max_size < store::MIN_SIZE {
            return Err(store::OpenError::TooSmall(store_max_size).into());
        }
        let store = |directory: PathBuf| store::Options {
            directory,
            max_size: store_max_size,
            min_free: size(min_free, store::DEFAULT_MIN_FREE),
        };
        Ok(Self {
            listen: args
                .listen
                .or(keys.parse("listen", file.listen)?)
                .unwrap_or(Listen::On(([127, 0, 0, 1], 9823).into())),
            store: match place {
                Some(StorePlace::Off) => None,
                Some(StorePlace::In(directory)) => Some(store(directory)),
                None => Some(store(directory())),
            },
            record_before: before.unwrap_or(recorder.before),
            record_after: after.unwrap_or(recorder.after),
            orders,
            reports_per_minute: args
                .reports_per_minute
                .or(keys.reports(file.reports_per_minute)?)
                .unwrap_or(10),
            stall: stall.unwrap_or(Duration::from_nanos(STALL_NS)),
            attach: args.attach.or(keys.attach(file.attach)?).unwrap_or_default(),
        })
    }
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let name = || printable(&path.display().to_string());
    let text = fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(name(), e))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        ConfigError::Invalid(name(), format!("{place}{}", printable(error.message())))
    })
}

/// Parses the values of a file's keys.
struct Keys<'a> {
    file: &'a str,
}

impl Keys<'_> {
    fn parse<T: FromStr<Err = String>>(
        &self,
        key: &'static str,
        value: Option<String>,
    ) -> Result<Option<T>, ConfigError> {
        self.with(key, value, str::parse)
    }

    fn duration(
        &self,
        key: &'static str,
        value: Option<String>,
    ) -> Result<Option<Duration>, ConfigError> {
        self.with(key, value, cli::duration)
    }

    fn attach(&self, value: Option<String>) -> Result<Option<Preference>, ConfigError> {
        self.with("attach", value, |text| clap::ValueEnum::from_str(text, false))
    }

    fn orders(&self, orders: Vec<u32>) -> Result<Vec<u32>, ConfigError> {
        match orders.iter().find(|order| **order > MAX_ORDER) {
            Some(order) => Err(self.error("orders", &order, "no kernel has such an order")),
            None => Ok(orders),
        }
    }

    fn reports(&self, value: Option<u32>) -> Result<Option<u32>, ConfigError> {
        match value {
            Some(0) => Err(self.error("reports-per-minute", &0, "must be at least 1")),
            other => Ok(other),
        }
    }

    fn with<T>(
        &self,
        key: &'static str,
        value: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        parse(&value).map(Some).map_err(|reason| self.error(key, &format!("{value:?}"), &reason))
    }

    fn error(&self, key: &'static str, value: &dyn ToString, reason: &str) -> ConfigError {
        let value = printable(&value.to_string());
        ConfigError::Value { file: self.file.to_owned(), key, value, reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration file, removed when dropped.
    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("fragwatch-config-{name}-{}", std::process::id());
            let path = env::temp_dir().join(name);
            fs::write(&path, text).expect("it can be written");
            Self(path)
        }

        fn args(&self) -> ServeArgs {
            ServeArgs { config: Some(self.0.clone()), ..ServeArgs::default() }
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn options_override_the_file_and_the_file_overrides_defaults() {
        let text = "listen = \"off\"\nstore = \"/data\"\nstore-max-size = \"2MiB\"\n\
                    record-before = \"30s\"\norders = [6, 3, 6]\nattach = \"kprobe\"\n";
        let file = TemporaryFile::new("valid", text);
        let args = ServeArgs { store_max_size: Some(Size(3 << 20)), ..file.args() };
        let config = Config::read(&args).expect("it is valid");
        assert_eq!(config.listen, Listen::Off);
        let store = config.store.expect("it is not off");
        assert_eq!((store.directory, store.max_size), ("/data".into(), 3 << 20));
        assert_eq!(config.record_before, Duration::from_secs(30));
        assert_eq!(config.record_after, Duration::from_mins(1));
        assert_eq!(config.orders, [3, 6]);
        assert_eq!(config.attach, Preference::Kprobe);
        assert_eq!(config.reports_per_minute, 10);
    }

    #[test]
    fn each_mistake_is_a_sentence() {
        let cases = [
            ("unknown", "\nlistn = \"off\"\n", "line 2: unknown field `listn`"),
            ("syntax", "listen = \n", "line 1: "),
            ("type", "listen = 9823\n", "line 1: invalid type: integer `9823`, expected a string"),
            ("port", "listen = \"9823\"\n", "listen = \"9823\": neither off nor an address"),
            ("size", "store-max-size = \"1 parsec\"\n", "not a size"),
            ("zero", "record-after = \"0s\"\n", "must be longer than zero"),
            ("order", "orders = [6, 99]\n", "orders = 99: no kernel has such an order"),
            ("none", "reports-per-minute = 0\n", "must be at least 1"),
            ("attach", "attach = \"hope\"\n", "attach = \"hope\""),
            ("hostile", "\"\\u001b[2J\" = 1\n", "unknown field"),
        ];
        for (name, text, expected) in cases {
            let file = TemporaryFile::new(name, text);
            let error = Config::read(&file.args()).expect_err(name).to_string();
            assert!(error.contains(expected) && !error.contains(['\n', '\u{1b}']), "{error}");
            assert!(error.contains(&*file.0.to_string_lossy()), "{error}");
        }
        let missing = ServeArgs { config: Some("/no/such".into()), ..ServeArgs::default() };
        let error = Config::read(&missing).expect_err("there is no such file").to_string();
        assert!(error.starts_with("could not read the configuration /no/such: "), "{error}");
    }
}
