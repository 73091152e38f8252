//! From a line of a log to an authentication event, in two steps: the framing (`line`, `time`) is taken
//! off, and the message is read by the module of the program that wrote it.
//!
//! Does not decide whether an event is bad, and keeps nothing between two lines.

mod account;
mod line;
mod login;
mod pam;
mod sshd;
mod su;
mod sudo;
mod text;
mod time;

use std::net::IpAddr;

pub use line::{Line, parse_line};

/// The program that asked for the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// OpenSSH's server.
    Sshd,
    /// `sudo`.
    Sudo,
    /// `su`.
    Su,
    /// Logins on a terminal.
    Login,
    /// Any other program whose failures its PAM modules log: mail, FTP, display managers.
    Pam,
    /// The tools that change accounts: `useradd`, `usermod`, `gpasswd`.
    Account,
}

impl Service {
    /// The value of the label `service`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Login => "login",
            Self::Pam => "pam",
            Self::Account => "account",
        }
    }
}

/// How somebody tried to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
    /// A key.
    PublicKey,
    /// Questions and answers, nearly always a password through PAM.
    KeyboardInteractive,
    /// The client's host vouches.
    HostBased,
    /// Kerberos.
    Gssapi,
    /// None, or the line does not say.
    Unknown,
}

impl Method {
    /// The value of the label `method`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PublicKey => "publickey",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::HostBased => "hostbased",
            Self::Gssapi => "gssapi",
            Self::Unknown => "unknown",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Wrong credentials: one attempt of its own for each count.
    Failure,
    /// A failed attempt, unless the same connection has already been counted: `Invalid user`, or a
    /// connection that ended before it had logged in. Where passwords are off it is all that is logged.
    ConnectionFailure,
    /// Says again what another line said; only ties the connection to it.
    Echo,
    /// The connection used up its attempts.
    AttemptsExhausted,
    /// The account may not log in here at all (`AllowUsers`, locked).
    Refused,
    /// The account was locked for its failures.
    Locked,
    /// A client that does not speak the protocol.
    Probe,
    /// Right credentials; a session begins.
    Success,
    /// `sudo` runs a command for a user.
    Command(&'a str),
    /// A user asked `sudo` for what they may not do, and this is what `sudo` said of it.
    Denied(&'a str),
    /// An account was made, with this number.
    AccountCreated(Option<u32>),
    /// An account was put into this group.
    GroupJoined(&'a str),
}

impl Kind<'_> {
    /// The value of the label `outcome`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Failure | Self::ConnectionFailure | Self::Echo => "failure",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::Probe => "probe",
            Self::Success => "success",
            Self::Command(_) => "command",
            Self::Denied(_) => "denied",
            Self::AccountCreated(_) => "account_created",
            Self::GroupJoined(_) => "group_joined",
        }
    }
}

/// Where somebody came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// An address.
    Address(IpAddr),
    /// A host's name, where the program looked it up.
    Name(&'a str),
}

impl<'a> Origin<'a> {
    /// Reads an address, or takes what has the look of a host's name.
    pub fn parse(text: &'a str) -> Option<Self> {
        let plausible = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
        // A link-local address carries its interface: `fe80::1%eth0`.
        let bare = text.split_once('%').map_or(text, |(address, _)| address);
        match bare.parse() {
            Ok(address) => Some(Self::Address(address)),
            Err(_) if !text.is_empty() && text.len() <= 255 && text.bytes().all(plausible) => {
                Some(Self::Name(text))
            }
            Err(_) => None,
        }
    }
}

/// What one line says. The texts are pieces of the line and come from outside: anybody can send a user
/// name with blanks, quotes or the word `from` in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened.
    pub kind: Kind<'a>,
    /// Which program asked.
    pub service: Service,
    /// How.
    pub method: Method,
    /// Who tried, as they called themselves; empty when the line does not say.
    pub user: &'a str,
    /// Whether the account exists, as far as the line says.
    pub unknown_user: bool,
    /// Whom they wanted to become (`su`, `sudo`); empty otherwise.
    pub target: &'a str,
    /// Where they came from; none for what happens on the machine itself.
    pub origin: Option<Origin<'a>>,
    /// The client's port.
    pub port: Option<u16>,
    /// How many times it happened (`message repeated 3 times`, `3 incorrect password attempts`).
    pub count: u32,
}

