//! Looks at the outer shape of a component before any time is spent on compiling it.
//!
//! Only the frame of the file is read: what it is, and whether its sections end where they say.
//! Validation proper is the compiler's.

use crate::InspectError;

const MAGIC: &[u8] = b"\0asm";
/// Version and layer of the component format, as in the Component Model's Binary.md.
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
const CORE_MODULE: &[u8] = &[0x01, 0x00, 0x00, 0x00];

/// Tells whether the bytes can be a whole component.
pub(crate) fn check(bytes: &[u8]) -> Result<(), InspectError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(if !bytes.is_empty() && MAGIC.starts_with(bytes) {
            InspectError::Truncated { bytes: bytes.len() as u64 }
        } else {
            InspectError::NotWebAssembly
        });
    };
    let Some((version, mut sections)) = rest.split_at_checked(COMPONENT.len()) else {
        return Err(InspectError::Truncated { bytes: bytes.len() as u64 });
    };
    match version {
        COMPONENT => {}
        CORE_MODULE => return Err(InspectError::CoreModule),
        _ => return Err(InspectError::UnknownFormat),
    }
    while let Some((_id, rest)) = sections.split_first() {
        sections = leb128(rest)
            .and_then(|(size, rest)| rest.get(size as usize..))
            .ok_or(InspectError::Truncated { bytes: bytes.len() as u64 })?;
    }
    Ok(())
}

/// An unsigned number of at most 32 bits, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_is_no_component_is_named() {
        assert_eq!(check(b""), Err(InspectError::NotWebAssembly));
        assert_eq!(check(b"(component)"), Err(InspectError::NotWebAssembly));
        assert_eq!(check(b"\x7fELF"), Err(InspectError::NotWebAssembly));
        assert_eq!(check(b"\0asm\x01\0\0\0"), Err(InspectError::CoreModule));
        assert_eq!(check(b"\0asm\x0e\0\x01\0"), Err(InspectError::UnknownFormat));
        assert_eq!(check(b"\0as"), Err(InspectError::Truncated { bytes: 3 }));
        assert_eq!(check(b"\0asm\x0d"), Err(InspectError::Truncated { bytes: 5 }));
        assert_eq!(check(EMPTY), Ok(()));
    }

    #[test]
    fn a_section_must_end_within_the_file() {
        let whole = [EMPTY, b"\x00\x03abc\x00\x00"].concat();
        assert_eq!(check(&whole), Ok(()));
        for cut in [9, 10, 12, 14] {
            assert_eq!(check(&whole[..cut]), Err(InspectError::Truncated { bytes: cut as u64 }), "{cut}");
        }
        assert!(check(&[EMPTY, b"\x00\xff\xff\xff\xff\xff\x01"].concat()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = check(&tail);
            let _ = check(&[EMPTY, &tail].concat());
        }
    }
}
