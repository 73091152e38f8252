//! The table of mounts, as `proc` shows it.
//!
//! Bytes, not text: a mount point is named by whoever mounts, in any encoding. White space, backslashes and
//! hashes stand as octal escapes in it. Does not look at what is mounted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// What is mounted: a device, or any word for those without one.
    pub(super) device: String,
    /// Where.
    point: Vec<u8>,
    /// The type of the file system.
    pub(super) kind: String,
}

impl Mount {
    /// Where it is mounted.
    pub(super) fn point(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.point))
    }
}

/// All mounts, in the order of the table; what comes later hides what was in its place. Lines with fewer
/// than three fields are left out.
pub(super) fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').map(unescape);
    let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (!point.is_empty()).then(|| Mount { device: text(device), point, kind: text(kind) })
}

/// Replaces a backslash and three octal digits by the byte that they stand for.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.first_chunk::<3>().filter(|_| *first == b'\\').and_then(octal);
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?;
    u8::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_mount_point_is_read() {
        let table = b"/dev/a / ext4 rw 0 0\n/dev/b /my\\040disk\\134\\0x\\ ext4 rw 0 0\n\
            /dev/c /\xff\xfe vfat rw 0 0\n\nhalf line\n";
        let mounts = parse(table);
        let points: Vec<&[u8]> = mounts.iter().map(|mount| mount.point.as_slice()).collect();
        assert_eq!(points, [&b"/"[..], b"/my disk\\\\0x\\", b"/\xff\xfe"]);
        assert_eq!((&*mounts[1].device, &*mounts[2].kind), ("/dev/b", "vfat"));
    }
}
