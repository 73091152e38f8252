//! An unpacker of a format made for tests: the line `PACK`, then for each member a line with its
//! name and its size, and the bytes. Modes: `endless` (a member more each time), `too-much` (returns
//! more bytes than asked for), `long-path`, `trap-on-drop`.

use std::cell::{Cell, RefCell};

use bindings::exports::picket::plugin::lifecycle::{ConfigError, Guest as Lifecycle, Interest, Setup};
use bindings::exports::picket::plugin::unpacker::{Container, Guest as Unpacker, GuestContainer, Member};
use bindings::picket::plugin::objects::Object;
use picket_guests::value;

picket_guests::bindings!("picket:guests/unpacker");

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

fn is_mode(mode: &str) -> bool {
    CONFIG.with_borrow(|config| value(config, "mode") == mode)
}

struct Unpacking;

/// An open container: the object, the place behind the current member, and what is left of it.
struct Open {
    object: Object,
    next: Cell<u64>,
    place: Cell<u64>,
}

impl Open {
    fn line(&self) -> Result<Option<String>, String> {
        let bytes = self.object.read(self.next.get(), 4096).map_err(|error| format!("{error:?}"))?;
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        self.next.set(self.next.get() + end as u64 + 1);
        Ok(Some(String::from_utf8_lossy(&bytes[..end]).into_owned()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        assert!(!is_mode("trap-on-drop"), "it will not be dropped");
    }
}

impl GuestContainer for Open {
    fn next(&self) -> Result<Option<Member>, String> {
        if is_mode("endless") {
            return Ok(Some(Member { path: "again".into(), size: None }));
        }
        if is_mode("long-path") {
            return Ok(Some(Member { path: "p".repeat(5000), size: None }));
        }
        let Some(line) = self.line()? else { return Ok(None) };
        let (path, size) = line.rsplit_once(' ').ok_or("a member needs a name and a size")?;
        let size: u64 = size.parse().map_err(|_| "a member's size is no number")?;
        self.place.set(self.next.get());
        self.next.set(self.next.get() + size);
        Ok(Some(Member { path: path.into(), size: Some(size) }))
    }

    fn read(&self, len: u32) -> Result<Vec<u8>, String> {
        if is_mode("too-much") {
            return Ok(vec![b'x'; len as usize + 1]);
        }
        let left = self.next.get() - self.place.get();
        let len = len.min(u32::try_from(left).unwrap_or(u32::MAX));
        let bytes = self.object.read(self.place.get(), len).map_err(|error| format!("{error:?}"))?;
        self.place.set(self.place.get() + bytes.len() as u64);
        Ok(bytes)
    }
}

impl Lifecycle for Unpacking {
    fn configure(config: String) -> Result<Setup, ConfigError> {
        CONFIG.set(config);
        Ok(Setup {
            interest: Interest { literals: Vec::new(), ignore_ascii_case: false },
            groups: Vec::new(),
        })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn restore(_state: Vec<u8>, _from_version: String) -> Result<(), String> {
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl Unpacker for Unpacking {
    type Container = Open;

    fn open(object: Object) -> Result<Option<Container>, String> {
        let open = Open { object, next: Cell::new(0), place: Cell::new(0) };
        if open.line()?.as_deref() != Some("PACK") {
            return Ok(None);
        }
        Ok(Some(Container::new(open)))
    }
}

bindings::export!(Unpacking with_types_in bindings);
