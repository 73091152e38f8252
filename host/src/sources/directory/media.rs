//! The media type of a file by its first bytes.
//!
//! Only what separates kinds of files is here: programs, scripts, containers, documents, images. A
//! type is told by signature (the formats' own specifications, as also collected in the WHATWG MIME
//! Sniffing standard and in `file`'s magic), never by a name. Text is what is UTF-8 without control
//! characters.

/// How many first bytes are looked at: the magic of tar stands at 257, text is judged by all of them.
pub const HEADER_BYTES: usize = 4096;

/// Nothing is known of the file.
pub const UNKNOWN: &str = "application/octet-stream";

/// A signature: where it stands, its bytes, the type.
type Signature = (usize, &'static [u8], &'static str);

/// In the order in which they are tried.
const SIGNATURES: &[Signature] = &[
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\0asm", "application/wasm"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\0\0\x01\0", "image/vnd.microsoft.icon"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"\x4c\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (0, b"-----BEGIN ", "application/x-pem-file"),
];

/// The media type of a file that starts with `header`, of which at most [`HEADER_BYTES`] count;
/// `application/octet-stream` when the bytes tell nothing.
pub fn media_type(header: &[u8]) -> &'static str {
    let header = &header[..header.len().min(HEADER_BYTES)];
    if header.is_empty() {
        return "application/x-empty";
    }
    let signature = SIGNATURES
        .iter()
        .find(|(at, magic, _)| header.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, media_type)) = signature {
        return media_type;
    }
    zip(header)
        .or_else(|| portable_executable(header))
        .or_else(|| java_or_mach(header))
        .or_else(|| riff(header))
        .or_else(|| text(header))
        .unwrap_or(UNKNOWN)
}

/// ZIP and the formats that are ZIP files, told by the name of the first member.
fn zip(header: &[u8]) -> Option<&'static str> {
    if header.starts_with(b"PK\x05\x06") {
        return Some("application/zip");
    }
    let rest = header.strip_prefix(b"PK\x03\x04")?;
    // The name's length stands at 26 and the name at 30, of which four bytes are stripped.
    let length = usize::from(u16::from_le_bytes(rest.get(22..24)?.try_into().ok()?));
    let name = rest.get(26..)?;
    let name = &name[..name.len().min(length)];
    let extra = usize::from(u16::from_le_bytes(rest.get(24..26)?.try_into().ok()?));
    let content = rest.get(26 + length + extra..).unwrap_or_default();
    Some(match name {
        b"META-INF/" | b"META-INF/MANIFEST.MF" => "application/java-archive",
        b"[Content_Types].xml" => office(header),
        b"mimetype" if content.starts_with(b"application/epub+zip") => "application/epub+zip",
        b"mimetype" if content.starts_with(b"application/vnd.oasis.") => "application/vnd.oasis.opendocument",
        b"AndroidManifest.xml" => "application/vnd.android.package-archive",
        _ => "application/zip",
    })
}

/// Office Open XML by the folder of its parts, when one stands near the start.
fn office(header: &[u8]) -> &'static str {
    let holds = |folder: &[u8]| memchr::memmem::find(header, folder).is_some();
    if holds(b"word/") {
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    } else if holds(b"xl/") {
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    } else if holds(b"ppt/") {
        "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    } else {
        "application/vnd.openxmlformats-officedocument"
    }
}

/// `MZ` is a program for Windows when the offset at 60 leads to `PE`, else one for DOS.
fn portable_executable(header: &[u8]) -> Option<&'static str> {
    if !header.starts_with(b"MZ") || header.len() < 64 {
        return None;
    }
    let at = u32::from_le_bytes(header[60..64].try_into().ok()?) as usize;
    let signature = header.get(at..at.saturating_add(4));
    Some(match signature {
        Some(b"PE\0\0") => "application/vnd.microsoft.portable-executable",
        // Beyond what was read: more likely a program than not.
        None if at > header.len() => "application/vnd.microsoft.portable-executable",
        _ => "application/x-dosexec",
    })
}

/// Java classes and fat Mach-O files begin alike. What follows is a version of at least 45 in the one
/// and the number of architectures in the other.
fn java_or_mach(header: &[u8]) -> Option<&'static str> {
    let rest = header.strip_prefix(b"\xca\xfe\xba\xbe")?;
    let number = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
    Some(if number < 45 { "application/x-mach-binary" } else { "application/java-vm" })
}

fn riff(header: &[u8]) -> Option<&'static str> {
    header.strip_prefix(b"RIFF")?;
    Some(match header.get(8..12)? {
        b"WEBP" => "image/webp",
        b"WAVE" => "audio/wav",
        b"AVI " => "video/x-msvideo",
        _ => return None,
    })
}

