//! Asking a server over HTTP, as a test does; the agent has its own client.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::tls::Tls;
use crate::http::{Response, exchange};

/// `picket:secret`, the one user of secured servers, in base64.
const BASIC: &str = "cGlja2V0OnNlY3JldA==";

/// How long an answer may take: longer than any takes, so that a test fails instead of hanging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server's HTTP side. Each request has a connection of its own.
#[derive(Clone)]
pub struct Web {
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Web {
    /// In plain text.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// With TLS, the client's certificate and the password.
    pub fn secured(address: SocketAddr, tls: &Tls) -> Self {
        Self { address, tls: Some(tls.clone()) }
    }

    /// The server's beginning of all URLs: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Asks; none when nobody answers.
    pub fn get(&self, path: &str) -> Option<Response> {
        self.ask("GET", path, &[], &[])
    }

    /// Sends something; none when nobody answers.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Response> {
        self.ask("POST", path, headers, body)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Response> {
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT).ok()?;
        stream.set_read_timeout(Some(TIMEOUT)).ok()?;
        stream.set_write_timeout(Some(TIMEOUT)).ok()?;
        let mut lines = format!("Host: {}\r\n", self.address);
        for (name, value) in headers {
            lines += &format!("{name}: {value}\r\n");
        }
        let what = format!("{method} {path}");
        let Some(tls) = &self.tls else { return exchange(&mut stream, &what, &lines, body) };
        lines += &format!("Authorization: Basic {BASIC}\r\n");
        exchange(&mut tls.over(stream), &what, &lines, body)
    }
}

/// A text as it stands in a URL's query.
pub fn quoted(text: &str) -> String {
    let quote = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(quote).collect()
}

/// The sum of a metric's lines on a page of metrics whose series begin so: with labels or without.
pub(crate) fn metric(page: &str, series: &str) -> f64 {
    page.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| *name == series || name.starts_with(&format!("{series}{{")))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_quoted() {
        assert_eq!(quoted("sum(a{b=\"c d\"}[5m])"), "sum%28a%7Bb%3D%22c%20d%22%7D%5B5m%5D%29");
    }

    #[test]
    fn a_metric_is_the_sum_of_its_lines() {
        let page = "# HELP a b\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 7\n";
        assert_eq!((metric(page, "a"), metric(page, "a{x=\"2\"}"), metric(page, "ab")), (5.0, 3.0, 7.0));
    }
}
