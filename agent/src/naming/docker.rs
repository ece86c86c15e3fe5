//! Docker's configuration of a container.
use std::{collections::HashMap, io, path::Path};

use serde::Deserialize;

use super::files;
use crate::container::known::{Known, NamedBy};

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

/// The container with this id.
pub(super) fn container(root: &Path, id: &str) -> io::Result<Option<Known>> {
    let path = root.join(DIRECTORY).join(id).join("config.v2.json");
    let Some(content) = files::read(&path)? else { return Ok(None) };
    let configuration: Configuration = serde_json::from_slice(&content)?;
    let mut known = Known {
        runtime: Some("docker".to_owned()),
        id: Some(id.to_owned()),
        ..Known::by(NamedBy::DockerConfig)
    };
    known.take_annotations(&configuration.config.labels.unwrap_or_default());
    let own = configuration.name.strip_prefix('/').unwrap_or(&configuration.name);
    known.name = known.name.take().or_else(|| files::name(own));
    Ok(Some(known))
}
