//! What a file really is, by its first bytes.
//!
//! Signatures are those of the formats' own specifications; `file(1)` knows many more. Does not look at
//! names, and does not check that the rest of the file is sound.

/// A type of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No bytes at all.
    Empty,
    /// Program of Linux and most Unix systems.
    Elf,
    /// Program of Windows.
    Pe,
    /// Program of DOS, or of Windows with a damaged header.
    Dos,
    /// Program of macOS.
    MachO,
    /// Class of the Java virtual machine.
    JavaClass,
    /// WebAssembly module or component.
    Wasm,
    /// Program of Android's virtual machine.
    Dex,
    /// Shortcut of Windows.
    Lnk,
    /// Text that begins with `#!`.
    Script,
    /// Text that begins with `<?php`.
    Php,
    /// Portable document.
    Pdf,
    /// PostScript.
    PostScript,
    /// Rich text.
    Rtf,
    /// Compound file: documents of Office up to 2003, installers.
    Ole,
    /// Zip archive of no known use.
    Zip,
    /// Document of Office since 2007: a zip archive.
    OfficeXml,
    /// OpenDocument: a zip archive.
    OpenDocument,
    /// Java or Android archive: a zip archive.
    Jar,
    /// Electronic book: a zip archive.
    Epub,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// 7-Zip.
    SevenZip,
    /// RAR.
    Rar,
    /// Cabinet of Windows.
    Cab,
    /// tar.
    Tar,
    /// `ar`: static libraries.
    Ar,
    /// Package of Debian: an `ar` archive.
    Deb,
    /// Package of RPM.
    Rpm,
    /// Image of a CD or DVD.
    Iso9660,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// Bitmap of Windows.
    Bmp,
    /// TIFF.
    Tiff,
    /// Icon of Windows.
    Ico,
    /// SVG: XML that may hold scripts.
    Svg,
    /// MP3, by its tag or its frames.
    Mp3,
    /// MP4, QuickTime, HEIF and their kin.
    IsoMedia,
    /// WAVE.
    Wav,
    /// AVI.
    Avi,
    /// Ogg.
    Ogg,
    /// FLAC.
    Flac,
    /// Matroska, WebM.
    Matroska,
    /// SQLite database.
    Sqlite,
    /// HTML.
    Html,
    /// XML.
    Xml,
    /// JSON, as far as its beginning tells.
    Json,
    /// Other text.
    Text,
    /// Bytes that tell nothing.
    Data,
}

/// How many bytes from the start of a file [`Kind::of`] wants to see. An ISO image says what it is behind
/// its first 32 KiB.
pub const HEAD_BYTES: usize = 0x8006;

