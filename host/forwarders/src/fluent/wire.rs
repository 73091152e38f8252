//! What receivers say, read from bytes: `HELO`, `PONG` and acknowledgements, and nothing else.
//!
//! Receivers differ in how they write text: Fluent Bit's nonce is a MessagePack string that is no UTF-8, Fluentd's is
//! binary. Here both are bytes. Whatever the bytes are, reading them takes memory and time in proportion to
//! [`MAX_MESSAGE`] at most.

/// A message of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The receiver asks who is there.
    Helo {
        /// What the digest of the shared key is made with.
        nonce: Vec<u8>,
        /// What the digest of the password is made with. Some receivers send one though they have no users.
        auth: Vec<u8>,
        /// Whether the connection may be kept for several chunks.
        keepalive: bool,
    },
    /// What the receiver thinks of our answer.
    Pong {
        /// We may send.
        accepted: bool,
        /// Why not.
        reason: Vec<u8>,
        /// How the receiver calls itself.
        hostname: Vec<u8>,
        /// The proof that it knows the shared key too.
        digest: Vec<u8>,
    },
    /// A chunk was accepted.
    Ack(
        /// Its id.
        Vec<u8>,
    ),
}

/// Bytes that are no message of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alien {
    /// It does not end.
    #[error("a message that is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// Arrays within arrays.
    #[error("a message that is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Neither of the three.
    #[error("something that is no message of the Forward protocol")]
    Unknown,
}

/// The longest message: a `PONG` with a long reason takes a quarter of it.
pub const MAX_MESSAGE: usize = 4 << 10;
/// `HELO` has a map in an array; the rest is room for what later versions may add.
pub const MAX_DEPTH: usize = 4;

/// The first message of some bytes, and how many of them it took; none when there is only the start of one.
pub fn message(bytes: &[u8]) -> Result<Option<(Message, usize)>, Alien> {
    let mut reader = Reader { bytes: &bytes[..bytes.len().min(MAX_MESSAGE)], at: 0 };
    match reader.value(0) {
        Ok(value) => known(value).map(|message| Some((message, reader.at))).ok_or(Alien::Unknown),
        Err(Stop::Cut) if bytes.len() < MAX_MESSAGE => Ok(None),
        Err(Stop::Cut) => Err(Alien::TooLong),
        Err(Stop::Alien(alien)) => Err(alien),
    }
}

/// A value of MessagePack, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Bool(bool),
    /// Strings and binary.
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    /// Numbers, nil and extensions, which no message needs.
    Other,
}

/// Why no value could be read.
enum Stop {
    /// The bytes end before it.
    Cut,
    Alien(Alien),
}

/// Finds the three messages.
fn known(value: Value) -> Option<Message> {
    match value {
        Value::Array(parts) => {
            let mut parts = parts.into_iter();
            match (parts.next()?.bytes()?.as_slice(), parts.next()?) {
                (b"HELO", Value::Map(mut options)) => Some(Message::Helo {
                    nonce: take(&mut options, "nonce").and_then(Value::bytes)?,
                    auth: take(&mut options, "auth").and_then(Value::bytes).unwrap_or_default(),
                    keepalive: take(&mut options, "keepalive") != Some(Value::Bool(false)),
                }),
                (b"PONG", Value::Bool(accepted)) => {
                    let mut text = || parts.next().and_then(Value::bytes);
                    let (reason, hostname, digest) = (text()?, text()?, text()?);
                    Some(Message::Pong { accepted, reason, hostname, digest })
                }
                _ => None,
            }
        }
        Value::Map(mut fields) => take(&mut fields, "ack").and_then(Value::bytes).map(Message::Ack),
        _ => None,
    }
}

fn take(map: &mut Vec<(Value, Value)>, name: &str) -> Option<Value> {
    let at = map.iter().position(|(key, _)| matches!(key, Value::Bytes(key) if key == name.as_bytes()))?;
    Some(map.swap_remove(at).1)
}

impl Value {
    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Reads values. Each takes at least a byte, so a length that is too great is found out by the end of the bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Alien(Alien::TooDeep));
        }
        let marker = self.number(1)?;
        match marker {
            0x00..=0x7f | 0xc0 | 0xe0..=0xff => Ok(Value::Other),
            0x80..=0x8f => self.map(marker & 0x0f, depth),
            0x90..=0x9f => self.array(marker & 0x0f, depth),
            0xa0..=0xbf => self.take(marker & 0x1f).map(Value::Bytes),
            0xc2 | 0xc3 => Ok(Value::Bool(marker == 0xc3)),
            // bin 8, 16, 32; str 8, 16, 32
            0xc4..=0xc6 => self.sized(1 << (marker - 0xc4)).map(Value::Bytes),
            0xd9..=0xdb => self.sized(1 << (marker - 0xd9)).map(Value::Bytes),
            // ext 8, 16, 32 with their type
            0xc7..=0xc9 => {
                let length = self.number(1 << (marker - 0xc7))?;
                self.take(length.saturating_add(1)).map(|_| Value::Other)
            }
            // float 32, 64; uint 8 to 64; int 8 to 64; fixext 1 to 16 with their type
            0xca | 0xcb => self.take(4 << (marker - 0xca)).map(|_| Value::Other),
            0xcc..=0xcf => self.take(1 << (marker - 0xcc)).map(|_| Value::Other),
            0xd0..=0xd3 => self.take(1 << (marker - 0xd0)).map(|_| Value::Other),
            0xd4..=0xd8 => self.take(1 + (1 << (marker - 0xd4))).map(|_| Value::Other),
            0xdc | 0xdd => {
                let length = self.number(2 << (marker - 0xdc))?;
                self.array(length, depth)
            }
            0xde | 0xdf => {
                let length = self.number(2 << (marker - 0xde))?;
                self.map(length, depth)
            }
            // 0xc1 is never used.
            _ => Err(Stop::Alien(Alien::Unknown)),
        }
    }

    fn array(&mut self, length: usize, depth: usize) -> Result<Value, Stop> {
        (0..length).map(|_| self.value(depth + 1)).collect::<Result<_, _>>().map(Value::Array)
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, Stop> {
        let mut pair = |_| Ok((self.value(depth + 1)?, self.value(depth + 1)?));
        (0..length).map(&mut pair).collect::<Result<_, _>>().map(Value::Map)
    }

    /// Bytes behind their length, which itself has so many bytes.
    fn sized(&mut self, width: usize) -> Result<Vec<u8>, Stop> {
        let length = self.number(width)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        if length > MAX_MESSAGE {
            return Err(Stop::Alien(Alien::TooLong));
        }
        let taken = self.bytes.get(self.at..self.at + length).ok_or(Stop::Cut)?;
        self.at += length;
        Ok(taken.to_vec())
    }

    /// A big-endian number of at most four bytes.
    fn number(&mut self, width: usize) -> Result<usize, Stop> {
        let digits = self.take(width)?;
        Ok(digits.into_iter().fold(0, |number, digit| number << 8 | usize::from(digit)))
    }
}
