//! Opens `ar` archives (static libraries, Debian packages): their plain form, with names of up to 16
//! bytes.
#![forbid(unsafe_code)]

use std::io::{Read, Seek, SeekFrom};

use picket_sdk::{
    ConfigError, Container, Error, Member, NoConfig, Object, Plugin, Reader, Result, Setup,
    Unpacker,
};

/// The plugin.
#[derive(Debug)]
pub struct Ar;

/// What an archive begins with.
const MAGIC: &[u8; 8] = b"!<arch>\n";

impl Plugin for Ar {
    type Config = NoConfig;

    fn new(_config: NoConfig, _setup: &mut Setup) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Unpacker for Ar {
    type Container = Archive;

    fn open(&mut self, object: Object<'static>) -> Result<Option<Archive>> {
        if object.head(MAGIC.len())? != MAGIC {
            return Ok(None);
        }
        Ok(Some(Archive {
            reader: object.into_reader(),
            next: MAGIC.len() as u64,
            left: 0,
        }))
    }
}

/// An open archive.
#[derive(Debug)]
pub struct Archive {
    reader: Reader<Object<'static>>,
    /// Where the next member's header begins.
    next: u64,
    /// How much of the current member is still to be read.
    left: u64,
}

impl Container for Archive {
    fn next(&mut self) -> Result<Option<Member>> {
        let end = self.reader.object().info().size;
        while self.next < end {
            self.reader.seek(SeekFrom::Start(self.next))?;
            let mut header = [0; 60];
            self.reader.read_exact(&mut header)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
            let size: u64 = text(&header[48..58])
                .parse()
                .map_err(|_| Error::new(format!("the member at byte {} has no size", self.next)))?;
            // Adding must not wrap, whatever the header says.
            let behind = self.next.saturating_add(60).saturating_add(size);
            if behind > end {
                let at = self.next;
                return Err(Error::new(format!("the member at byte {at} is cut off")));
            }
            // Members begin at even places.
            self.next = behind.saturating_add(size % 2);
            self.left = size;
            let name = text(&header[..16]);
            // `/` and `//` are the archive's own indexes.
            let path = name.trim_end_matches('/');
            if !path.is_empty() {
                return Ok(Some(Member::new(path, Some(size))));
            }
        }
        Ok(None)
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        // The host asks for at most some 100 KiB; what the header claims makes no buffer larger.
        let mut bytes = vec![0; len.min(usize::try_from(self.left).unwrap_or(len))];
        let len = self.reader.read(&mut bytes)?;
        if len == 0 && self.left > 0 {
            // Giving nothing would say that the member is complete.
            return Err(Error::new("the archive ends in the middle of a member"));
        }
        bytes.truncate(len);
        self.left -= len as u64;
        Ok(bytes)
    }
}

picket_sdk::register!(Ar: Unpacker);

#[cfg(test)]
mod tests {
    use super::*;
    use picket_sdk::testing::{Host, Object};

    fn member(name: &str, content: &str) -> String {
        let padding = if content.len().is_multiple_of(2) {
            ""
        } else {
            "\n"
        };
        format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n{content}{padding}",
            0,
            0,
            0,
            644,
            content.len()
        )
    }

    #[test]
    fn every_member_is_unpacked() {
        let mut plugin = Host::new()
            .start::<Ar>("{}")
            .expect("it needs no configuration");
        let archive = format!(
            "!<arch>\n{}{}{}",
            member("/", "symbols"),
            member("a.txt/", "odd"),
            member("b", "even")
        );
        let members = plugin
            .unpack(&Object::new("/srv/x.a", archive))
            .expect("it unpacks")
            .expect("it is an archive");
        let found: Vec<_> = members
            .iter()
            .map(|m| (m.path.as_str(), m.bytes.as_slice()))
            .collect();
        assert_eq!(found, [("a.txt", &b"odd"[..]), ("b", &b"even"[..])]);
    }

    #[test]
    fn other_files_are_no_archives_and_broken_ones_are_errors() {
        let mut plugin = Host::new()
            .start::<Ar>("{}")
            .expect("it needs no configuration");
        assert_eq!(plugin.unpack(&Object::new("/srv/x", "text")), Ok(None));
        let broken = format!("!<arch>\n{}", member("a", "x").replace('1', "?"));
        assert!(plugin.unpack(&Object::new("/srv/x.a", broken)).is_err());
    }

    #[test]
    fn an_archive_that_is_cut_off_is_an_error_wherever_it_ends() {
        let whole = format!("!<arch>\n{}{}", member("/", "symbols"), member("b", "even"));
        let first = MAGIC.len() + member("/", "symbols").len();
        for len in MAGIC.len() + 1..whole.len() {
            let cut = &whole[..len];
            // An error ends an instance.
            let mut plugin = Host::new()
                .start::<Ar>("{}")
                .expect("it needs no configuration");
            let unpacked = plugin.unpack(&Object::new("/srv/x.a", cut));
            // Where the second member would begin, and at the padding before, nothing is missing.
            let complete = len == first || len == first - 1;
            assert_eq!(unpacked.is_ok(), complete, "{len} bytes: {unpacked:?}");
        }
    }
}
