//! The plugin's configuration: as typed, and checked.

use picket_sdk::ConfigError;
use serde::{Deserialize, Deserializer};

use crate::rule::Actions;

/// The section `config` of the plugin. Every key has a default.
///
/// Patterns are globs over whole paths: `*` stands for any characters but `/`, `**` for any number of
/// folders, `?` for one character, `{a,b}` for one of several, `[a-z]` for one of a set. For a member of
/// a container the path is the container's, `!/` and the member's.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files that are passed over: their verdict is "skipped".
    pub ignore: Vec<String>,
    /// Where programs and scripts do not belong.
    pub no_programs: Vec<String>,
    /// Which files may have the set-user-ID or set-group-ID bit.
    pub set_id_allowed: Vec<String>,
    /// Which files everybody may write to.
    pub world_writable_allowed: Vec<String>,
    /// The size of a file above which the rule `too-large` speaks, such as `"100MiB"`.
    #[serde(deserialize_with = "bytes")]
    pub max_size: u64,
    /// How many bytes of a picture or document are searched for what is embedded; 0 turns the search off.
    #[serde(deserialize_with = "bytes")]
    pub search: u64,
    /// What each rule makes of a file: `off`, `report`, `suspicious` or `malicious`.
    pub actions: Actions,
}

/// The programs that need the bits, as Debian, Fedora and Alpine install them.
const SET_ID_ALLOWED: &str = "{/usr,}/{bin,sbin,libexec,lib}/{su,sudo,sudoedit,sudoreplay,mount,umount,mount.*,umount.*,\
passwd,chsh,chfn,chage,chfn,expiry,gpasswd,newgrp,newuidmap,newgidmap,fusermount,fusermount3,pkexec,crontab,at,ping,ping6,\
wall,write,bsd-write,ssh-agent,unix_chkpwd,pam_timestamp_check,grub2-set-bootflag,userhelper,usernetctl,locate,plocate,\
dotlockfile,screen,utempter,bbsuid,doas,ntfs-3g,pppd,traceroute6.iputils}";

impl Default for Config {
    fn default() -> Self {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Self {
            ignore: Vec::new(),
            no_programs: owned(&[
                "/tmp/**",
                "/var/tmp/**",
                "/dev/shm/**",
                "/srv/uploads/**",
                "/var/www/**/uploads/**",
                "/var/spool/{mail,uploads}/**",
            ]),
            set_id_allowed: owned(&[
                SET_ID_ALLOWED,
                "/usr/lib/{openssh/ssh-keysign,dbus-1.0/dbus-daemon-launch-helper,polkit-1/polkit-agent-helper-1,\
                 eject/dmcrypt-get-device,x86_64-linux-gnu/utempter/utempter}",
                "/usr/libexec/{openssh/ssh-keysign,dbus-1/dbus-daemon-launch-helper,utempter/utempter}",
            ]),
            world_writable_allowed: Vec::new(),
            max_size: 1 << 30,
            search: 8 << 20,
            actions: Actions::new(),
        }
    }
}

impl Config {
    /// Checks the patterns.
    pub fn check(self) -> Result<Checked, ConfigError> {
        let globs = |key: &str, patterns: &[String]| {
            let checked = patterns.iter().enumerate().map(|(index, pattern)| {
                glob(pattern).map_err(|message| ConfigError::key(format!("{key}.{index}"), message))
            });
            checked.collect::<Result<Globs, ConfigError>>()
        };
        Ok(Checked {
            ignore: globs("ignore", &self.ignore)?,
            no_programs: globs("no_programs", &self.no_programs)?,
            set_id_allowed: globs("set_id_allowed", &self.set_id_allowed)?,
            world_writable_allowed: globs("world_writable_allowed", &self.world_writable_allowed)?,
            max_size: self.max_size,
            search: self.search,
            actions: self.actions,
        })
    }
}

/// A configuration whose values have been checked.
#[derive(Debug)]
pub struct Checked {
    /// See [`Config::ignore`].
    pub ignore: Globs,
    /// See [`Config::no_programs`].
    pub no_programs: Globs,
    /// See [`Config::set_id_allowed`].
    pub set_id_allowed: Globs,
    /// See [`Config::world_writable_allowed`].
    pub world_writable_allowed: Globs,
    /// See [`Config::max_size`].
    pub max_size: u64,
    /// See [`Config::search`].
    pub search: u64,
    /// See [`Config::actions`].
    pub actions: Actions,
}

/// Patterns of which one may match.
#[derive(Debug, Default)]
pub struct Globs(Vec<String>);

impl Globs {
    /// Whether one of them matches a path.
    pub fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|glob| fast_glob::glob_match(glob, path))
    }
}

impl FromIterator<String> for Globs {
    fn from_iter<I: IntoIterator<Item = String>>(globs: I) -> Self {
        Self(globs.into_iter().collect())
    }
}

/// The matcher takes a pattern that is not closed for one that matches nothing; an operator should hear
/// of it.
fn glob(pattern: &str) -> Result<String, String> {
    let mut open = Vec::new();
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if open.last() == Some(&'[') => _ = open.pop(),
            _ if open.last() == Some(&'[') => {}
            '[' | '{' => open.push(c),
            '}' if open.pop() != Some('{') => {
                return Err(format!("`{pattern}` closes a brace that it did not open"));
            }
            _ => {}
        }
    }
    match open.last() {
        _ if pattern.is_empty() => Err("an empty pattern matches no path".to_owned()),
        Some(c) => Err(format!("`{pattern}` does not close `{c}`")),
        None => Ok(pattern.to_owned()),
    }
}

/// A number of bytes, or a text with a unit.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of bytes, or a text such as `16MiB`, is expected")]
    enum Size {
        Number(u64),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Number(bytes) => Ok(bytes),
        Size::Text(text) => parse_bytes(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no size such as `512KiB`, `16MiB` or `1GiB`"))
        }),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("16MiB"), Some(16 << 20));
        assert_eq!(parse_bytes("10 kB"), Some(10_000));
        assert_eq!(parse_bytes("7"), Some(7));
        for text in ["", "MiB", "1TB", "-1", "99999999999GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_are_checked_and_match_whole_paths() {
        let globs: Globs = ["/srv/up*/**", "**/*.{tmp,bak}"].map(str::to_owned).into_iter().collect();
        let check = |path: &str, expected: bool| assert_eq!(globs.matches(path), expected, "{path}");
        check("/srv/uploads/a/b.png", true);
        check("/srv/uploads", false);
        check("/data/x.bak", true);
        check("/data/x.back", false);
        for pattern in ["", "/a/{b", "/a/[b", "/a}"] {
            assert!(glob(pattern).is_err(), "{pattern}");
        }
        assert!(glob("/a/\\{b/[{]").is_ok());
    }

    #[test]
    fn the_usual_programs_may_have_their_bits() {
        let checked = Config::default().check().unwrap();
        let check =
            |path: &str, expected: bool| assert_eq!(checked.set_id_allowed.matches(path), expected, "{path}");
        check("/usr/bin/sudo", true);
        check("/bin/su", true);
        check("/usr/sbin/unix_chkpwd", true);
        check("/usr/lib/openssh/ssh-keysign", true);
        check("/usr/bin/bash", false);
        check("/tmp/usr/bin/sudo", false);
        check("/usr/bin/sudo2", false);
    }
}
