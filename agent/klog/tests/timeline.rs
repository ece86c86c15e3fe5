//! Several logs of one machine, or of several: one timeline, in which each failure is once.
use std::{io::Cursor, sync::Arc};

use fragwatch_core::report::Json;
use fragwatch_klog::explain::Explainer;
use serde_json::Value;

/// A report of the kernel's; `@` is the task's pid.
const REPORT: &str = "\
runc:[1:CHILD]: page allocation failure: order:6, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0
CPU: 1 UID: 0 PID: @ Comm: runc:[1:CHILD] Not tainted 6.12.107+deb12-cloud-amd64
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 warn_alloc+0x163/0x190
 __alloc_pages_slowpath.constprop.0+0xc5f/0xd10
 copy_net_ns+0x11c/0x290
 create_new_namespaces+0x115/0x2e0
 </TASK>
Mem-Info:
active_anon:1021 inactive_anon:97245 isolated_anon:0
 free:72218 free_pcp:74 free_cma:0
Node 0 DMA32 free:285788kB boost:0kB min:3372kB low:4212kB high:5052kB reserved_highatomic:0KB free_highatomic:0KB present:769904kB managed:730208kB mlocked:292440kB bounce:0kB free_pcp:296kB local_pcp:120kB free_cma:0kB
lowmem_reserve[]: 0 0 0 0 0
Node 0 DMA32: 69949*4kB (UM) 11*8kB (U) 21*16kB (UM) 15*32kB (UM) 2*64kB (U) 1*128kB (U) 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 280956kB
196474 pages RAM";

/// What a runtime says of a start that failed; `@` is a digit of the container's id.
const START: &str = "StartContainer for \"0a8fd4f1e9b7c6d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f@\" failed: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown";

/// The kernel's report as syslog has it, at that second of 09:42.
fn syslog(second: u32, pid: u32) -> String {
    behind(&format!("Nov 20 09:42:{second:02} node-7 kernel: "), pid)
}

/// As dmesg has it, so many seconds after boot.
fn dmesg(seconds: u32, pid: u32) -> String {
    behind(&format!("[{seconds:5}.123456] "), pid)
}

fn behind(prefix: &str, pid: u32) -> String {
    let report = REPORT.replace('@', &pid.to_string());
    let lines: Vec<String> = report.lines().map(|line| format!("{prefix}{line}")).collect();
    lines.join("\n") + "\n"
}

/// A runtime's line in a log of its own, at that second of 09:42.
fn runtime(second: u32, container: u32) -> String {
    let said = START.replace('@', &container.to_string());
    format!("Nov 20 09:42:{second:02} node-7 containerd[902]: {said}\n")
}

/// The incidents that are reported of these logs, in order.
fn explain(logs: &[(&str, String)]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let mut explainer = Explainer::new(&mut json, Arc::default(), None, Vec::new());
    explainer.gather();
    for (name, log) in logs {
        explainer.read(name, Cursor::new(log.clone())).expect("memory can be written");
    }
    explainer.finish().expect("memory can be written");
    let out = String::from_utf8(out).expect("JSON is UTF-8");
    let lines = out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    lines.filter(|line: &Value| line["type"] == "incident").collect()
}

/// The logs that an incident is in.
fn files(incident: &Value) -> Vec<&str> {
    let also = incident["also_in"].as_array().expect("an array").iter();
    let also = also.map(|part| part["file"].as_str().expect("a name"));
    std::iter::once(incident["file"].as_str().expect("a name")).chain(also).collect()
}

#[test]
fn one_report_in_two_logs_is_one_incident() {
    let incidents = explain(&[("messages", syslog(36, 7)), ("dmesg", dmesg(500, 7))]);
    let [incident] = &incidents[..] else { panic!("{incidents:#?}") };
    assert_eq!(files(incident), ["messages", "dmesg"]);
    assert_eq!(incident["boot_us"], 500_123_456);
    assert_eq!(incident["verdict"]["cause"], "fragmentation");
    // Of another process.
    let incidents = explain(&[("messages", syslog(36, 7)), ("dmesg", dmesg(500, 8))]);
    assert_eq!(incidents.len(), 2);
    // The same process again, later.
    let again = format!("{}{}", syslog(16, 7), syslog(36, 7));
    assert_eq!(explain(&[("messages", again.clone())]).len(), 2);
    let twice = format!("{}{}", dmesg(480, 7), dmesg(500, 7));
    let incidents = explain(&[("messages", again), ("dmesg", twice)]);
    assert!(incidents.iter().all(|incident| incident["also_in"][0]["file"] == "dmesg"));
    assert_eq!(incidents.len(), 2);
}

