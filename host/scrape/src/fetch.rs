//! Fetches a target's page, never more of it than it may have.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use picket_http::{Client, ClientError, Config, Mask, Net, Url};

use crate::ScrapeError;
use crate::exposition::Format;

/// The largest page that can be configured, uncompressed: as large as those of a whole cluster's state are.
pub const MAX_BODY: usize = 256 << 20;

/// What is asked for: OpenMetrics, and else the text format, as Prometheus asks without names beyond its classic ones.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

/// What a target sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How it is written.
    pub format: Format,
    /// Uncompressed.
    pub body: Vec<u8>,
    /// What must not be quoted of it: a target may say back what it was asked with.
    pub mask: Mask,
}

/// Fetches pages of targets that are reached alike.
pub struct Fetcher {
    client: Client,
    headers: Vec<(&'static str, String)>,
    body: usize,
}

impl Fetcher {
    /// Reads certificates and secrets; connects to nothing. Each page takes at most `config.timeout` and has at most
    /// `body` bytes, no more than [`MAX_BODY`].
    pub fn new(config: &Config, net: &Net, body: usize) -> Result<Self, ClientError> {
        let headers = vec![
            ("accept", ACCEPT.to_owned()),
            ("accept-encoding", "gzip".to_owned()),
            ("x-prometheus-scrape-timeout-seconds", seconds(config.timeout.0)),
        ];
        Ok(Self { client: Client::new(config, net)?, headers, body: body.min(MAX_BODY) })
    }

    /// Fetches one page.
    pub async fn fetch(&self, url: &Url) -> Result<Page, ScrapeError> {
        let page = self.client.page(url, &self.headers, self.body).await?;
        if page.status != 200 {
            return Err(ScrapeError::Status { status: page.status, said: page.said() });
        }
        if page.body.len() > self.body {
            return Err(ScrapeError::Body { limit: self.body });
        }
        let format = Format::of(&page.content_type)
            .ok_or_else(|| ScrapeError::ContentType { content_type: shown(&page, &page.content_type) })?;
        let body = match page.content_encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => page.body,
            "gzip" => self.unpacked(&page.body)?,
            _ => {
                let said = shown(&page, &page.content_encoding);
                return Err(ScrapeError::Encoding { cause: format!("it is `{said}`") });
            }
        };
        Ok(Page { format, body, mask: page.mask })
    }

    fn unpacked(&self, packed: &[u8]) -> Result<Vec<u8>, ScrapeError> {
        let mut body = Vec::new();
        let mut reader = MultiGzDecoder::new(packed).take(self.body as u64 + 1);
        reader.read_to_end(&mut body).map_err(|error| ScrapeError::Encoding { cause: error.to_string() })?;
        match body.len() > self.body {
            true => Err(ScrapeError::Body { limit: self.body }),
            false => Ok(body),
        }
    }
}

/// The beginning of what stands in the page's head.
fn shown(page: &picket_http::Page, text: &str) -> String {
    page.mask.hidden(text).chars().take(100).flat_map(char::escape_debug).collect()
}

/// As Prometheus writes it, for exporters that stop in time.
fn seconds(timeout: Duration) -> String {
    timeout.as_secs_f64().to_string()
}
