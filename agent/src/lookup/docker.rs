//! Names from Docker's configuration files of containers.
use std::{collections::HashMap, io, path::Path};

use fragwatch_core::model::identity::{Identity, NamedBy};
use serde::Deserialize;

use crate::lookup::{
    files,
    spec::{self, belongs_to},
};

const DIRECTORY: &str = "var/lib/docker/containers";

/// `config.v2.json`
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Configuration {
    name: String,
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    labels: Option<HashMap<String, String>>,
}

/// The container with this id. Labels are trusted only if they name the pod `pod_uid`.
pub(super) fn container(
    root: &Path,
    id: &str,
    pod_uid: Option<&str>,
) -> io::Result<Option<Identity>> {
    let path = root.join(DIRECTORY).join(id).join("config.v2.json");
    let Some(content) = files::read(&path)? else { return Ok(None) };
    let configuration: Configuration = files::json(&content)?;
    let mut identity = Identity {
        runtime: Some("docker".to_owned()),
        id: Some(id.to_owned()),
        ..Identity::by(NamedBy::DockerConfig)
    };
    let labels = configuration.config.labels.unwrap_or_default();
    if belongs_to(&labels, pod_uid) {
        spec::apply_annotations(&mut identity, &labels);
    }
    let docker_name = configuration.name.strip_prefix('/').unwrap_or(&configuration.name);
    identity.name = identity.name.take().or_else(|| files::name(docker_name));
    Ok(Some(identity))
}
