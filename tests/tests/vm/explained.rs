//! What `fragwatch explain` makes of a machine's kernel log.

use std::process::Command;

use serde_json::Value;
use xtask::paths;

use crate::observed::Observed;

/// The incidents that it finds.
pub(crate) fn incidents(run: &Observed) -> Vec<Value> {
    let output = Command::new(paths::target().join("release/fragwatch"))
        .args(["explain", "--format", "json"])
        .arg(run.run.directory.join("dmesg.log"))
        .output()
        .expect("fragwatch was built for the machine");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object a line"));
    lines.filter(|line: &Value| line["type"] == "incident").collect()
}