/// Scripts, markup and plain text.
fn text(header: &[u8]) -> Option<&'static str> {
    if header.starts_with(b"#!") {
        return Some(script(header));
    }
    if header.starts_with(b"\xff\xfe") || header.starts_with(b"\xfe\xff") {
        return Some("text/plain; charset=utf-16");
    }
    let text = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
    if !is_text(text, header.len() == HEADER_BYTES) {
        return None;
    }
    let start = text.trim_ascii_start();
    let start = start[..start.len().min(32)].to_ascii_lowercase();
    let markup: [(&[u8], &str); 8] = [
        (b"<?xml", "text/xml"),
        (b"<?php", "application/x-httpd-php"),
        (b"<!doctype html", "text/html"),
        (b"<html", "text/html"),
        (b"<head", "text/html"),
        (b"<script", "text/html"),
        (b"<svg", "image/svg+xml"),
        (b"<!--", "text/html"),
    ];
    let markup = markup.iter().find(|(tag, _)| start.starts_with(tag));
    Some(markup.map_or("text/plain", |(_, media_type)| media_type))
}

/// By the interpreter that the first line names.
fn script(header: &[u8]) -> &'static str {
    let line = header.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let holds = |name: &[u8]| memchr::memmem::find(line, name).is_some();
    if holds(b"python") {
        "text/x-python"
    } else if holds(b"perl") {
        "text/x-perl"
    } else if holds(b"ruby") {
        "text/x-ruby"
    } else if holds(b"php") {
        "application/x-httpd-php"
    } else if holds(b"node") {
        "text/javascript"
    } else if holds(b"sh") {
        "text/x-shellscript"
    } else {
        "text/x-script"
    }
}

/// UTF-8 without control characters other than those of text. A character cut off at the end counts
/// as whole when more follows.
fn is_text(text: &[u8], more_follows: bool) -> bool {
    let valid = match std::str::from_utf8(text) {
        Ok(_) => true,
        Err(error) => more_follows && error.error_len().is_none(),
    };
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x08);
    valid && !text.iter().any(control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[u8], expected: &str) {
        assert_eq!(
            media_type(header),
            expected,
            "{}",
            String::from_utf8_lossy(&header[..header.len().min(40)])
        );
    }

    /// A ZIP file's first local header with a member's name and content.
    fn zipped(name: &str, content: &str) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        header.extend([0; 22]);
        header.extend((name.len() as u16).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(content.as_bytes());
        header
    }

    #[test]
    fn types_by_signature() {
        check(b"", "application/x-empty");
        check(b"\x7fELF\x02\x01\x01", "application/x-elf");
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", "application/x-mach-binary");
        check(b"\xca\xfe\xba\xbe\0\0\0\x37", "application/java-vm");
        check(b"RIFF\0\0\0\0WEBPVP8 ", "image/webp");
        check(b"\x89PNG\r\n\x1a\n", "image/png");
        check(b"%PDF-1.7", "application/pdf");
        check(b"\0asm\x0d\0\x01\0", "application/wasm");
        let mut tar = vec![b'x'; 257];
        tar.extend(b"ustar\0");
        check(&tar, "application/x-tar");
        let mut program = b"MZ".to_vec();
        program.resize(64, 0);
        check(&program, "application/x-dosexec");
        program[60] = 64;
        program.extend(b"PE\0\0");
        check(&program, "application/vnd.microsoft.portable-executable");
        check(b"\x01\x02\x03\x04", UNKNOWN);
    }

    #[test]
    fn zip_files_by_their_first_member() {
        check(&zipped("a.txt", ""), "application/zip");
        check(&zipped("META-INF/MANIFEST.MF", ""), "application/java-archive");
        check(&zipped("[Content_Types].xml", ""), "application/vnd.openxmlformats-officedocument");
        check(
            &zipped("[Content_Types].xml", "..xl/workbook.xml"),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        );
        check(&zipped("mimetype", "application/epub+zip"), "application/epub+zip");
        check(b"PK\x03\x04", UNKNOWN);
    }

    #[test]
    fn text_by_its_characters() {
        check(b"#!/usr/bin/env python3\n", "text/x-python");
        check(b"#!/bin/sh\n", "text/x-shellscript");
        check("grüße\n".as_bytes(), "text/plain");
        check(b"  <!DOCTYPE HTML>", "text/html");
        check(b"\xef\xbb\xbf<?xml version='1.0'?>", "text/xml");
        check(b"<?php system($_GET['c']);", "application/x-httpd-php");
        check(b"text with \0 in it", UNKNOWN);
        check(b"latin \xe9", UNKNOWN);
        let mut long = "x".repeat(HEADER_BYTES - 1).into_bytes();
        long.extend("é and more".as_bytes());
        check(&long, "text/plain");
    }
}