impl Kind {
    /// The type of a file with this beginning.
    pub fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        binary(head).unwrap_or_else(|| text(head))
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Elf => "an ELF program",
            Self::Pe => "a Windows program",
            Self::Dos => "a DOS program",
            Self::MachO => "a macOS program",
            Self::JavaClass => "a Java class",
            Self::Wasm => "a WebAssembly module",
            Self::Dex => "an Android program",
            Self::Lnk => "a Windows shortcut",
            Self::Script => "a script",
            Self::Php => "a PHP script",
            Self::Pdf => "a PDF document",
            Self::PostScript => "a PostScript document",
            Self::Rtf => "a rich text document",
            Self::Ole => "a compound document",
            Self::Zip => "a zip archive",
            Self::OfficeXml => "an Office document",
            Self::OpenDocument => "an OpenDocument",
            Self::Jar => "a Java archive",
            Self::Epub => "an electronic book",
            Self::Gzip => "gzip data",
            Self::Bzip2 => "bzip2 data",
            Self::Xz => "xz data",
            Self::Zstd => "Zstandard data",
            Self::SevenZip => "a 7-Zip archive",
            Self::Rar => "a RAR archive",
            Self::Cab => "a cabinet archive",
            Self::Tar => "a tar archive",
            Self::Ar => "an ar archive",
            Self::Deb => "a Debian package",
            Self::Rpm => "an RPM package",
            Self::Iso9660 => "a disc image",
            Self::Png => "a PNG image",
            Self::Jpeg => "a JPEG image",
            Self::Gif => "a GIF image",
            Self::Webp => "a WebP image",
            Self::Bmp => "a bitmap",
            Self::Tiff => "a TIFF image",
            Self::Ico => "an icon",
            Self::Svg => "an SVG image",
            Self::Mp3 => "an MP3 file",
            Self::IsoMedia => "an MP4 file",
            Self::Wav => "a WAVE file",
            Self::Avi => "an AVI file",
            Self::Ogg => "an Ogg file",
            Self::Flac => "a FLAC file",
            Self::Matroska => "a Matroska file",
            Self::Sqlite => "an SQLite database",
            Self::Html => "an HTML page",
            Self::Xml => "XML",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Data => "data of no known type",
        }
    }

    /// Whether a computer runs it.
    pub fn is_program(self) -> bool {
        matches!(
            self,
            Self::Elf
                | Self::Pe
                | Self::Dos
                | Self::MachO
                | Self::JavaClass
                | Self::Wasm
                | Self::Dex
                | Self::Lnk
        )
    }

    /// Whether an interpreter runs it.
    pub fn is_script(self) -> bool {
        matches!(self, Self::Script | Self::Php)
    }

    /// Whether people look at or listen to it: what else is in such a file does not belong there.
    pub fn is_media(self) -> bool {
        matches!(
            self,
            Self::Png
                | Self::Jpeg
                | Self::Gif
                | Self::Webp
                | Self::Bmp
                | Self::Tiff
                | Self::Ico
                | Self::Mp3
                | Self::IsoMedia
                | Self::Wav
                | Self::Avi
                | Self::Ogg
                | Self::Flac
                | Self::Matroska
        )
    }

    /// Whether people read it in a program of its own.
    pub fn is_document(self) -> bool {
        matches!(self, Self::Pdf | Self::PostScript | Self::Rtf | Self::Ole)
    }
}

fn binary(head: &[u8]) -> Option<Kind> {
    let four: [u8; 4] = head.first_chunk().copied().unwrap_or_default();
    let kind = match &four {
        b"\x7fELF" => Kind::Elf,
        b"\x00asm" => Kind::Wasm,
        b"dex\n" => Kind::Dex,
        b"%PDF" => Kind::Pdf,
        b"%!PS" => Kind::PostScript,
        b"PK\x03\x04" | b"PK\x05\x06" => zip(head),
        b"Rar!" => Kind::Rar,
        b"7z\xbc\xaf" => Kind::SevenZip,
        b"MSCF" => Kind::Cab,
        b"\x28\xb5\x2f\xfd" => Kind::Zstd,
        b"\xed\xab\xee\xdb" => Kind::Rpm,
        b"\x89PNG" => Kind::Png,
        b"GIF8" => Kind::Gif,
        b"II*\x00" | b"MM\x00*" => Kind::Tiff,
        b"\x00\x00\x01\x00" if icon(head) => Kind::Ico,
        b"OggS" => Kind::Ogg,
        b"fLaC" => Kind::Flac,
        b"\x1a\x45\xdf\xa3" => Kind::Matroska,
        b"\xfe\xed\xfa\xce" | b"\xfe\xed\xfa\xcf" | b"\xce\xfa\xed\xfe" | b"\xcf\xfa\xed\xfe" => Kind::MachO,
        // A class and a universal binary begin alike; classes have versions from 45 on, universal
        // binaries hold a handful of programs.
        b"\xca\xfe\xba\xbe" => match head.get(4..8) {
            Some([0, 0, 0, count]) if (1..20).contains(count) => Kind::MachO,
            _ => Kind::JavaClass,
        },
        b"RIFF" => match head.get(8..12)? {
            b"WEBP" => Kind::Webp,
            b"WAVE" => Kind::Wav,
            b"AVI " => Kind::Avi,
            _ => return None,
        },
        _ => return binary_by_length(head),
    };
    Some(kind)
}

