//! A kernel's release, parsed once.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kernel's release as `uname -r` or a log prints it (`3.10.0-514.el7.x86_64`). Compare it with
/// [`Self::is_at_least`], never by its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelVersion {
    major: u32,
    minor: u32,
    patch: Option<u32>,
    build: Option<u32>,
    release: String,
}

/// The text is no kernel release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKernelVersion(String);

impl fmt::Display for NoKernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "`{}` is not a kernel release such as 5.14.0-427.el9.x86_64", self.0)
    }
}

impl std::error::Error for NoKernelVersion {}

impl KernelVersion {
    /// The first two numbers.
    pub fn series(&self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// The third number, if the release has one.
    pub fn patch(&self) -> Option<u32> {
        self.patch
    }

    /// The first number behind these: a distribution's own build, such as 514 of
    /// `3.10.0-514.el7.x86_64`.
    pub fn build(&self) -> Option<u32> {
        self.build
    }

    /// Whether it is of this series or a later one.
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.series() >= (major, minor)
    }

    /// Whether it is of Red Hat's Enterprise Linux `number` or a rebuild of that, whose kernels have
    /// more than their series says.
    pub fn is_enterprise_linux(&self, number: u32) -> bool {
        let mark = format!("el{number}");
        self.release
            .split(['.', '-', '_', '+'])
            .any(|word| word.strip_prefix(&mark).is_some_and(|rest| !rest.starts_with(is_digit)))
    }

    /// As it was printed.
    pub fn as_str(&self) -> &str {
        &self.release
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

impl FromStr for KernelVersion {
    type Err = NoKernelVersion;

    fn from_str(release: &str) -> Result<Self, Self::Err> {
        let numbers = release.strip_prefix('v').unwrap_or(release).split(['.', '-', '+']);
        let mut numbers = numbers.map(|number| number.parse::<u32>().ok());
        let mut number = || numbers.next().flatten();
        let (Some(major), Some(minor)) = (number(), number()) else {
            return Err(NoKernelVersion(release.to_owned()));
        };
        let patch = number();
        let build = number();
        Ok(Self { major, minor, patch, build, release: release.to_owned() })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.release)
    }
}

impl Serialize for KernelVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.release)
    }
}

impl<'de> Deserialize<'de> for KernelVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(release: &str) -> KernelVersion {
        release.parse().expect("a release")
    }

    #[test]
    fn releases_are_taken_apart() {
        let el7 = version("3.10.0-514.26.2.el7.x86_64");
        assert_eq!((el7.series(), el7.patch(), el7.build()), ((3, 10), Some(0), Some(514)));
        assert!(el7.is_enterprise_linux(7) && !el7.is_enterprise_linux(8));
        assert!(version("4.18.0-193.el8_2.x86_64").is_enterprise_linux(8));
        let debian = version("6.12.117+deb12-cloud-amd64");
        assert_eq!((debian.series(), debian.patch(), debian.build()), ((6, 12), Some(117), None));
        assert_eq!(version("v6.9-rc1").series(), (6, 9));
        assert_eq!(version("7.2").to_string(), "7.2");
    }

    #[test]
    fn they_are_compared_by_number() {
        assert!(version("5.10.0").is_at_least(5, 8));
        assert!(!version("5.8.0").is_at_least(5, 10));
        assert!(version("10.0").is_at_least(9, 99));
    }

    #[test]
    fn other_text_is_refused_in_a_sentence() {
        for text in ["", "linux", "5", "5.", ".5", "five.ten"] {
            let error = text.parse::<KernelVersion>().expect_err("no release");
            assert!(error.to_string().contains("is not a kernel release"), "{error}");
        }
    }
}
