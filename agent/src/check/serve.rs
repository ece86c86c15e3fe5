//! What a running `fragwatch serve` knows: recent failures, and what was left earlier.
use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use fragwatch_core::report::line::check as line;
use jiff::Timestamp;
use serde::Deserialize;

/// For each step of the exchange.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A longer response is not read to its end.
const MAX: u64 = 1 << 20;

/// HTTP 1.0, so that the response ends with the connection.
const REQUEST: &str = "GET /status HTTP/1.0\r\n\r\n";

/// What is used of `/status`.
#[derive(Deserialize)]
struct Status {
    state: String,
    started: Timestamp,
    failed_last_hour: u64,
    failures: Vec<Failure>,
    trend: Vec<Trend>,
    forecast: Vec<Outlook>,
}

#[derive(Deserialize)]
struct Outlook {
    resource: String,
    seconds_to_failure: Option<f64>,
}

#[derive(Deserialize)]
struct Failure {
    time: Timestamp,
    summary: String,
}

#[derive(Deserialize)]
struct Trend {
    resource: String,
    left: u64,
    left_before: u64,
    before_s: u64,
}

/// Asks the `serve` that listens on this socket; `None` if there is none, or it does not answer.
pub(super) fn ask(socket: &Path) -> Option<line::Serve> {
    match exchange(socket) {
        Ok(response) => parse(&response),
        Err(error) => {
            log::debug!("serve does not answer on {}: {error}", socket.display());
            None
        }
    }
}

fn exchange(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(REQUEST.as_bytes())?;
    let mut response = String::new();
    stream.take(MAX).read_to_string(&mut response)?;
    Ok(response)
}

fn parse(response: &str) -> Option<line::Serve> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) != Some("200") {
        return None;
    }
    let status: Status = serde_json::from_str(body)
        .inspect_err(|error| log::debug!("what serve answers is not understood: {error}"))
        .ok()?;
    let last = status.failures.into_iter().next();
    let trend = |trend: Trend| line::Trend {
        resource: trend.resource,
        left: trend.left,
        left_before: trend.left_before,
        before_s: trend.before_s,
    };
    Some(line::Serve {
        state: status.state,
        started: status.started.into(),
        failed_last_hour: status.failed_last_hour,
        last_failure: last
            .map(|last| line::LastFailure { time: last.time.into(), summary: last.summary }),
        trend: status.trend.into_iter().map(trend).collect(),
        forecast: status.forecast.into_iter().filter_map(forecast).collect(),
    })
}

fn forecast(outlook: Outlook) -> Option<line::Forecast> {
    let seconds = Duration::try_from_secs_f64(outlook.seconds_to_failure?).ok()?;
    let seconds_to_failure = seconds.as_secs();
    Some(line::Forecast { resource: outlook.resource, seconds_to_failure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_understood_is_none() {
        let valid = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n\
                     {\"state\":\"watching\",\"started\":\"2026-11-28T15:00:00Z\",\
                     \"failed_last_hour\":1,\"failures\":[{\"time\":\"2026-11-28T15:10:00Z\",\
                     \"summary\":\"FAILED web\"}],\"trend\":[{\"resource\":\"order-6\",\"left\":3,\
                     \"left_before\":40,\"before_s\":3600}],\"forecast\":[{\"resource\":\"pids\",\
                     \"seconds_to_failure\":null},{\"resource\":\"order-6\",\
                     \"seconds_to_failure\":90.5}]}\n";
        let serve = parse(valid).expect("it is understood");
        assert_eq!((serve.failed_last_hour, serve.trend[0].left_before), (1, 40));
        assert_eq!(serve.forecast.len(), 1);
        assert_eq!(serve.forecast[0].seconds_to_failure, 90);
        assert_eq!(serve.last_failure.map(|last| last.summary), Some("FAILED web".to_owned()));
        for wrong in
            ["", "HTTP/1.0 200 OK\r\n\r\n{}", &valid.replace("200 OK", "503 No"), "x\r\n\r\n"]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
        assert!(ask(Path::new("/no/such/socket")).is_none());
    }
}
