//! The schema of all lines.
use std::{fs, path::Path};

use schemars::generate::SchemaSettings;

use super::*;

/// The schema that users read. With `UPDATE_SCHEMA=1` it is written.
#[test]
fn the_documented_schema_is_that_of_the_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.json");
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let schema = generator.into_root_schema_for::<Line>();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &text).expect("docs can be written");
    }
    let documented = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        documented == text,
        "docs/schema.json is not the schema of the lines: UPDATE_SCHEMA=1 cargo test -p \
         fragwatch-core schema"
    );
}
