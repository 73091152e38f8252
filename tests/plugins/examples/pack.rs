//! An unpacker of plain `ar` archives that also makes what a hostile one would: files that begin with
//! `!members`, `!bytes`, `!broken` or `!trap` are containers that never end, break off, or break the plugin.

use std::io::{Read, Seek, SeekFrom};

use picket_sdk::{
    ConfigError, Container, Error, Member, NoConfig, Object, Plugin, Reader, Result, Setup, Unpacker,
};

struct Pack;

const MAGIC: &[u8; 8] = b"!<arch>\n";

impl Plugin for Pack {
    type Config = NoConfig;

    fn new(_config: NoConfig, _setup: &mut Setup) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Unpacker for Pack {
    type Container = Open;

    fn open(&mut self, object: Object<'static>) -> Result<Option<Open>> {
        let head = object.head(8)?;
        if head == MAGIC {
            return Ok(Some(Open::Ar { reader: Box::new(object.into_reader()), next: 8, left: 0 }));
        }
        let tricks = [
            (&b"!members"[..], Trick::Members),
            (b"!bytes", Trick::Bytes),
            (b"!broken", Trick::Broken),
            (b"!trap", Trick::Trap),
        ];
        let trick = tricks.into_iter().find(|(word, _)| head.starts_with(word));
        Ok(trick.map(|(_, trick)| Open::Hostile { trick, members: 0, left: Vec::new() }))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Trick {
    /// Members without end.
    Members,
    /// A member without end, and one more.
    Bytes,
    /// An error after the first member.
    Broken,
    /// A panic after the first member.
    Trap,
}

enum Open {
    Ar {
        reader: Box<Reader<Object<'static>>>,
        /// Where the next member's header begins.
        next: u64,
        /// How much of the current member is still to be read.
        left: u64,
    },
    Hostile {
        trick: Trick,
        members: u32,
        left: Vec<u8>,
    },
}

impl Container for Open {
    fn next(&mut self) -> Result<Option<Member>> {
        match self {
            Self::Ar { reader, next, left } => ar_member(reader, next, left),
            Self::Hostile { trick, members, left } => {
                *members += 1;
                *left = b"evil".to_vec();
                match (trick, *members) {
                    (Trick::Members, number) => {
                        Ok(Some(Member::new(format!("{number}{}", "p".repeat(4000)), None)))
                    }
                    (_, 1) => Ok(Some(Member::new("first", None))),
                    (Trick::Bytes, 2) => Ok(Some(Member::new("second", None))),
                    (Trick::Bytes, _) => Ok(None),
                    (Trick::Broken, _) => Err(Error::new("it ends in the middle of a member")),
                    (Trick::Trap, _) => panic!("told to trap"),
                }
            }
        }
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        match self {
            Self::Ar { reader, left, .. } => {
                let mut bytes = vec![0; len.min(usize::try_from(*left).unwrap_or(len))];
                let len = reader.read(&mut bytes)?;
                bytes.truncate(len);
                *left -= len as u64;
                Ok(bytes)
            }
            Self::Hostile { trick: Trick::Bytes, members: 1, .. } => Ok(vec![b'x'; len]),
            Self::Hostile { left, .. } => Ok(std::mem::take(left)),
        }
    }
}

fn ar_member(reader: &mut Reader<Object<'static>>, next: &mut u64, left: &mut u64) -> Result<Option<Member>> {
    if *next >= reader.object().info().size {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(*next))?;
    let mut header = [0; 60];
    reader.read_exact(&mut header)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let size: u64 = text(&header[48..58]).parse().map_err(|_| Error::new("a member has no size"))?;
    *next = next.saturating_add(60).saturating_add(size).saturating_add(size % 2);
    *left = size;
    Ok(Some(Member::new(text(&header[..16]), Some(size))))
}

picket_sdk::register!(Pack: Unpacker);
