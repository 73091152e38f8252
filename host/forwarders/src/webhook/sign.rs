//! Signatures by which a receiver knows that a request is ours: Standard Webhooks 1.0.0
//! (`spec/standard-webhooks.md`), and GitHub's header beside it where that is what the receiver knows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use picket_http::secret::Secret;

/// Secrets of Standard Webhooks begin so; base64 follows.
const PREFIX: &str = "whsec_";
/// The bytes that the specification asks of a key: fewer can be guessed, more help nobody.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most keys. A key is replaced by another one, with both in use for a while.
const MAX_KEYS: usize = 4;

/// Signs requests.
pub struct Signer {
    keys: Vec<Vec<u8>>,
}

/// Keys that cannot be used. The messages hold nothing of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not base64 after the prefix.
    #[error("the key for signatures begins with `{PREFIX}`, but no base64 follows")]
    Base64,
    /// Too easy to guess, or no key.
    #[error("the key for signatures has {0} bytes; 24 to 64 are needed behind `{PREFIX}`")]
    Length(usize),
    /// Too many lines.
    #[error("there are {0} keys for signatures; {MAX_KEYS} are possible, one a line")]
    Keys(usize),
    /// A header that cannot be sent.
    #[error("`signature_header`: `{0}` is no name of a header of its own; write `X-Hub-Signature-256`, say")]
    Header(String),
    /// A header and nothing to make it with.
    #[error("`signature_header` needs `secret_file` or `secret_env`")]
    NoSecret,
    /// Two keys to choose from.
    #[error("`secret_file` and `secret_env` are both set; set one of them")]
    TwoSecrets,
}

impl Signer {
    /// With one key a line.
    pub fn new(secret: &Secret) -> Result<Self, SignError> {
        let lines: Vec<&str> =
            secret.reveal().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.len() {
            0 => Err(SignError::Length(0)),
            1..=MAX_KEYS => Ok(Self { keys: lines.into_iter().map(key).collect::<Result<_, _>>()? }),
            more => Err(SignError::Keys(more)),
        }
    }

    /// The value of `webhook-signature`: one signature by each key, over the id, the time of this attempt in
    /// Unix seconds, and the body.
    pub fn standard(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let sign = |key: &Vec<u8>| format!("v1,{}", BASE64.encode(mac(key, &[head.as_bytes(), body])));
        self.keys.iter().map(sign).collect::<Vec<_>>().join(" ")
    }

    /// `sha256=` and the hexadecimal HMAC of the body alone, by the first key.
    pub fn of_body(&self, body: &[u8]) -> String {
        let digits = mac(&self.keys[0], &[body]);
        digits.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn key(line: &str) -> Result<Vec<u8>, SignError> {
    let Some(encoded) = line.strip_prefix(PREFIX) else { return Ok(line.as_bytes().to_vec()) };
    let key = BASE64.decode(encoded).map_err(|_| SignError::Base64)?;
    if KEY_BYTES.contains(&key.len()) { Ok(key) } else { Err(SignError::Length(key.len())) }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
