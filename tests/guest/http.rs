//! The least HTTP that a scenario needs, over the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::channel::Channel;

const ADDRESS: &str = "127.0.0.1:9823";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Brings the loopback interface up, before fragwatch listens there.
pub(crate) fn prepare() -> Result<()> {
    let up = Command::new("/bin/busybox").args(["ifconfig", "lo", "127.0.0.1", "up"]).status();
    if !up.context("can't run busybox")?.success() {
        bail!("busybox can't bring the loopback interface up");
    }
    Ok(())
}

/// Status code and body.
pub(crate) fn get(path: &str) -> Result<(String, String)> {
    get_from(ADDRESS, path)
}

/// The same of a fragwatch at that address.
pub(crate) fn get_from(address: &str, path: &str) -> Result<(String, String)> {
    let mut stream = request(address, path)?;
    let mut response = String::new();
    stream.read_to_string(&mut response).with_context(|| format!("{path} has no end"))?;
    let (head, body) = response.split_once("\r\n\r\n").context("a response has no headers")?;
    let code = head.split(' ').nth(1).context("a response has no status code")?;
    Ok((code.to_owned(), body.to_owned()))
}

/// Sends each line that this path streams to the host, until fragwatch ends. Returns when it has begun.
pub(crate) fn follow(channel: &Channel, path: &str, stream_name: &'static str) -> Result<()> {
    let stream = request(ADDRESS, path)?;
    stream.set_read_timeout(None).context("can't set a timeout")?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.next().context("a stream doesn't begin")?;
    let channel = channel.clone();
    thread::spawn(move || lines.for_each(|line| channel.send(stream_name, &line)));
    Ok(())
}

fn request(address: &str, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("fragwatch doesn't serve HTTP")?;
    stream.set_read_timeout(Some(TIMEOUT)).context("can't set a timeout")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).context("can't send a request")?;
    Ok(stream)
}
