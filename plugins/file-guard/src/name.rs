//! What a file's name promises: the types its extension stands for, and tricks that make people see
//! another name.

use crate::kind::Kind;

/// The extension in lower case, without the dot; none for `.bashrc` and `README`.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty() && extension.len() <= 12)
        .then(|| extension.to_ascii_lowercase())
}

/// The types that an extension stands for. None for one that is not known: anything may be behind it.
pub fn promised(extension: &str) -> Option<&'static [Kind]> {
    use Kind::*;
    let kinds: &[Kind] = match extension {
        "png" => &[Png],
        "jpg" | "jpeg" | "jpe" | "jfif" => &[Jpeg],
        "gif" => &[Gif],
        "webp" => &[Webp],
        "bmp" => &[Bmp],
        "tif" | "tiff" => &[Tiff],
        "ico" => &[Ico, Png],
        "svg" => &[Svg],
        "mp3" => &[Mp3],
        "mp4" | "m4a" | "m4v" | "mov" | "heic" | "heif" | "avif" | "3gp" => &[IsoMedia],
        "wav" => &[Wav],
        "avi" => &[Avi],
        "ogg" | "oga" | "ogv" | "opus" => &[Ogg],
        "flac" => &[Flac],
        "mkv" | "webm" => &[Matroska],
        "pdf" => &[Pdf],
        "ps" | "eps" => &[PostScript],
        "rtf" => &[Rtf],
        "doc" | "dot" => &[Ole, Rtf],
        "xls" | "ppt" | "msi" | "msg" => &[Ole],
        // A document with a password is a compound file.
        "docx" | "docm" | "xlsx" | "xlsm" | "pptx" | "pptm" => &[OfficeXml, Zip, Ole],
        "odt" | "ods" | "odp" | "odg" => &[OpenDocument, Zip],
        "epub" => &[Epub, Zip],
        "zip" => &[Zip, OfficeXml, OpenDocument, Jar, Epub],
        "jar" | "war" | "ear" | "apk" => &[Jar, Zip],
        "gz" | "tgz" => &[Gzip],
        "bz2" | "tbz2" => &[Bzip2],
        "xz" | "txz" => &[Xz],
        "zst" => &[Zstd],
        "7z" => &[SevenZip],
        "rar" => &[Rar],
        "cab" => &[Cab],
        "tar" => &[Tar],
        "a" => &[Ar],
        "deb" => &[Deb],
        "rpm" => &[Rpm],
        "iso" => &[Iso9660],
        "sqlite" | "sqlite3" => &[Sqlite],
        "exe" | "dll" | "sys" | "scr" | "com" => &[Pe, Dos],
        "so" | "ko" => &[Elf],
        "class" => &[JavaClass],
        "wasm" => &[Wasm],
        "lnk" => &[Lnk],
        "php" | "phtml" | "php5" | "phar" => &[Php, Html, Script, Text, Xml],
        "sh" | "bash" | "py" | "pl" | "rb" | "lua" | "js" | "mjs" => &[Script, Text, Json, Html, Php],
        "html" | "htm" | "xhtml" => &[Html, Xml, Text],
        "xml" | "xsd" | "rss" => &[Xml, Text, Html, Svg],
        "json" => &[Json, Text],
        "txt" | "md" | "rst" | "csv" | "tsv" | "log" | "css" | "ini" => &[Text, Json, Xml],
        "yml" | "yaml" | "toml" | "conf" | "cfg" => &[Text, Json, Xml, Script],
        _ => return None,
    };
    Some(kinds)
}

/// Extensions that a computer runs when somebody opens the file, or that a web server does.
fn runs(extension: &str) -> bool {
    matches!(
        extension,
        "exe"
            | "scr"
            | "com"
            | "pif"
            | "bat"
            | "cmd"
            | "msi"
            | "ps1"
            | "vbs"
            | "vbe"
            | "js"
            | "jse"
            | "wsf"
            | "hta"
            | "lnk"
            | "jar"
            | "sh"
            | "run"
            | "elf"
            | "php"
            | "phtml"
            | "php5"
            | "phar"
            | "asp"
            | "aspx"
            | "jsp"
            | "jspx"
            | "cgi"
            | "desktop"
    )
}

/// Extensions of what people take for harmless.
fn harmless(extension: &str) -> bool {
    let media = promised(extension).is_some_and(|kinds| {
        kinds.iter().any(|kind| kind.is_media() || kind.is_document() || *kind == Kind::Svg)
    });
    media
        || matches!(
            extension,
            "docx" | "xlsx" | "pptx" | "odt" | "ods" | "txt" | "csv" | "html" | "htm" | "zip"
        )
}

/// The two last extensions of `invoice.pdf.exe` (who opens a document runs a program) or of
/// `avatar.php.gif` (some web servers run it).
pub fn double_extension(name: &str) -> Option<(String, String)> {
    let last = extension(name)?;
    let before = extension(&name[..name.len() - last.len() - 1])?;
    (harmless(&before) && runs(&last) || runs_on_servers(&before) && harmless(&last))
        .then_some((before, last))
}

fn runs_on_servers(extension: &str) -> bool {
    matches!(extension, "php" | "phtml" | "php5" | "phar" | "asp" | "aspx" | "jsp" | "jspx" | "cgi")
}

/// What makes people see another name than the file has.
pub fn deception(name: &str) -> Option<&'static str> {
    let turns =
        |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let invisible = |c: char| matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}');
    if name.contains(turns) {
        Some("characters that turn the direction of writing")
    } else if name.contains(invisible) {
        Some("invisible characters")
    } else if name.contains(|c: char| c.is_control()) {
        Some("control characters")
    } else if name.ends_with([' ', '.']) && !name.trim_matches('.').is_empty() {
        Some("a blank or a dot at its end")
    } else if name.contains("    ") {
        Some("a run of blanks that pushes its extension out of sight")
    } else {
        None
    }
}

/// Whether listings leave the file out.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name.len() > 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extensions_are_what_stands_behind_the_last_dot() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(extension(name).as_deref(), expected, "{name}");
        check("a.PDF", Some("pdf"));
        check("a.tar.gz", Some("gz"));
        check(".bashrc", None);
        check("README", None);
        check("ends.", None);
        check("a.verylongextension", None);
    }

    #[test]
    fn double_extensions_hide_what_runs() {
        let check =
            |name: &str, expected: bool| assert_eq!(double_extension(name).is_some(), expected, "{name}");
        check("invoice.pdf.exe", true);
        check("avatar.php.gif", true);
        check("photo.jpg.lnk", true);
        check("archive.tar.gz", false);
        check("jquery.min.js", false);
        check("notes.2024.txt", false);
        check("setup.exe", false);
    }

    #[test]
    fn deceptive_names_are_seen() {
        assert!(deception("photo\u{202e}gpj.exe").is_some());
        assert!(deception("report.pdf          .exe").is_some());
        assert!(deception("a\nb").is_some());
        assert!(deception("a.txt ").is_some());
        for name in ["a.txt", ".", "..", "Übersicht 2024.pdf", "日本語.txt", "a  b"] {
            assert_eq!(deception(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name in "\\PC{0,40}") {
            double_extension(&name);
            deception(&name);
            extension(&name).as_deref().map(promised);
        }
    }
}