/// Signatures that are not four bytes at the start.
fn binary_by_length(head: &[u8]) -> Option<Kind> {
    let starts = |signature: &[u8]| head.starts_with(signature);
    let kind = if starts(b"MZ") {
        windows_or_dos(head)?
    } else if starts(b"\x1f\x8b") {
        Kind::Gzip
    } else if starts(b"BZh") && head.get(4..10) == Some(b"1AY&SY") {
        Kind::Bzip2
    } else if starts(b"\xfd7zXZ\0") {
        Kind::Xz
    } else if starts(b"\xff\xd8\xff") {
        Kind::Jpeg
    } else if starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        Kind::Ole
    } else if starts(b"\x4c\0\0\0\x01\x14\x02\0") {
        Kind::Lnk
    } else if starts(b"!<arch>\n") {
        if head.get(8..).is_some_and(|rest| rest.starts_with(b"debian-binary")) {
            Kind::Deb
        } else {
            Kind::Ar
        }
    } else if starts(b"SQLite format 3\0") {
        Kind::Sqlite
    } else if starts(b"{\\rtf") {
        Kind::Rtf
    } else if starts(b"BM") && bitmap(head) {
        Kind::Bmp
    } else if starts(b"ID3") || mp3_frame(head) {
        Kind::Mp3
    } else if head.get(4..8) == Some(b"ftyp") {
        Kind::IsoMedia
    } else if head.get(257..262) == Some(b"ustar") {
        Kind::Tar
    } else if head.get(0x8001..0x8006) == Some(b"CD001") {
        Kind::Iso9660
    } else {
        return None;
    };
    Some(kind)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `MZ` begins programs, and here and there a text.
fn windows_or_dos(head: &[u8]) -> Option<Kind> {
    let pe = u32_at(head, 0x3c)
        .and_then(|at| head.get(at as usize..))
        .is_some_and(|rest| rest.starts_with(b"PE\0\0"));
    if pe {
        return Some(Kind::Pe);
    }
    looks_binary(head).then_some(Kind::Dos)
}

fn icon(head: &[u8]) -> bool {
    // The number of pictures, and the reserved byte of the first.
    matches!((head.get(4..6), head.get(9)), (Some([1..=64, 0]), Some(0)))
}

