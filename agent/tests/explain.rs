//! `fragwatch explain` on logs of real incidents, and on other input.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/incidents")
}

fn explain(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
    command.arg("explain").args(args).current_dir(fixtures());
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

#[track_caller]
fn run(args: &[&str]) -> Output {
    explain(args).output().expect("the binary was built")
}

#[track_caller]
fn text(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("reports are UTF-8")
}

#[track_caller]
fn json(args: &[&str]) -> Vec<Value> {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    let lines = text(&all);
    lines.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn incidents(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object["type"] == "incident").collect()
}

/// Runs `fragwatch explain` with `input` as standard input.
#[track_caller]
fn of_input(input: &[u8], args: &[&str]) -> Output {
    let mut child = explain(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // The process may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

const LOG_2017: &str = "2017-el7-order6-nf_conntrack.log";
const LOG_2018: &str = "2018-el7-slub-memcg-kmem.log";
const LOG_2019: &str = "2019-tke-order6-kubelet.log";
const LOG_2022: &str = "2022-el7-order6-kmem_cache_create.log";
const LOG_2023: &str = "2023-el7-memcg-ids-mkdir.log";

#[test]
fn text_reports_of_real_incidents() {
    for (name, args) in [
        ("2017", vec![LOG_2017]),
        ("2018", vec![LOG_2018]),
        ("2018_kernel", vec![LOG_2018, "--kernel", "3.10.0-862.el7.x86_64"]),
        ("2019", vec![LOG_2019, "2019-tke-order6-buddyinfo.txt"]),
        ("2022", vec![LOG_2022]),
        ("2022_buddyinfo", vec![LOG_2022, "2022-el7-order6-buddyinfo-bad.txt"]),
        ("2023", vec![LOG_2023]),
    ] {
        insta::assert_snapshot!(format!("text_{name}"), text(&args));
    }
}

#[test]
fn json_reports_of_real_incidents() {
    for (name, args) in [
        ("2017", vec![LOG_2017]),
        ("2018", vec![LOG_2018]),
        ("2019", vec![LOG_2019, "2019-tke-order6-buddyinfo.txt"]),
        ("2022", vec![LOG_2022, "2022-el7-order6-buddyinfo-bad.txt"]),
        ("2023", vec![LOG_2023]),
    ] {
        let objects = json(&args);
        let lines: Vec<String> = objects
            .iter()
            .map(|object| serde_json::to_string_pretty(object).expect("it was JSON"))
            .collect();
        insta::assert_snapshot!(format!("json_{name}"), lines.join("\n"));
    }
}

#[test]
fn the_2017_incident_is_fragmentation_while_cgroup_ids_grew() {
    let objects = json(&[LOG_2017]);
    let [incident] = incidents(&objects)[..] else { panic!("{objects:?}") };
    let allocation = &incident["allocations"][0];
    assert_eq!(allocation["order"], 6);
    assert_eq!(allocation["gfp"]["raw"], "0x10c0d0");
    assert_eq!(allocation["gfp"]["flags"], "GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG");
    assert_eq!(allocation["site"], "memcg_register_cache");
    let stack = allocation["stack"].as_array().expect("a stack");
    assert_eq!(stack.last().and_then(Value::as_str), Some("copy_net_ns"));
    assert_eq!(allocation["zone"]["free_kib"], 311_184);
    assert_eq!(allocation["zone"]["largest_order"], 5);
    assert_eq!(incident["kernel"], "3.10.0-514.el7.x86_64");
    assert_eq!((&incident["comm"], &incident["pid"]), (&"exe".into(), &18_377.into()));
    assert_eq!(incident["slab_caches"][0]["errno"], "ENOMEM");
    let id = incident["container"]["id"].as_str().expect("a container");
    assert!(id.starts_with("64bec16ba46d"));
    let verdict = &incident["verdict"];
    assert_eq!(verdict["cause"], "fragmentation");
    assert_eq!(verdict["confidence"], "high");
    assert!(verdict["because"].to_string().contains("growth of memory cgroup ids"));
}

#[test]
fn the_2018_incident_is_a_kernel_memory_limit() {
    let objects = json(&[LOG_2018]);
    let [incident] = incidents(&objects)[..] else { panic!("{objects:?}") };
    assert_eq!(incident["verdict"]["cause"], "memcg-limit");
    let id = incident["container"]["id"].as_str().expect("a container");
    assert!(id.starts_with("8aff71103b35"));
    assert_eq!(incident["slab_failures"][0]["min_order"], 0);
}

#[test]
fn a_later_buddyinfo_is_no_evidence() {
    for later in [
        vec![],
        vec!["2022-el7-order6-buddyinfo-bad.txt"],
        vec!["2022-el7-order6-buddyinfo-good.txt"],
    ] {
        let mut args = vec![LOG_2022];
        args.extend(&later);
        let objects = json(&args);
        let [incident] = incidents(&objects)[..] else { panic!("{objects:?}") };
        assert_eq!(incident["allocations"][0]["order"], 6);
        assert_eq!(incident["allocations"][0]["gfp"]["flags"], "GFP_KERNEL|__GFP_COMP|__GFP_ZERO");
        // Order 6 and no Mem-Info: a hypothesis, with how to confirm it and what to do.
        assert_eq!(incident["verdict"]["cause"], "fragmentation");
        assert_eq!(incident["verdict"]["confidence"], "low");
        let verdict = incident["verdict"].to_string();
        for part in ["/proc/buddyinfo", "compact_memory", "cgroup.memory=nokmem"] {
            assert!(verdict.contains(part), "{part}: {verdict}");
        }
        assert!(!verdict.contains("compaction_proactiveness"), "{verdict}");
        if later == ["2022-el7-order6-buddyinfo-bad.txt"] {
            let not_seen = incident["verdict"]["not_seen"].to_string();
            assert!(not_seen.contains("13223 of order 6"), "{not_seen}");
        }
    }
}

#[test]
fn the_2023_incident_is_memcg_ids_with_a_way_to_confirm_it() {
    let objects = json(&[LOG_2023]);
    let [incident] = incidents(&objects)[..] else { panic!("{objects:?}") };
    assert_eq!(incident["verdict"]["cause"], "memcg-ids");
    assert_ne!(incident["verdict"]["confidence"], "high");
    assert!(incident["verdict"]["not_seen"].to_string().contains("/proc/cgroups"));
}

#[test]
fn a_gfp_mask_without_kernel_version_has_all_interpretations() {
    let objects = json(&[LOG_2019]);
    let found = incidents(&objects);
    assert_eq!(found.len(), 2);
    let incident = found[1];
    assert_eq!(incident["allocations"][0]["gfp"]["raw"], "0x10c0d0");
    assert_eq!(incident["allocations"][0]["gfp"]["flags"], Value::Null);
    let readings = incident["gfp_readings"].to_string();
    assert!(readings.contains("GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG"), "{readings}");
    assert_eq!(incident["container"]["pod"], "matchdataserver-1255064836-t4b2w");
    let known = json(&["--kernel", "3.10.0-514.el7", LOG_2019]);
    assert_eq!(
        incidents(&known)[1]["allocations"][0]["gfp"]["flags"],
        "GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG"
    );
}

#[test]
fn failures_without_memory_shortage_are_not_fragmentation() {
    for line in [
        "docker: Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": executable file not found in $PATH: unknown.",
        "runc run failed: unable to start container process: error during container init: error adding seccomp filter rule for syscall bdflush: permission denied",
        "nsexec-1[77]: failed to unshare user namespace: Operation not permitted",
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error mounting \"overlay\": no such device: unknown",
        "Failed to start container: modprobe: FATAL: Module nf_conntrack not found in directory /lib/modules/6.1.0",
        "failed to unshare remaining namespaces: No space left on device",
        "cgroup: fork rejected by pids controller in /docker/7",
    ] {
        let output = of_input(format!("{line}\n").as_bytes(), &["--format", "json", "-"]);
        assert_eq!(output.status.code(), Some(0), "{line}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let objects: Vec<Value> =
            stdout.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        for incident in incidents(&objects) {
            let cause = incident["verdict"]["cause"].as_str().unwrap_or_default();
            assert!(
                ["not-memory", "namespace-limit", "pids-limit"].contains(&cause),
                "{line}: {cause}"
            );
        }
    }
}

#[test]
fn input_without_failures_reports_nothing_found() {
    for input in [&b""[..], b"\n\n", b"hello world\n", &[0; 5000], &[0xff; 5000]] {
        let output = of_input(input, &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("nothing found in 1 log"),
            "{output:?}"
        );
        let output = of_input(input, &["--format", "json", "-"]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"found\":false"), "{output:?}");
    }
}

/// Executables contain the format strings of messages.
#[test]
fn binary_input_reports_nothing_found() {
    let input =
        b"\x7fELF\x02\x01\x01\0\0fork: retry: %s\0cannot fork\0error\0\n\0lxc_start: failed\0";
    let output = of_input(input, &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("nothing found in 1 log"), "{stdout}");
    assert!(stdout.contains("looks like anything but a log"), "{stdout}");
}

/// So that the report of a node that fails for hours stays short.
#[test]
fn a_repeated_failure_takes_one_line() {
    let failure = |minute: u32| {
        let at = minute * 60;
        let order = if minute == 50 { 5 } else { 4 };
        format!(
            "[{at}.000001] nginx: page allocation failure: order:{order}, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)\n\
             [{at}.000002] CPU: 1 PID: {minute} Comm: nginx Not tainted 6.1.0-18-amd64 #1\n"
        )
    };
    let log: String = (1..=50).map(failure).collect();
    let output = of_input(log.as_bytes(), &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout.matches("FAILED").count(), 2, "{stdout}");
    assert_eq!(stdout.matches("\nagain ").count(), 48, "{stdout}");
    assert!(
        stdout.contains("order-4 allocation by nginx (pid 2): fragmentation (low confidence), as in lines 1 to 2; standard input, lines 3 to 4, 120.000001 s after boot"),
        "{stdout}"
    );
    assert!(stdout.contains("50 incidents"), "{stdout}");
    let output = of_input(log.as_bytes(), &["--format", "json"]);
    let objects = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(objects, 51);
}

#[test]
fn an_unreadable_log_exits_with_1_and_the_others_are_read() {
    let output = run(&["no-such-file.log", LOG_2023]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("no-such-file.log"), "{stderr}");
    assert!(stderr.contains("the other logs are read"), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("memcg-ids"), "{stdout}");
    let output = run(&["no-such-file.log"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("other logs"), "{stderr}");
}

#[test]
fn a_signal_ends_it_within_an_endless_line() {
    let mut child = explain(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || while stdin.write_all(&[b'y'; 4096]).is_ok() {});
    std::thread::sleep(Duration::from_millis(500));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.expect("kill is there").success());
    let begun = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing found"), "{output:?}");
    writer.join().expect("the writer ends");
}

#[test]
fn wrong_arguments_exit_with_2() {
    for args in [&["--kernel", "el7", LOG_2017][..], &["--format", "xml"], &["--no-such-thing"]] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn control_characters_are_escaped() {
    let hostile =
        "\u{1b}[2Jx: page allocation failure: order:1, mode:0xcc0(GFP_KERNEL), nodemask=(null)\n";
    let output = of_input(hostile.as_bytes(), &[]);
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
    let output = of_input(hostile.as_bytes(), &["--format", "json"]);
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
}

/// When no line arrives for a while, the incident is complete and is reported before the input ends.
#[test]
fn a_quiet_stream_is_reported_before_it_ends() {
    let log = fs::read(fixtures().join(LOG_2022)).expect("the fixture is there");
    let mut child = explain(&["--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&log).and_then(|()| stdin.flush()).expect("it reads");
    let begun = Instant::now();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("UTF-8");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(first.contains("\"type\":\"incident\""), "{first}");
    drop(stdin);
    let last = lines.next().expect("a line").expect("UTF-8");
    assert!(last.contains("\"type\":\"summary\""), "{last}");
    assert!(child.wait().expect("it ends").success());
}
