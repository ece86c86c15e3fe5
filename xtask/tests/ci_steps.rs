//! Follows the steps of the GitHub action and of the GitLab job under `deploy/ci`, with a program in place
//! of fragwatch that writes down how it was called. The arguments must be ones that fragwatch takes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use fragwatch_cli::{Cli, Command as Subcommand, Expect, ReproduceCause, ReproduceFormat};
use harness::paths;
use serde::Deserialize;

#[derive(Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    runs: Runs,
}

#[derive(Deserialize)]
struct Input {
    default: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    using: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    shell: String,
    #[serde(default, rename = "if")]
    condition: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    run: String,
}

#[derive(Deserialize)]
struct Job {
    variables: BTreeMap<String, String>,
    script: Vec<String>,
    artifacts: Artifacts,
}

#[derive(Deserialize)]
struct Artifacts {
    paths: Vec<PathBuf>,
}

/// A directory in which a job runs, removed when dropped.
struct Workspace(PathBuf);

impl Workspace {
    fn new(name: &str, exit_code: u8) -> Self {
        let directory =
            std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("bin")).expect("it can be made");
        let script = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).expect("it can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        };
        script(
            "fragwatch",
            format!(
                "#!/bin/sh\nprintf '%s\\n' \"$@\" > called\n: > fragwatch.jsonl\necho report\nexit {exit_code}\n"
            ),
        );
        script("bin/sudo", "#!/bin/sh\ncase $1 in --*) shift;; esac\nexec \"$@\"\n".to_owned());
        Self(directory)
    }

    /// Runs a step, with `sudo` of our own.
    fn run(&self, text: &str, env: &BTreeMap<String, String>) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", text])
            .current_dir(&self.0)
            .envs(env)
            .env("PATH", format!("{}:{path}", self.0.join("bin").display()))
            .output()
            .expect("bash runs")
    }

    /// The command line that fragwatch was called with.
    fn called(&self) -> Cli {
        let text = fs::read_to_string(self.0.join("called")).expect("fragwatch was called");
        Cli::try_parse_from(["fragwatch"].into_iter().chain(text.lines()))
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &str) -> T {
    let path = paths::root().join(path);
    let text = fs::read_to_string(&path).expect("it is there");
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces `${{ inputs.NAME }}`.
fn fill_in(text: &str, inputs: &BTreeMap<&str, String>) -> String {
    let filled = inputs.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{{ inputs.{name} }}}}"), value)
    });
    assert!(!filled.contains("${{"), "an input is not declared: {filled}");
    filled
}

/// Runs the action to its end. Returns whether it succeeded.
fn run_action(workspace: &Workspace, given: &[(&'static str, &str)]) -> bool {
    let action: Action = read("deploy/ci/github/action.yml");
    assert_eq!(action.runs.using, "composite");
    let mut inputs: BTreeMap<&str, String> = BTreeMap::new();
    for (name, input) in &action.inputs {
        let value =
            given.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
        inputs.insert(name, value.or(input.default.clone()).expect("each required input is given"));
    }
    let mut succeeded = true;
    for step in &action.runs.steps {
        assert_eq!(step.shell, "bash");
        if !succeeded && step.condition.as_deref() != Some("always()") {
            continue;
        }
        let env =
            step.env.iter().map(|(name, value)| (name.clone(), fill_in(value, &inputs))).collect();
        succeeded &= workspace.run(&fill_in(&step.run, &inputs), &env).status.success();
    }
    succeeded
}

/// What both are to call.
fn assert_called(cli: Cli, format: ReproduceFormat) {
    let Subcommand::Reproduce(args) = cli.command else { panic!("another command") };
    let ReproduceCause::Fragmentation(args) = args.cause else { panic!("another cause") };
    assert_eq!(args.order, Some(6));
    assert_eq!(
        args.run.expect.map(|expect: Expect| expect.to_string()).as_deref(),
        Some("fail:fragmentation")
    );
    assert_eq!(args.run.format, format);
    assert_eq!(args.run.record.as_deref(), Some(Path::new("fragwatch.jsonl")));
    assert_eq!(args.run.command, ["sh", "-c", "runc run \"my web\" && echo 'it runs'"]);
}

const COMMAND: &str = "runc run \"my web\" && echo 'it runs'";

#[test]
fn github_action_calls_fragwatch_and_has_its_result() {
    let given =
        [("cause", "fragmentation --order 6"), ("run", COMMAND), ("expect", "fail:fragmentation")];
    for (exit_code, succeeds) in [(0, true), (1, false), (2, false)] {
        let workspace = Workspace::new(&format!("github-{exit_code}"), exit_code);
        assert_eq!(run_action(&workspace, &given), succeeds, "exit code {exit_code}");
        assert_called(workspace.called(), ReproduceFormat::Github);
    }
}

#[test]
fn gitlab_job_calls_fragwatch_and_has_its_result() {
    let mut jobs: BTreeMap<String, Job> = read("deploy/ci/gitlab/fragwatch.yml");
    let mut job = jobs.remove(".fragwatch-reproduce").expect("the job is there");
    for (name, value) in [
        ("CAUSE", "fragmentation --order 6"),
        ("EXPECT", "fail:fragmentation"),
        ("COMMAND", COMMAND),
    ] {
        assert!(job.variables.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
    }
    for exit_code in [0, 1, 2] {
        let workspace = Workspace::new(&format!("gitlab-{exit_code}"), exit_code);
        let output = workspace.run(&job.script.join("\n"), &job.variables);
        assert_eq!(output.status.code(), Some(exit_code.into()));
        assert_called(workspace.called(), ReproduceFormat::Junit);
        for artifact in &job.artifacts.paths {
            assert!(workspace.0.join(artifact).exists(), "{}", artifact.display());
        }
    }
}
