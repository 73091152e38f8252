//! Asks servers on loopback: pages, and sums of metrics on them. Knows nothing of who answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

/// How long an answer may take: that of a query includes the start of a plugin's instance.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The body of a page, if the answer is 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        Some((head, body)) => {
            let said: String = body.chars().take(300).collect();
            bail!("{path}: {} {said}", head.lines().next().unwrap_or_default())
        }
        None => bail!("{path}: the answer is cut"),
    }
}

/// The sum of a metric over the series of a page that hold all these labels, each written `name="value"`. None
/// when there is no such series.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let mut found = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let Some((series, value)) = rest.rsplit_once(' ') else { continue };
        let is_it = series.is_empty() || series.starts_with('{');
        if is_it && labels.iter().all(|label| series.contains(label)) {
            *found.get_or_insert(0.0) += value.parse::<f64>().ok()?;
        }
    }
    found
}

/// A text as a parameter of a query (RFC 3986, section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_series() {
        let text = "# HELP a_total b\na_total{plugin=\"x\",s=\"1\"} 2\na_total{plugin=\"x\",s=\"2\"} 3.5\n\
                    a_total{plugin=\"y\"} 10\na_total_more 7\n";
        assert_eq!(sum(text, "a_total", &["plugin=\"x\""]), Some(5.5));
        assert_eq!(sum(text, "a_total", &[]), Some(15.5));
        assert_eq!(sum(text, "a_total", &["plugin=\"z\""]), None);
        assert_eq!(sum(text, "a_total_more", &[]), Some(7.0));
    }

    #[test]
    fn an_expression_can_be_a_parameter() {
        assert_eq!(escaped("count({a=\"b c\"})"), "count%28%7Ba%3D%22b%20c%22%7D%29");
    }
}
