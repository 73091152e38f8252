//! The handshake with a shared key: what is answered to `HELO`, and whether the `PONG` proves that the receiver knows
//! the key too. Pure: the salt comes from outside.

use sha2::{Digest as _, Sha512};

use super::wire::Message;
use picket_http::secret::Secret;

/// Who we are to the receiver.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Our name: not the receiver's own, or it takes us for itself.
    pub(super) hostname: String,
    /// The key that both know.
    pub(super) key: Secret,
    /// Where the receiver asks for a user.
    pub(super) user: Option<(String, Secret)>,
}

/// Longer names of nodes are cut, so that a PING stays within the 1023 bytes that Fluent Bit reads.
const MAX_HOSTNAME: usize = 128;
/// How much of a receiver's reason is shown.
const MAX_REASON: usize = 300;

/// Why the receiver does not let us in, or must not be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// It says so.
    #[error(
        "it refuses the handshake: {0}; check `shared_key_file`, `username` and `password_file` against its own"
    )]
    Refused(String),
    /// It has our name.
    #[error("it calls itself `{0}`, as this agent does in the handshake; give it another name")]
    SameName(String),
    /// It cannot prove that it knows the key.
    #[error("it does not know the shared key; check that `address` leads to the right receiver")]
    Impostor,
}

impl Identity {
    /// Of an agent on a node. The prefix tells it from a receiver on the same machine, which by default has the name
    /// of the machine.
    pub(super) fn new(node: &str, key: Secret, user: Option<(String, Secret)>) -> Self {
        let mut hostname = format!("picket-{node}");
        let end = (0..=MAX_HOSTNAME.min(hostname.len())).rev().find(|end| hostname.is_char_boundary(*end));
        hostname.truncate(end.unwrap_or(0));
        Self { hostname, key, user }
    }

    /// The answer to a `HELO` with these bytes. The salt is text, as Fluent Bit takes no other. Without a configured
    /// user none is named, also when the receiver sends a salt for one.
    pub(super) fn ping(&self, salt: &str, nonce: &[u8], auth: &[u8]) -> Vec<u8> {
        let hostname = self.hostname.as_str();
        let key = sha512([salt.as_bytes(), hostname.as_bytes(), nonce, self.key.reveal().as_bytes()]);
        let (username, password) = match &self.user {
            Some((name, password)) => {
                (name.as_str(), sha512([auth, name.as_bytes(), password.reveal().as_bytes(), b""]))
            }
            None => ("", String::new()),
        };
        let ping = ("PING", hostname, salt, key, username, password);
        rmp_serde::to_vec(&ping).expect("plain data always encodes into memory")
    }

    /// Whether the receiver lets us in and is the one it should be: then its name.
    pub(super) fn verify(&self, salt: &str, nonce: &[u8], pong: &Message) -> Result<String, Denied> {
        let Message::Pong { accepted, reason, hostname, digest } = pong else {
            return Err(Denied::Refused("it answers with something else than PONG".to_owned()));
        };
        if !accepted {
            return Err(Denied::Refused(shown(reason)));
        }
        if hostname == self.hostname.as_bytes() {
            return Err(Denied::SameName(shown(hostname)));
        }
        let expected = sha512([salt.as_bytes(), hostname, nonce, self.key.reveal().as_bytes()]);
        if digest == expected.as_bytes() { Ok(shown(hostname)) } else { Err(Denied::Impostor) }
    }
}

/// SHA-512 over parts one after the other, in hexadecimal: what both sides compare.
fn sha512(parts: [&[u8]; 4]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text from outside in one line, with control characters escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(MAX_REASON).flat_map(char::escape_debug).collect()
}