impl<'a> Event<'a> {
    pub(crate) fn new(kind: Kind<'a>, service: Service) -> Self {
        Self {
            kind,
            service,
            method: Method::Unknown,
            user: "",
            unknown_user: false,
            target: "",
            origin: None,
            port: None,
            count: 1,
        }
    }
}

/// Repetitions in one line beyond this count as this many: the number is text from outside.
const MAX_REPEATED: u32 = 10_000;

/// Reads the event of a line, if it tells one.
pub fn parse_event<'a>(line: &Line<'a>) -> Option<Event<'a>> {
    let (message, repeated) = unfold(line.message);
    let mut event = by_program(line.program, message)?;
    event.count = event.count.saturating_mul(repeated).min(MAX_REPEATED);
    Some(event)
}

/// rsyslog folds equal lines: `message repeated 2 times: [ Failed password for … ssh2]`.
fn unfold(message: &str) -> (&str, u32) {
    let folded = message.strip_prefix("message repeated ").and_then(|rest| {
        let (count, rest) = text::leading_number(rest)?;
        let inner = rest.strip_prefix(" times: [")?.trim_start();
        Some((inner.strip_suffix(']').unwrap_or(inner), count.clamp(1, MAX_REPEATED)))
    });
    folded.unwrap_or((message, 1))
}

fn by_program<'a>(program: &str, message: &'a str) -> Option<Event<'a>> {
    if let Some(event) = pam::parse(message) {
        return Some(event);
    }
    match program {
        // OpenSSH 9.8 and later split the daemon in several programs.
        "sshd" | "sshd-session" | "sshd-auth" => sshd::parse(message),
        "sudo" => sudo::parse(message),
        "su" => su::parse(message),
        "login" => login::parse(message),
        "useradd" | "adduser" | "usermod" | "gpasswd" | "groupadd" => account::parse(message),
        // `sshd -E` writes messages without any framing.
        "" => sshd::parse(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_folded_line_counts_as_often_as_it_says() {
        let line = parse_line(
            "Nov 20 16:26:35 web-1 sshd[7]: message repeated 3 times: [ Failed password for root from 192.0.2.1 port 22 ssh2]",
            1_795_191_995_000_000_000,
            0,
        );
        let event = parse_event(&line.unwrap()).unwrap();
        assert_eq!((event.count, event.user, event.port), (3, "root", Some(22)));
        assert_eq!(
            unfold("message repeated 4294967296 times: [ x]"),
            ("message repeated 4294967296 times: [ x]", 1)
        );
        assert_eq!(unfold("message repeated 4000000000 times: [ x]"), ("x", MAX_REPEATED));
    }

    #[test]
    fn an_origin_is_an_address_or_the_look_of_a_name() {
        assert_eq!(Origin::parse("fe80::1%eth0"), Some(Origin::Address("fe80::1".parse().unwrap())));
        assert_eq!(Origin::parse("host.example"), Some(Origin::Name("host.example")));
        assert_eq!(Origin::parse("no host"), None);
        assert_eq!(Origin::parse(""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(line) = parse_line(&String::from_utf8_lossy(&bytes), 0, 0) {
                parse_event(&line);
            }
        }

        #[test]
        fn no_tail_of_a_known_line_makes_the_parser_panic(
            head in proptest::sample::select(vec![
                "Failed password for ", "Invalid user ", "Accepted publickey for ", "Connection closed by invalid user ",
                "maximum authentication attempts exceeded for ", "PAM: Authentication failure for ", "FAILED SU (to ",
                "FAILED LOGIN (", "pam_unix(", "PAM 3 more authentication failures; ", "alice : 3 incorrect", "User ",
                "message repeated ", "new user: name=", "add 'x' to group ", "(to ", "LOGIN ON ",
            ]),
            tail in "[a-z0-9 .:;=()'\\[\\]/é]{0,80}",
        ) {
            let message = format!("{head}{tail}");
            for program in ["sshd", "sudo", "su", "login", "useradd", ""] {
                parse_event(&Line { time: 0, program, pid: None, message: &message });
            }
        }
    }
}
