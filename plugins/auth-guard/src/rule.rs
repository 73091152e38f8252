//! The rules by name, and how urgent each is by default.

use std::collections::BTreeMap;

use picket_sdk::Severity;
use serde::{Deserialize, Serialize};

/// What the plugin finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Many failures from one address.
    BruteForce,
    /// Failures for many user names from one address.
    PasswordSpray,
    /// Failures for one user name from many addresses.
    DistributedGuessing,
    /// A success that follows failures: a password may have been guessed.
    LoginAfterFailures,
    /// A connection used up the attempts that the server allows.
    AttemptsExhausted,
    /// An account was locked for its failures.
    AccountLocked,
    /// root logged in.
    RootLogin,
    /// A user ran `sudo` for the first time.
    FirstSudo,
    /// Repeated wrong passwords for `sudo`.
    SudoFailures,
    /// A user asked `sudo` for what they may not do.
    SudoDenied,
    /// Repeated wrong passwords for `su`.
    SuFailures,
    /// Repeated failures on a terminal, or in a program that does not tell the address.
    LoginFailures,
    /// An account was made.
    AccountCreated,
    /// An account was put into a group that has privileges.
    PrivilegedGroup,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::BruteForce,
        Self::PasswordSpray,
        Self::DistributedGuessing,
        Self::LoginAfterFailures,
        Self::AttemptsExhausted,
        Self::AccountLocked,
        Self::RootLogin,
        Self::FirstSudo,
        Self::SudoFailures,
        Self::SudoDenied,
        Self::SuFailures,
        Self::LoginFailures,
        Self::AccountCreated,
        Self::PrivilegedGroup,
    ];

    /// The rule's name in findings and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::BruteForce => "brute-force",
            Self::PasswordSpray => "password-spray",
            Self::DistributedGuessing => "distributed-guessing",
            Self::LoginAfterFailures => "login-after-failures",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::AccountLocked => "account-locked",
            Self::RootLogin => "root-login",
            Self::FirstSudo => "first-sudo",
            Self::SudoFailures => "sudo-failures",
            Self::SudoDenied => "sudo-denied",
            Self::SuFailures => "su-failures",
            Self::LoginFailures => "login-failures",
            Self::AccountCreated => "account-created",
            Self::PrivilegedGroup => "privileged-group",
        }
    }

    /// How urgent it is unless the configuration says otherwise. Guessing is everyday noise on a machine
    /// that the Internet can reach; guessing that may have worked is not.
    pub fn severity(self) -> Severity {
        match self {
            Self::LoginAfterFailures => Severity::High,
            Self::BruteForce | Self::PasswordSpray | Self::AccountLocked => Severity::Medium,
            Self::RootLogin | Self::SudoFailures | Self::SudoDenied | Self::SuFailures => Severity::Medium,
            Self::LoginFailures | Self::PrivilegedGroup => Severity::Medium,
            Self::DistributedGuessing | Self::AttemptsExhausted => Severity::Low,
            Self::FirstSudo | Self::AccountCreated => Severity::Low,
        }
    }
}

/// What the configuration makes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule finds nothing.
    Off,
    /// Findings of this severity.
    Info,
    /// Findings of this severity.
    Low,
    /// Findings of this severity.
    Medium,
    /// Findings of this severity.
    High,
    /// Findings of this severity.
    Critical,
}

impl Level {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Info => Some(Severity::Info),
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

/// The severity of a rule's findings, if it is on; `chosen` is the configuration's `severity` table.
/// What the operator chose stands; otherwise `graver` may raise the default.
pub fn severity_of(rule: Rule, chosen: &BTreeMap<Rule, Level>, graver: Option<Severity>) -> Option<Severity> {
    match chosen.get(&rule) {
        Some(level) => level.severity(),
        None => Some(graver.unwrap_or(rule.severity())),
    }
}