#[test]
fn reports_of_two_hosts_are_two() {
    let other = syslog(36, 7).replace("node-7", "node-8");
    assert_eq!(explain(&[("a", syslog(36, 7)), ("b", other)]).len(), 2);
    let same = syslog(36, 7).replace("node-7", "node-7.example.com");
    assert_eq!(explain(&[("a", syslog(36, 7)), ("b", same)]).len(), 1);
}

#[test]
fn programs_join_the_report_in_another_log() {
    let logs = [("kern.log", syslog(36, 7)), ("containerd.log", runtime(37, 1))];
    let incidents = explain(&logs);
    let [incident] = &incidents[..] else { panic!("{incidents:#?}") };
    assert_eq!(files(incident), ["kern.log", "containerd.log"]);
    assert_eq!(incident["verdict"]["cause"], "fragmentation");
    assert_eq!(incident["comm"], "runc:[1:CHILD]");
    let id = incident["container"]["id"].as_str().expect("an id");
    assert!(id.starts_with("0a8fd4f1e9b7"));
    assert!(incident["messages"][0]["said"].as_str().expect("text").contains("StartContainer"));
    // Ten seconds later it is another start.
    let logs = [("kern.log", syslog(36, 7)), ("containerd.log", runtime(46, 1))];
    assert_eq!(explain(&logs).len(), 2);
}

#[test]
fn clocks_are_aligned_by_lines_that_two_logs_have() {
    // dmesg alone has the report at second 536; messages has another line of the same boot.
    let usb = "usb 1-1: new high-speed USB device number 7 using xhci_hcd";
    let dmesg = format!("[  510.123456] {usb}\n{}", dmesg(536, 7));
    let messages = format!("Nov 20 09:42:10 node-7 kernel: {usb}\n{}", runtime(37, 1));
    let incidents = explain(&[("dmesg", dmesg.clone()), ("messages", messages)]);
    let [incident] = &incidents[..] else { panic!("{incidents:#?}") };
    assert_eq!(files(incident), ["dmesg", "messages"]);
    assert_eq!(incident["time"], "--11-20T09:42:36");
    // Without it nothing says when that was.
    let incidents = explain(&[("dmesg", dmesg), ("messages", runtime(37, 1))]);
    assert_eq!(incidents.len(), 2);
    assert_eq!(incidents[1]["time"], Value::Null);
}

#[test]
fn two_programs_report_one_start() {
    let kubelet = runtime(37, 1).replace("containerd[902]", "kubelet[77]");
    let incidents = explain(&[("containerd.log", runtime(36, 1)), ("kubelet.log", kubelet)]);
    let [incident] = &incidents[..] else { panic!("{incidents:#?}") };
    assert_eq!(files(incident), ["containerd.log", "kubelet.log"]);
    // Two containers are two.
    let kubelet = runtime(37, 2).replace("containerd[902]", "kubelet[77]");
    let incidents = explain(&[("containerd.log", runtime(36, 1)), ("kubelet.log", kubelet)]);
    assert_eq!(incidents.len(), 2);
}

#[test]
fn incidents_are_in_order_whatever_the_order_of_logs() {
    let with_year = syslog(36, 8).replace("Nov 20", "2025-11-20");
    let logs = [("b", syslog(50, 9)), ("a", syslog(20, 7)), ("iso", with_year)];
    let incidents = explain(&logs);
    let pids: Vec<&Value> = incidents.iter().map(|incident| &incident["pid"]).collect();
    assert_eq!(pids, [7, 8, 9]);
}
