//! Docker's configuration of a container.
use std::{collections::HashMap, io, path::Path};

use fragwatch_core::model::identity::{Identity, NamedBy};
use serde::Deserialize;

use super::spec;
use crate::lookup::{files, spec::is_of};

const DIRECTORY: &str = "var/lib/docker/containers";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Configuration {
    name: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Config {
    labels: Option<HashMap<String, String>>,
}

/// The container with this id, of that pod if it is in one.
pub(super) fn container(
    root: &Path,
    id: &str,
    pod_uid: Option<&str>,
) -> io::Result<Option<Identity>> {
    let path = root.join(DIRECTORY).join(id).join("config.v2.json");
    let Some(content) = files::read(&path)? else { return Ok(None) };
    let configuration: Configuration = files::json(&content)?;
    let mut known = Identity {
        runtime: Some("docker".to_owned()),
        id: Some(id.to_owned()),
        ..Identity::by(NamedBy::DockerConfig)
    };
    let labels = configuration.config.labels.unwrap_or_default();
    if is_of(&labels, pod_uid) {
        spec::take_annotations(&mut known, &labels);
    }
    let own = configuration.name.strip_prefix('/').unwrap_or(&configuration.name);
    known.name = known.name.take().or_else(|| files::name(own));
    Ok(Some(known))
}
