//! The plugin's configuration: as typed, and checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use picket_sdk::ConfigError;
use serde::{Deserialize, Deserializer};

use crate::rule::{Level, Rule};
use crate::track::MAX_NAMES;

/// The section `config` of the plugin. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How far east of UTC those times lie that do not tell it (RFC 3164), such as `+02:00`.
    pub utc_offset: String,
    /// How many leading bits of an IPv6 address make one client, 32 to 128: whoever has one address of
    /// a network has them all.
    pub ipv6_prefix: u8,
    /// How long a rule is silent about the same address or user after a finding.
    #[serde(deserialize_with = "duration")]
    pub quiet: Duration,
    /// Whom to pass over.
    pub ignore: Ignore,
    /// Many failures from one address.
    pub brute_force: Threshold,
    /// Failures for many user names from one address.
    pub spray: Spray,
    /// Failures for one user name from many addresses.
    pub distributed: Distributed,
    /// A success that follows failures of the same user from the same address.
    pub break_in: BreakIn,
    /// `sudo`.
    pub sudo: Sudo,
    /// Wrong passwords for `su`, by user.
    pub su: Su,
    /// Failures on terminals and of programs that do not tell the address.
    pub login: Login,
    /// Changes of accounts.
    pub accounts: Accounts,
    /// Other severities than the default ones, by rule; `off` turns a rule off.
    pub severity: BTreeMap<Rule, Level>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            utc_offset: "+00:00".to_owned(),
            ipv6_prefix: 64,
            quiet: Duration::from_secs(3600),
            ignore: Ignore::default(),
            brute_force: Threshold::default(),
            spray: Spray::default(),
            distributed: Distributed::default(),
            break_in: BreakIn::default(),
            sudo: Sudo::default(),
            su: Su::default(),
            login: Login::default(),
            accounts: Accounts::default(),
            severity: BTreeMap::new(),
        }
    }
}

/// Whom to pass over: their failures are counted in the metrics, and no rule looks at them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ignore {
    /// Addresses and networks, such as `192.0.2.0/24`.
    pub addresses: Vec<String>,
    /// User names.
    pub users: Vec<String>,
}

macro_rules! thresholds {
    ($($(#[$doc:meta])* $name:ident { failures: $failures:expr, window: $minutes:expr $(, $(#[$field_doc:meta])* $field:ident: $type:ty = $value:expr)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// How many failures it takes.
            pub failures: u32,
            /// Within what time, a minute to a day.
            #[serde(deserialize_with = "duration")]
            pub window: Duration,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { failures: $failures, window: Duration::from_secs($minutes * 60), $($field: $value,)* }
            }
        }
    )*};
}

thresholds! {
    /// Failures from one address.
    Threshold { failures: 10, window: 10 }
    /// Failures of one user from one address before a success.
    BreakIn { failures: 5, window: 60 }
    /// Failures for one user name from many addresses.
    Distributed { failures: 30, window: 60,
        /// From how many addresses at least, up to 32.
        addresses: u32 = 10
    }
    /// Wrong passwords for `sudo`, by user.
    Sudo { failures: 3, window: 10,
        /// Whether the first `sudo` of a user is a finding.
        first_use: bool = true,
        /// After how many days without `sudo` the next one counts as the first.
        remember_days: u32 = 180
    }
    /// Wrong passwords for `su`, by user.
    Su { failures: 3, window: 10 }
    /// Failures on terminals and of programs that do not tell the address.
    Login { failures: 5, window: 10 }
}

/// Failures for many user names from one address.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spray {
    /// How many user names it takes, up to 32.
    pub users: u32,
    /// Within what time, a minute to a day.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

impl Default for Spray {
    fn default() -> Self {
        Self { users: 8, window: Duration::from_secs(3600) }
    }
}

/// Changes of accounts.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Groups whose members can become root or read what others may not.
    pub privileged_groups: Vec<String>,
}

impl Default for Accounts {
    fn default() -> Self {
        let groups = ["root", "sudo", "wheel", "admin", "adm", "shadow", "disk", "docker", "lxd", "libvirt"];
        Self { privileged_groups: groups.map(str::to_owned).to_vec() }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration such as `10m` or `1h 30m`: {error}"))
    })
}

