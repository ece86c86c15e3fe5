//! What can be seen on a kernel: the hooks and what became of each.
mod refusal;

use std::{
    fmt::{self, Display},
    str::FromStr,
};

pub use fragwatch_ebpf::table::{Hook, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::{DisplayFromStr, serde_as, skip_serializing_none};

use strum::IntoStaticStr;

pub use self::refusal::{AttachKind, Reason, Refusal};

/// Whether a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// To the function that it is named after.
    Attached,
    /// To another function, or to tracepoints, that show the same or a part of it.
    Fallback,
    /// Nowhere.
    Missing,
}

/// What a hook is attached to, such as `fentry+fexit:copy_net_ns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// How.
    pub method: Method,
    /// The function by its name in this kernel, or the tracepoints, joined by `+`.
    pub target: String,
}

impl Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method, self.target)
    }
}

/// It is not what [`Via`] is displayed as.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a way to attach, such as `kprobe:warn_alloc`")]
pub struct InvalidVia(String);

impl FromStr for Via {
    type Err = InvalidVia;

    fn from_str(text: &str) -> Result<Self, InvalidVia> {
        let invalid = || InvalidVia(text.to_owned());
        let (method, target) = text.split_once(':').ok_or_else(invalid)?;
        let method = method.parse().map_err(|_| invalid())?;
        Ok(Self { method, target: target.to_owned() })
    }
}

/// What became of one hook.
#[serde_as]
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Which.
    #[serde_as(as = "DisplayFromStr")]
    pub hook: Hook,
    /// What it is attached to; `None` if it is missing.
    #[serde_as(as = "Option<DisplayFromStr>")]
    pub via: Option<Via>,
    /// Whether it is attached.
    pub state: State,
    /// Why it is not attached to the function that it is named after, in a sentence.
    pub why: Option<String>,
    /// The same for programs, each reason once: reports group hooks by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What is not seen because of that, in words; `None` if nothing is lost.
    pub not_seen: Option<String>,
    /// Everything that was tried, in order. Not kept in a capture.
    #[serde(skip)]
    pub attempts: Vec<Attempt>,
}

/// One way to attach that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What.
    pub via: Via,
    /// Why it did not work; `None` if it did.
    pub refusal: Option<Refusal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_is_parsed_from_what_it_is_displayed_as() {
        for text in [
            "fentry+fexit:copy_net_ns",
            "kprobe+kretprobe:ops_init.isra.0",
            "tracepoint:cgroup:cgroup_mkdir+cgroup:cgroup_rename",
        ] {
            assert_eq!(text.parse::<Via>().expect("it is valid").to_string(), text);
        }
        for text in ["", "kprobe", "uprobe:main"] {
            assert_eq!(text.parse::<Via>(), Err(InvalidVia(text.to_owned())));
        }
    }

    #[test]
    fn a_status_reads_as_captures_have_it() {
        let text = r#"{"hook":"slow_path_entered","via":"kprobe:wake_all_kswapds","state":"fallback","why":"a sentence"}"#;
        let status: HookStatus = serde_json::from_str(text).expect("a status");
        assert_eq!(status.hook, Hook::SlowPathEntered);
        assert_eq!(status.via.as_ref().map(|via| via.method), Some(Method::Kprobe));
        assert_eq!(serde_json::to_string(&status).expect("JSON"), text);
        let unknown = text.replace("slow_path_entered", "no_such_hook");
        assert!(serde_json::from_str::<HookStatus>(&unknown).is_err());
    }

    #[test]
    fn a_reason_is_kept_in_captures() {
        let status = HookStatus {
            hook: Hook::AllocationFailed,
            via: None,
            state: State::Missing,
            why: None,
            reasons: vec![
                Reason::KprobesNotBuiltIn,
                Reason::Refused { kind: AttachKind::Fexit, errno: Some(1) },
            ],
            not_seen: None,
            attempts: Vec::new(),
        };
        let text = serde_json::to_string(&status).expect("JSON");
        assert_eq!(serde_json::from_str::<HookStatus>(&text).expect("a status"), status);
    }
}
