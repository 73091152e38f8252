//! A small server on loopback that stands for all targets, each at a path of its own. Nothing is compressed, and
//! connections are kept, as exporters do.
//!
//! It ends with the process: whoever measures has no use for an end before that.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::families::RACK;
use super::pages::Pages;

/// Begins to serve; says where.
pub(super) fn serve(pages: Pages) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (pages, started) = (Arc::new(pages), Instant::now());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = Arc::clone(&pages);
            // As many as there are connections: those of a few scrapers, which use them again.
            std::thread::spawn(move || {
                // An error is the end of who scrapes.
                let _ = connection(stream, &pages, started);
            });
        }
    });
    Ok(address)
}

/// Answers request after request until the other side has enough.
fn connection(mut stream: TcpStream, pages: &Pages, started: Instant) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    loop {
        line.clear();
        if requests.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = target(&line);
        while line != "\r\n" {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let (status, page) = match target {
            Some(target) => ("200 OK", pages.page(target, started.elapsed().as_secs_f64())),
            None => ("404 Not Found", String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n\
             content-length: {}\r\n\r\n",
            page.len()
        );
        stream.write_all((head + &page).as_bytes())?;
    }
}

/// The number in `GET /7/metrics HTTP/1.1`.
fn target(line: &str) -> Option<u32> {
    line.strip_prefix("GET /")?.split_once("/metrics ")?.0.parse().ok()
}

/// The targets in the format `file_sd`, for both sides the same.
pub(super) fn list(address: SocketAddr, targets: u32, racks: u32) -> String {
    let groups: Vec<_> = (0..targets)
        .map(|target| {
            json!({
                "targets": [address.to_string()],
                "labels": {
                    "__metrics_path__": format!("/{target}/metrics"),
                    "instance": format!("node-{target}"),
                    "rack": rack(target % racks),
                },
            })
        })
        .collect();
    json!(groups).to_string()
}

/// How a rack is called.
pub(super) fn rack(number: u32) -> String {
    format!("rack-{number}")
}

/// How many racks so many targets stand in.
pub(super) fn racks(targets: u32) -> u32 {
    (targets / RACK).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_connection_serves_one_page_after_the_other() {
        let address = serve(Pages::new(1)).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let page = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{more}\r\n");
        stream.write_all((page("/3/metrics", "") + &page("/nowhere", "")).as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\nqueue_length{queue=\"queue-0\"} "), "{answer}");
        assert!(answer.contains("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    }

    #[test]
    fn each_target_has_a_path_and_a_rack() {
        let list = list(SocketAddr::from(([127, 0, 0, 1], 9)), 20, racks(20));
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 20);
        assert_eq!(list[13]["labels"]["__metrics_path__"], "/13/metrics");
        assert_eq!(
            (&list[13]["labels"]["rack"], &list[13]["targets"][0]),
            (&json!("rack-1"), &json!("127.0.0.1:9"))
        );
    }
}
