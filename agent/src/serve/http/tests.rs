use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Instant,
};

use fragwatch_core::{correlate::Correlated, fixtures, report::Format as _, report::view::View};
use jiff::Timestamp;

use super::*;
use crate::serve::{journal::Journal, limits::Limits, report::Report, shared::Phase};

/// A server of its own for a test; it ends with the process.
fn server() -> (SocketAddr, Arc<Shared>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can be");
    let address = listener.local_addr().expect("it is bound");
    let shared = Arc::new(Shared::new(Limits::new(10)));
    start(Listeners::tcp(listener), Arc::clone(&shared)).expect("a thread");
    (address, shared)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    stream
}

/// Status code, headers, body.
fn exchange(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("UTF-8 until its end");
    let (head, body) = response.split_once("\r\n\r\n").expect("headers and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, head.to_ascii_lowercase(), body.to_owned())
}

fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// Reports a failure whose names try to break out.
fn report_hostile_failure(shared: &Arc<Shared>) {
    let journal = Journal::start().expect("a thread");
    let mut step = fixtures::failed_creation();
    step.task.comm = "<script>alert('1')</script>&\u{1b}[2J".to_owned();
    (step.cgroup, step.container) = (None, None);
    step.candidates.clear();
    let page_size = 4096;
    let verdict = fragwatch_core::diagnose::diagnose(&fragwatch_core::diagnose::Evidence::step(
        &step,
        page_size,
        &[],
    ));
    let view = View::new("6.12".to_owned(), page_size, &[]);
    let line = view.creation(Timestamp::UNIX_EPOCH, &step, Some(&verdict), None);
    shared.metrics.count(&[Correlated::CreationStep(Box::new(step))]);
    Report::new(Arc::clone(shared), journal).line(&line).expect("memory takes all");
}

#[test]
fn each_path_has_its_response() {
    let (address, shared) = server();
    assert_eq!(get(address, "/readyz").0, 503);
    assert_eq!(get(address, "/healthz").0, 200);
    shared.enter(Phase::Watching);
    assert_eq!(get(address, "/readyz").0, 200);
    report_hostile_failure(&shared);
    let (code, head, body) = get(address, "/metrics");
    assert!(code == 200 && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let counted = "fragwatch_creations_total{step=\"namespaces\",outcome=\"failed\"} 1\n";
    assert!(body.contains(counted) && !body.contains("alert"), "{body}");
    let accept = "Accept: application/openmetrics-text; version=1.0.0";
    let open = exchange(address, &format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n"));
    assert!(open.1.contains("application/openmetrics-text") && open.2.ends_with("# EOF\n"));
    let (code, head, body) = get(address, "/");
    assert!(code == 200 && head.contains("default-src 'none'"), "{head}");
    assert!(body.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;"), "{body}");
    assert!(!body.contains("<script") && !body.contains('\u{1b}'), "{body}");
    let (code, _, body) = get(address, "/status");
    let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((code, &status["state"], &status["failed"]), (200, &"watching".into(), &1.into()));
    assert_eq!(status["failures"][0]["cause"], "fragmentation", "{status:#}");
    assert_eq!(get(address, "/no-such-path").0, 404);
    let (code, head, _) = exchange(address, "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(code == 405 && head.contains("allow: get, head"), "{head}");
    assert_eq!(exchange(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").2, "");
}

#[test]
fn events_are_streamed_as_they_come() {
    let (address, shared) = server();
    let mut stream = connect(address);
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
    let mut received = String::new();
    let mut until = |stream: &mut TcpStream, what: &str| {
        let mut buffer = [0; 4096];
        while !received.contains(what) {
            let count = stream.read(&mut buffer).expect("it comes in time");
            assert!(count != 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    until(&mut stream, ": fragwatch\n\n");
    report_hostile_failure(&shared);
    until(&mut stream, "data: {\"type\":\"creation\"");
    until(&mut stream, "\n\n");
    // As many again, and one more: the first is closed.
    let begin = |_| {
        let mut stream = connect(address);
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        let mut first = [0; 1];
        stream.read_exact(&mut first).expect("it begins");
        stream
    };
    let others: Vec<TcpStream> = (0..connections::MAX_STREAMS).map(begin).collect();
    let mut rest = Vec::new();
    // Whether it is reset or closed does not matter.
    let _ = stream.read_to_end(&mut rest);
    assert!(shared.events.receiver_count() <= connections::MAX_STREAMS + 1);
    drop(others);
}

#[test]
fn slow_silent_and_garbage_clients_delay_no_other() {
    let (address, _) = server();
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(60_000));
    let mut clients = Vec::new();
    for at in 0..500 {
        let mut client = connect(address);
        let _ = match at % 5 {
            0 => Ok(()),
            1 => client.write_all(b"GET /metrics HT"),
            2 => client.write_all(&[0xff; 4000]),
            3 => client.write_all(endless.as_bytes()),
            // It asks, and never reads.
            _ => client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        };
        clients.push(client);
        if at % 50 == 49 {
            let began = Instant::now();
            let (code, _, body) = get(address, "/metrics");
            assert!(code == 200 && body.contains("fragwatch_build_info"));
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        }
    }
    // Most of them are closed: what stays open has its limit.
    let is_open = |mut client: TcpStream| {
        let _ = client.set_nonblocking(true);
        matches!(client.read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    };
    let open = clients.into_iter().filter_map(|client| is_open(client).then_some(())).count();
    assert!(open <= connections::MAX, "{open}");
    // A silent one is closed by itself.
    let mut silent = connect(address);
    let began = Instant::now();
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < HEADERS * 3, "{:?}", began.elapsed());
}
