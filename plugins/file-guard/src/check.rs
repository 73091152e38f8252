//! Looks at one file by every rule that is on.

use picket_sdk::{Object, ObjectInfo, Result};

use crate::config::Checked;
use crate::embed::{Embedded, OVERLAP, Search, What, ZIP_END, archive_at_end};
use crate::kind::{HEAD_BYTES, Kind};
use crate::name;
use crate::rule::{Action, Rule, action};

/// The bits of POSIX `st_mode`.
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const WORLD_WRITE: u32 = 0o002;
const EXECUTE: u32 = 0o111;
const FORMAT: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// How much is read at once.
const PIECE: u32 = 256 << 10;

/// What a rule says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The rule.
    pub rule: Rule,
    /// What is wrong, as the rest of a sentence that begins with the file.
    pub text: String,
}

/// What was seen of a file.
#[derive(Debug)]
pub struct Seen {
    /// Its type.
    pub kind: Kind,
    /// What the rules say.
    pub reasons: Vec<Reason>,
}

struct Look<'a> {
    config: &'a Checked,
    reasons: Vec<Reason>,
}

impl Look<'_> {
    fn on(&self, rule: Rule) -> bool {
        action(rule, &self.config.actions) != Action::Off
    }

    fn say(&mut self, rule: Rule, text: impl Into<String>) {
        if self.on(rule) {
            self.reasons.push(Reason { rule, text: text.into() });
        }
    }
}

/// Looks at a file. An error is one of reading it.
pub fn check(object: &Object<'_>, config: &Checked) -> Result<Seen> {
    let info = object.info();
    let kind = Kind::of(&object.head(HEAD_BYTES)?);
    let mut look = Look { config, reasons: Vec::new() };
    by_name(object.file_name(), kind, &mut look);
    by_place(&info.path, kind, &mut look);
    by_mode(info, kind, &mut look);
    if info.size > config.max_size {
        look.say(Rule::TooLarge, format!("has {} bytes; the limit is {}", info.size, config.max_size));
    }
    by_content(object, kind, &mut look)?;
    Ok(Seen { kind, reasons: look.reasons })
}

fn by_name(name: &str, kind: Kind, look: &mut Look<'_>) {
    if let Some(trick) = name::deception(name) {
        look.say(Rule::DeceptiveName, format!("has a name with {trick}"));
    }
    if let Some((before, last)) = name::double_extension(name) {
        look.say(Rule::DoubleExtension, format!("has a name that ends in `.{before}.{last}`"));
    }
    if name::is_hidden(name) && (kind.is_program() || kind == Kind::Php) {
        look.say(Rule::HiddenProgram, format!("is {} with a hidden name", kind.name()));
    }
    let Some((extension, promised)) =
        name::extension(name).and_then(|e| Some((name::promised(&e)?, e)).map(|(p, e)| (e, p)))
    else {
        return;
    };
    match kind {
        Kind::Empty => {}
        Kind::Data if !promised.contains(&Kind::Data) => {
            look.say(Rule::TypeUnknown, format!("is named `.{extension}` and is of no known type"));
        }
        _ if !promised.contains(&kind) => {
            look.say(Rule::TypeMismatch, format!("is named `.{extension}` and is {}", kind.name()));
        }
        _ => {}
    }
}

fn by_place(path: &str, kind: Kind, look: &mut Look<'_>) {
    let rule = match kind {
        _ if kind.is_program() => Rule::Program,
        _ if kind.is_script() => Rule::Script,
        _ => return,
    };
    if look.on(rule) && look.config.no_programs.matches(path) {
        look.say(rule, format!("is {} where none belongs", kind.name()));
    }
}

fn by_mode(info: &ObjectInfo, kind: Kind, look: &mut Look<'_>) {
    // Members of containers may have any mode, which nothing on this machine obeys.
    if info.depth > 0 || info.mode & FORMAT != REGULAR {
        return;
    }
    // Without the group's execute bit, set-group-ID once meant mandatory locking.
    let set_gid = info.mode & SET_GID != 0 && info.mode & 0o010 != 0;
    let bits = match (info.mode & SET_UID != 0, set_gid) {
        (true, true) => "set-user-ID and set-group-ID bits",
        (true, false) => "set-user-ID bit",
        (false, true) => "set-group-ID bit",
        (false, false) => "",
    };
    if !bits.is_empty() && look.on(Rule::SetId) && !look.config.set_id_allowed.matches(&info.path) {
        look.say(Rule::SetId, format!("has the {bits} (owner {}, group {})", info.uid, info.gid));
    }
    if info.mode & WORLD_WRITE != 0
        && look.on(Rule::WorldWritable)
        && !look.config.world_writable_allowed.matches(&info.path)
    {
        let runs = info.mode & EXECUTE != 0 || kind.is_program() || kind.is_script();
        look.say(
            Rule::WorldWritable,
            if runs { "runs, and everybody may write to it" } else { "may be written to by everybody" },
        );
    }
}

fn by_content(object: &Object<'_>, kind: Kind, look: &mut Look<'_>) -> Result<()> {
    let Some(search) = Search::of(kind).filter(|_| look.config.search > 0) else { return Ok(()) };
    let mut found: Vec<Embedded> = Vec::new();
    let size = object.info().size;
    if kind != Kind::OfficeXml {
        let start = size.saturating_sub(ZIP_END as u64);
        let tail = read_all(object, start, ZIP_END)?;
        found.extend(archive_at_end(&tail, start + tail.len() as u64));
    }
    let end = size.min(look.config.search);
    let mut at = 0;
    while at < end {
        let len = u64::from(PIECE).min(end - at) as u32;
        let piece = object.read(at, len)?;
        for embedded in search.piece(&piece, at) {
            if found.iter().all(|known| known.what != embedded.what) {
                found.push(embedded);
            }
        }
        if (piece.len() as u64) <= OVERLAP as u64 || at + piece.len() as u64 >= end {
            break;
        }
        at += piece.len() as u64 - OVERLAP as u64;
    }
    for Embedded { what, offset } in found {
        match what {
            What::Archive => look.say(
                Rule::EmbeddedArchive,
                format!("is {} and, from byte {offset} on, a zip archive", kind.name()),
            ),
            What::Program(program) => {
                look.say(
                    Rule::EmbeddedProgram,
                    format!("is {} that holds {} at byte {offset}", kind.name(), program.name()),
                );
            }
            What::Script => look.say(
                Rule::EmbeddedScript,
                format!("is {} that holds a web server's script at byte {offset}", kind.name()),
            ),
            What::Active(name) => look.say(Rule::ActiveContent, format!("is {} with {name}", kind.name())),
        }
    }
    Ok(())
}

/// The bytes from `start`, at most `len` of them.
fn read_all(object: &Object<'_>, start: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let piece = object.read(start + bytes.len() as u64, (len - bytes.len()) as u32)?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
