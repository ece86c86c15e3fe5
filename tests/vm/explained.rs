//! `fragwatch explain` on the kernel log of a machine.

use std::process::Command;

use harness::build;
use serde_json::Value;

use crate::observed::Observed;

/// The incidents that it finds.
pub(crate) fn incidents(run: &Observed) -> Vec<Value> {
    let output = Command::new(build::fragwatch_path())
        .args(["explain", "--format", "json"])
        .arg(run.run.directory.join("dmesg.log"))
        .output()
        .expect("fragwatch was built for the machine");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object a line"));
    lines.filter(|line: &Value| line["type"] == "incident").collect()
}