/// A configuration whose values have been checked.
#[derive(Debug)]
pub struct Checked {
    /// What was typed.
    pub config: Config,
    /// `utc_offset` in seconds.
    pub offset: i64,
    /// `ignore.addresses`.
    pub networks: Vec<Network>,
}

impl Config {
    /// Checks the values.
    pub fn check(self) -> Result<Checked, ConfigError> {
        let windows = [
            ("brute_force.window", self.brute_force.window),
            ("spray.window", self.spray.window),
            ("distributed.window", self.distributed.window),
            ("break_in.window", self.break_in.window),
            ("sudo.window", self.sudo.window),
            ("su.window", self.su.window),
            ("login.window", self.login.window),
        ];
        for (key, window) in windows {
            if !(60..=86_400).contains(&window.as_secs()) {
                return Err(ConfigError::key(key, "a window lasts from a minute to a day"));
            }
        }
        let counts = [
            ("brute_force.failures", self.brute_force.failures),
            ("distributed.failures", self.distributed.failures),
            ("break_in.failures", self.break_in.failures),
            ("sudo.failures", self.sudo.failures),
            ("su.failures", self.su.failures),
            ("login.failures", self.login.failures),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::key(*key, "one failure at least; `severity` turns a rule off"));
        }
        for (key, names) in
            [("spray.users", self.spray.users), ("distributed.addresses", self.distributed.addresses)]
        {
            if !(2..=MAX_NAMES as u32).contains(&names) {
                return Err(ConfigError::key(key, format!("a number from 2 to {MAX_NAMES} is expected")));
            }
        }
        if !(32..=128).contains(&self.ipv6_prefix) {
            return Err(ConfigError::key("ipv6_prefix", "a number from 32 to 128 is expected"));
        }
        if self.sudo.remember_days == 0 {
            return Err(ConfigError::key("sudo.remember_days", "one day at least"));
        }
        let offset = utc_offset(&self.utc_offset)
            .ok_or_else(|| ConfigError::key("utc_offset", "an offset such as `+02:00` is expected"))?;
        let mut networks = Vec::new();
        for (index, text) in self.ignore.addresses.iter().enumerate() {
            let error =
                || ConfigError::key(format!("ignore.addresses.{index}"), format!("`{text}` is no network"));
            networks.push(Network::parse(text).ok_or_else(error)?);
        }
        Ok(Checked { config: self, offset, networks })
    }
}

fn utc_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

/// Addresses that share their leading bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |length| length.parse().ok().filter(|l| *l <= most))?;
        Some(Self { address: as_bits(address), bits: 128 - most + length })
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.bits == 0 || (as_bits(address) ^ self.address) >> (128 - self.bits) == 0
    }
}

/// IPv4 addresses as those IPv6 addresses that stand for them (RFC 4291).
fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let check = |network: &str, address: &str, expected: bool| {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        };
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "203.0.113.1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        for text in ["", "192.0.2.0/33", "192.0.2/24", "::/129", "x/8", "192.0.2.0/-1"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_is_hours_and_minutes() {
        assert_eq!(utc_offset("+02:30"), Some(9000));
        assert_eq!(utc_offset("-05:00"), Some(-18_000));
        for text in ["", "02:00", "+2", "+25:00", "é1:00"] {
            assert_eq!(utc_offset(text), None, "{text}");
        }
    }

    #[test]
    fn wrong_values_name_their_key() {
        let check = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.check().unwrap_err().key, key);
        };
        check(|c| c.brute_force.window = Duration::from_secs(1), "brute_force.window");
        check(|c| c.su.failures = 0, "su.failures");
        check(|c| c.spray.users = 1000, "spray.users");
        check(|c| c.utc_offset = "UTC".to_owned(), "utc_offset");
        check(|c| c.ignore.addresses = vec!["::1".to_owned(), "home".to_owned()], "ignore.addresses.1");
        assert!(Config::default().check().is_ok());
    }
}
