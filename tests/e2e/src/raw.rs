//! Requests no well-behaved client sends: written to the socket byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Answer;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request line and headers (without the closing blank line and `Connection`) over TCP; reads one answer.
pub fn tcp(address: &str, head: &str, body: &[u8]) -> Answer {
    let stream = TcpStream::connect(address).expect("the server accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    exchange(stream, head, body)
}

/// A `GET` (or other bodiless method) of a target that is sent as it is, with a `Host` and further header lines.
pub fn request(address: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    tcp(address, &head, b"")
}

/// A request with a JSON body to the administration socket.
pub fn unix(socket: &Path, method: &str, target: &str, body: Option<&serde_json::Value>) -> Answer {
    let stream = UnixStream::connect(socket).expect("the server listens on its socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let body = body.map(serde_json::Value::to_string).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    );
    exchange(stream, &head, body.as_bytes())
}

fn exchange(mut stream: impl Read + Write, head: &str, body: &[u8]) -> Answer {
    // A server that refuses early closes while we still write: what it answered is what counts.
    let _refused = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let _refused = stream.write_all(body);
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes);
    parse(&bytes)
}

/// Reads an HTTP/1.1 answer; a connection closed without one has status 0.
#[must_use]
pub fn parse(bytes: &[u8]) -> Answer {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer { status: 0, headers: HeaderMap::new(), body: Bytes::copy_from_slice(bytes) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, HeaderValue::from_str(value.trim()).expect("a header value"));
    }
    let rest = &bytes[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if chunked { unchunk(rest) } else { Bytes::copy_from_slice(rest) };
    Answer { status, headers, body }
}

fn unchunk(mut bytes: &[u8]) -> Bytes {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let (start, size) = (line + 2, size.unwrap_or(0));
        if size == 0 || bytes.len() < start + size + 2 {
            break;
        }
        body.extend_from_slice(&bytes[start..start + size]);
        bytes = &bytes[start + size + 2..];
    }
    body.into()
}