fn bitmap(head: &[u8]) -> bool {
    // The length of the second header tells its version.
    u32_at(head, 14).is_some_and(|length| matches!(length, 12 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// Frame sync, version, layer III, and a bit rate and sampling rate that exist.
fn mp3_frame(head: &[u8]) -> bool {
    matches!(head, [0xff, second, third, ..]
        if matches!(second & 0xfe, 0xfa | 0xf2 | 0xe2) && third >> 4 != 0xf && third >> 4 != 0 && third & 0x0c != 0x0c)
}

/// What a zip archive is for, by the names of its members near the start.
fn zip(head: &[u8]) -> Kind {
    let holds = |name: &[u8]| memchr::memmem::find(head, name).is_some();
    // Both keep their type in an uncompressed first member.
    if holds(b"mimetypeapplication/vnd.oasis.opendocument") {
        Kind::OpenDocument
    } else if holds(b"mimetypeapplication/epub+zip") {
        Kind::Epub
    } else if holds(b"[Content_Types].xml") || holds(b"word/") || holds(b"ppt/") || holds(b"_rels/.rels") {
        Kind::OfficeXml
    } else if holds(b"META-INF/") || holds(b"AndroidManifest.xml") || holds(b"classes.dex") {
        Kind::Jar
    } else {
        Kind::Zip
    }
}

/// How much of a text is looked at.
const TEXT_BYTES: usize = 4096;

fn text(head: &[u8]) -> Kind {
    let head = &head[..head.len().min(TEXT_BYTES)];
    // UTF-16 has a mark at its start, and zeros that else only binary data has.
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Kind::Text;
    }
    if looks_binary(head) {
        return Kind::Data;
    }
    let body = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if body.starts_with(b"#!") {
        return Kind::Script;
    }
    let body = body.trim_ascii_start();
    let starts =
        |word: &str| body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    let holds = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    if starts("<?php") || starts("<?=") {
        Kind::Php
    } else if starts("<!doctype html")
        || starts("<html")
        || starts("<head")
        || starts("<body")
        || starts("<script")
    {
        Kind::Html
    } else if starts("<svg")
        || (starts("<?xml") || starts("<!--") || starts("<!DOCTYPE svg")) && holds(b"<svg")
    {
        Kind::Svg
    } else if starts("<?xml") {
        if holds(b"<html") { Kind::Html } else { Kind::Xml }
    } else if json(body) {
        Kind::Json
    } else {
        Kind::Text
    }
}

fn json(body: &[u8]) -> bool {
    match body {
        [b'{', rest @ ..] => matches!(rest.trim_ascii_start(), [b'"' | b'}', ..]),
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start(), [b'"' | b'{' | b'[' | b']', ..]),
        _ => false,
    }
}

/// Text holds no zeros, and hardly any other control characters but blanks.
fn looks_binary(head: &[u8]) -> bool {
    let head = &head[..head.len().min(TEXT_BYTES)];
    let control = |b: &&u8| **b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x08);
    memchr::memchr(0, head).is_some() || head.iter().filter(control).count() * 20 > head.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn check(head: &[u8], expected: Kind) {
        assert_eq!(Kind::of(head), expected, "{:?}", String::from_utf8_lossy(head));
    }

    #[test]
    fn signatures_are_known() {
        check(b"", Kind::Empty);
        check(b"\x7fELF\x02\x01\x01", Kind::Elf);
        check(b"\xca\xfe\xba\xbe\0\0\0\x34", Kind::JavaClass);
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", Kind::MachO);
        check(b"\xff\xd8\xff\xe0", Kind::Jpeg);
        check(b"RIFF\0\0\0\0WEBPVP8 ", Kind::Webp);
        check(b"\0\0\0\x20ftypisom", Kind::IsoMedia);
        check(b"BZh91AY&SY", Kind::Bzip2);
        check(b"\xff\xfb\x90\x64\0", Kind::Mp3);
        check(b"!<arch>\ndebian-binary   ", Kind::Deb);
        check(
            b"PK\x03\x04..........................mimetypeapplication/vnd.oasis.opendocument.text",
            Kind::OpenDocument,
        );
        check(b"PK\x03\x04..........................[Content_Types].xml", Kind::OfficeXml);
    }

    #[test]
    fn text_is_told_by_what_it_begins_with() {
        check(b"#!/bin/sh\n", Kind::Script);
        check(b"\xef\xbb\xbf#!/bin/sh\n", Kind::Script);
        check(b"\n <?PHP echo 1;", Kind::Php);
        check(b"<!DOCTYPE html><html>", Kind::Html);
        check(b"<?xml version=\"1.0\"?><svg/>", Kind::Svg);
        check(b"<?xml version=\"1.0\"?><a/>", Kind::Xml);
        check(b"{ \"a\": 1}", Kind::Json);
        check(b"[section]\nkey = 1", Kind::Text);
        check("Käse\n".as_bytes(), Kind::Text);
        check(b"MZ is how programs of DOS begin", Kind::Text);
        check(b"BM is no bitmap here", Kind::Text);
        check(b"\xff\xfeh\0i\0", Kind::Text);
        check(b"\x01\x02\x03\x04\0", Kind::Data);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(any::<u8>(), 0..600)) {
            Kind::of(&head);
        }

        #[test]
        fn no_tail_of_a_signature_makes_it_panic(
            signature in proptest::sample::select(vec![&b"MZ"[..], b"PK\x03\x04", b"RIFF", b"BM", b"\xca\xfe\xba\xbe", b"\0\0\x01\0", b"\xff\xfb", b"!<arch>\n"]),
            tail in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            Kind::of(&[signature, &tail].concat());
        }
    }
}
