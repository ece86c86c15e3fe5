//! Holds the dependencies to `deny.toml`: licences, registries, and crates in two versions. It does
//! what `cargo deny check licenses bans sources` does with these lists, without a tool that takes
//! minutes to build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use harness::paths;
use serde::Deserialize;
use spdx::{Expression, ParseMode};

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

/// More licences that one crate may be under.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may be there beside another: `name@beginning of the version`.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    version: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// None for a member of the workspace.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

fn rules() -> Rules {
    let text = fs::read_to_string(paths::root().join("deny.toml")).expect("deny.toml is there");
    toml::from_str(&text).expect("deny.toml has the lists that are read here")
}

/// The packages that are built on Linux, with all features.
fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").expect("cargo sets it for its tests");
    let output = Command::new(cargo)
        .current_dir(paths::root())
        .args(["metadata", "--format-version=1", "--locked", "--all-features"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let built: BTreeSet<String> = metadata.resolve.nodes.into_iter().map(|node| node.id).collect();
    metadata.packages.into_iter().filter(|package| built.contains(&package.id)).collect()
}

/// Whether what `license` asks for can be had with these licences alone.
fn is_allowed(license: &str, allowed: impl Fn(&str) -> bool) -> bool {
    // Lax: older crates separate alternatives by a slash.
    Expression::parse_mode(license, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|requirement| {
            requirement
                .license
                .id()
                .is_some_and(|id| requirement.addition.is_none() && allowed(id.name))
        })
    })
}

#[test]
fn each_dependency_offers_a_licence_that_is_allowed() {
    let Licenses { allow, exceptions } = rules().licenses;
    let refused: Vec<String> = packages()
        .into_iter()
        .filter(|package| {
            let more = exceptions.iter().find(|exception| exception.name == package.name);
            !is_allowed(package.license.as_deref().unwrap_or_default(), |license| {
                allow.contains(license) || more.is_some_and(|more| more.allow.contains(license))
            })
        })
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(refused.is_empty(), "licences that deny.toml does not allow: {refused:#?}");
}

#[test]
fn licences_are_compared_as_expressions() {
    let mit = |license: &str| is_allowed(license, |license| license == "MIT");
    assert!(mit("MIT"));
    assert!(mit("GPL-2.0-only OR MIT"));
    assert!(mit("MIT/Apache-2.0"));
    assert!(!mit("GPL-2.0-only"));
    assert!(!mit("MIT AND GPL-2.0-only"));
    assert!(!mit(""));
}

#[test]
fn each_dependency_comes_from_the_registry() {
    let others: Vec<String> = packages()
        .into_iter()
        .filter_map(|package| package.source)
        .filter(|source| !source.starts_with("registry+"))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn no_dependency_is_there_in_two_versions() {
    let skip = rules().bans.skip;
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    for package in packages() {
        let version = format!("{}@{}", package.name, package.version);
        if !skip.iter().any(|skip| is_version(&version, &skip.version)) {
            versions.entry(package.name).or_default().push(package.version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(
        versions.is_empty(),
        "use one version, or add to bans.skip in deny.toml: {versions:#?}"
    );
}

/// Whether `version` is `beginning` or goes on with a dot after it.
fn is_version(version: &str, beginning: &str) -> bool {
    version
        .strip_prefix(beginning)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('+'))
}
