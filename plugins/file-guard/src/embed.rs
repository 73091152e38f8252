//! What else is in a file: archives behind it, programs and scripts within it, and documents that run
//! something.
//!
//! Each candidate is checked beyond its magic bytes, since four bytes turn up by chance once in a few
//! thousand large pictures. Does not unpack anything: what is compressed within is not seen.

use memchr::memmem;

use crate::kind::Kind;

/// Something in a file that its type does not call for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// What it is.
    pub what: What,
    /// Where it begins, in bytes.
    pub offset: u64,
}

/// What can be in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A zip archive.
    Archive,
    /// A program of this type.
    Program(Kind),
    /// A script for a web server.
    Script,
    /// Something that a document runs; the words name it.
    Active(&'static str),
}

/// How many bytes a candidate's header takes: pieces of a file overlap by it, so that none is missed
/// between two pieces.
pub const OVERLAP: usize = 64;

/// What is searched for in a file of one type.
#[derive(Debug)]
pub struct Search {
    kind: Kind,
    elf: memmem::Finder<'static>,
    pe: memmem::Finder<'static>,
    scripts: [(memmem::Finder<'static>, What); 3],
    actions: [(memmem::Finder<'static>, What); 4],
}

impl Search {
    /// A search in a file of this type; none where everything may be within, or nothing can be told.
    pub fn of(kind: Kind) -> Option<Self> {
        let finder = |needle: &'static [u8]| memmem::Finder::new(needle);
        let searched = kind.is_media() || kind.is_document() || matches!(kind, Kind::OfficeXml | Kind::Svg);
        searched.then(|| Self {
            kind,
            elf: finder(b"\x7fELF"),
            pe: finder(b"PE\0\0"),
            scripts: [
                (finder(b"<?php"), What::Script),
                (finder(b"<script language=\"php\""), What::Script),
                (finder(b"<%@ page "), What::Script),
            ],
            actions: [
                (finder(b"/Launch"), What::Active("a `/Launch` action")),
                (finder(b"/JavaScript"), What::Active("JavaScript")),
                (finder(b"vbaProject.bin"), What::Active("macros")),
                (finder(b"<script"), What::Active("a script")),
            ],
        })
    }

    /// Searches one piece of the file, which begins at `start`. The start of the file itself is passed
    /// over: it is what the file is.
    pub fn piece(&self, piece: &[u8], start: u64) -> Vec<Embedded> {
        let mut found = Vec::new();
        let mut add = |what, at: usize| found.push(Embedded { what, offset: start + at as u64 });
        let within = |at: &usize| start > 0 || *at > 0;
        if self.kind != Kind::Svg && self.kind != Kind::OfficeXml {
            if let Some(at) = self.elf.find_iter(piece).filter(within).find(|at| is_elf(&piece[*at..])) {
                add(What::Program(Kind::Elf), at);
            }
            if let Some(at) = self.pe.find_iter(piece).find(|at| is_pe(&piece[*at..])) {
                add(What::Program(Kind::Pe), at);
            }
        }
        if self.kind.is_media() {
            for (finder, what) in &self.scripts {
                if let Some(at) = finder.find_iter(piece).find(|at| is_text(&piece[*at..])) {
                    add(*what, at);
                }
            }
        }
        for (finder, what) in self.actions.iter().filter(|(_, what)| self.acts(*what)) {
            if let Some(at) = finder.find(piece) {
                add(*what, at);
            }
        }
        found
    }

    /// Which actions a document of this type can have.
    fn acts(&self, what: What) -> bool {
        let What::Active(name) = what else { return false };
        match self.kind {
            Kind::Pdf => name == "a `/Launch` action" || name == "JavaScript",
            Kind::OfficeXml => name == "macros",
            Kind::Svg => name == "a script",
            _ => false,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Class, byte order and version exist, and the type is that of a program or library.
fn is_elf(bytes: &[u8]) -> bool {
    let ident = matches!(bytes.get(4..7), Some([1 | 2, 1 | 2, 1]));
    let kind = match bytes.get(5) {
        Some(2) => u16_at(bytes, 16).map(u16::swap_bytes),
        _ => u16_at(bytes, 16),
    };
    ident && matches!(kind, Some(1..=4))
}

/// The machine exists, and the optional header has its magic number.
fn is_pe(bytes: &[u8]) -> bool {
    let machine = matches!(u16_at(bytes, 4), Some(0x014c | 0x8664 | 0xaa64 | 0x01c0 | 0x01c4));
    machine && matches!(u16_at(bytes, 24), Some(0x010b | 0x020b))
}

/// A script goes on as text; in compressed data the same bytes come by chance.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(24)];
    start.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e))
}

/// The most bytes at the end of a file in which a zip archive says where its directory is: the record
/// and the longest comment.
pub const ZIP_END: usize = 22 + 65_535;

/// Finds a zip archive that ends a file of another type. `tail` are the last bytes of the file, which is
/// `size` bytes long.
pub fn archive_at_end(tail: &[u8], size: u64) -> Option<Embedded> {
    let at = memmem::rfind(tail, b"PK\x05\x06")?;
    let record = &tail[at..];
    let comment = usize::from(u16_at(record, 20)?);
    let (entries, length, offset) =
        (u16_at(record, 10)?, u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
    // What follows a real record is its comment and no more than a little padding.
    if entries == 0 || record.len() < 22 + comment || record.len() - 22 - comment > 512 {
        return None;
    }
    let end = size - tail.len() as u64 + at as u64;
    // Offsets count from the start of the archive, wherever in the file that is.
    let directory = end.checked_sub(length)?;
    let start = directory.checked_sub(offset)?;
    let within = (directory + tail.len() as u64).checked_sub(size);
    let seen = within
        .and_then(|at| tail.get(usize::try_from(at).ok()?..))
        .is_none_or(|rest| rest.starts_with(b"PK\x01\x02"));
    seen.then_some(Embedded { what: What::Archive, offset: start })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn magic_bytes_alone_are_nothing() {
        let search = Search::of(Kind::Png).unwrap();
        assert_eq!(search.piece(b"\x89PNG....\x7fELF....PE\0\0....", 0), []);
        assert_eq!(search.piece(b"\x89PNG<?php\x01\x02\x03", 0), []);
        assert!(Search::of(Kind::Zip).is_none());
    }

    #[test]
    fn actions_belong_to_their_documents() {
        let check = |kind: Kind, bytes: &[u8], expected: &[What]| {
            let found: Vec<What> =
                Search::of(kind).unwrap().piece(bytes, 0).into_iter().map(|e| e.what).collect();
            assert_eq!(found, expected);
        };
        check(Kind::Pdf, b"%PDF-1.4 /OpenAction << /S /JavaScript >>", &[What::Active("JavaScript")]);
        check(Kind::OfficeXml, b"PK\x03\x04 word/vbaProject.bin", &[What::Active("macros")]);
        check(Kind::Svg, b"<svg><script>alert(1)</script>", &[What::Active("a script")]);
        check(Kind::Png, b"\x89PNG /JavaScript", &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in any::<u32>()) {
            for kind in [Kind::Png, Kind::Pdf, Kind::Svg, Kind::OfficeXml] {
                Search::of(kind).unwrap().piece(&bytes, u64::from(start));
            }
            let end = [&bytes[..], b"PK\x05\x06", &bytes].concat();
            archive_at_end(&end, end.len() as u64 + u64::from(start));
        }
    }
}
