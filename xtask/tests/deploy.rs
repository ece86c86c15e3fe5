//! Holds what stands in deploy/ to the programs that will read it, and to the documents.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use harness::overhead::TUNABLES;
use harness::paths;
use xtask::setup::checkers;

/// The versions of Kubernetes whose schemas the DaemonSet must fit: old, in between, new.
const KUBERNETES: [&str; 3] = ["1.25", "1.31", "1.37"];
const RULES: &str = "deploy/prometheus/fragwatch.rules.yaml";
const RULES_TEST: &str = "deploy/prometheus/fragwatch.rules.test.yaml";

/// Runs a program in the repository; its output and whether it succeeded.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.current_dir(paths::root()).output().expect("the program was set up");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn text(name: &str) -> String {
    fs::read_to_string(paths::root().join(name)).expect("the file is in the repository")
}

#[test]
fn each_alert_fires_on_its_scenario_and_not_beside_it() {
    let promtool = checkers::promtool().expect("promtool can be had");
    let (passed, output) = run(Command::new(&promtool).args(["check", "rules", RULES]));
    assert!(passed, "{output}");
    let (passed, output) = run(Command::new(&promtool).args(["test", "rules", RULES_TEST]));
    assert!(passed, "{output}");
    let tests = text(RULES_TEST);
    for alert in text(RULES).lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - ");
        let silent = format!("alertname: {alert}\n        exp_alerts: []");
        assert!(tests.contains(&fires), "no test in which {alert} fires");
        assert!(tests.contains(&silent), "no test in which {alert} stays silent");
    }
}

#[test]
fn alerts_use_metrics_that_are_documented() {
    let documented = text("docs/metrics.md");
    let rules = text(RULES);
    let used: BTreeSet<&str> = rules
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("fragwatch_"))
        .map(|name| name.trim_end_matches("_bucket").trim_end_matches("_count"))
        .collect();
    assert!(used.len() > 5, "{used:?}");
    for name in used {
        assert!(documented.contains(name), "{name} is not in docs/metrics.md");
    }
}

#[test]
fn daemonset_fits_three_versions_of_kubernetes() {
    let validate = |file: &str, version: &str| {
        let mut command = checkers::kubernetes_validate().expect("kubernetes-validate can be had");
        run(command.args(["--strict", "--kubernetes-version", version, file]))
    };
    for version in KUBERNETES {
        let (passed, output) = validate("deploy/kubernetes/daemonset.yaml", version);
        assert!(passed, "{version}: {output}");
        assert!(output.contains("daemonset/fragwatch"), "{version}: {output}");
    }
    // The control: a key that Kubernetes does not know.
    let wrong = std::env::temp_dir().join(format!("fragwatch-wrong-{}.yaml", std::process::id()));
    let daemonset =
        text("deploy/kubernetes/daemonset.yaml").replace("readOnlyRootFilesystem", "readOnlyRoot");
    fs::write(&wrong, daemonset).expect("the temporary directory is writable");
    let (passed, output) = validate(&wrong.display().to_string(), KUBERNETES[1]);
    assert!(!passed, "{output}");
    fs::remove_file(&wrong).expect("it was written");
}

#[test]
fn memory_is_measured_with_the_settings_that_are_deployed() {
    let unit = format!("Environment=GLIBC_TUNABLES={TUNABLES}\n");
    assert!(text("deploy/systemd/fragwatch.service").contains(&unit));
    let variable = format!("- name: GLIBC_TUNABLES\n              value: {TUNABLES}\n");
    assert!(text("deploy/kubernetes/daemonset.yaml").contains(&variable));
}

#[test]
fn unit_gives_the_capabilities_that_the_daemonset_gives() {
    let names = |text: &str, from: &str| -> BTreeSet<String> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(from));
        let line = line.unwrap_or_else(|| panic!("no line begins with {from}"));
        line.split(|c: char| !c.is_ascii_uppercase() && c != '_')
            .map(|name| name.trim_start_matches("CAP_").to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    };
    let unit = text("deploy/systemd/fragwatch.service");
    let ambient = names(&unit, "AmbientCapabilities=");
    assert_eq!(ambient, names(&unit, "CapabilityBoundingSet="));
    assert_eq!(ambient, names(&text("deploy/kubernetes/daemonset.yaml"), "add: "));
    assert!(ambient.contains("BPF"), "{ambient:?}");
}
