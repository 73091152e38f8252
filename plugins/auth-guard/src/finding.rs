//! Making findings: the same particulars for every rule, and a bound.

use std::collections::BTreeMap;

use picket_sdk::{Finding, Record, Report, Severity};

use crate::parse::{Event, Method, Origin};
use crate::rule::{Level, Rule, severity_of};
use crate::track::cut;

/// Findings in one call beyond this are counted and not made: the host takes 1000, and refusing the
/// report would lose them all.
const MAX_FINDINGS: usize = 900;

/// Whom and what a finding is about.
pub struct Subject<'a> {
    /// The event that made the rule speak.
    pub event: &'a Event<'a>,
    /// The client's name; empty for what happens on the machine itself.
    pub client: &'a str,
    /// When, in nanoseconds.
    pub time: u64,
}

/// The findings of one record.
pub struct Findings<'r, 'a> {
    levels: &'r BTreeMap<Rule, Level>,
    record: &'r Record<'a>,
    report: &'r mut Report,
}

impl<'r, 'a> Findings<'r, 'a> {
    /// Findings of `record` into `report`, with the severities that the operator chose.
    pub fn new(levels: &'r BTreeMap<Rule, Level>, record: &'r Record<'a>, report: &'r mut Report) -> Self {
        Self { levels, record, report }
    }

    /// Whether a rule is on.
    pub fn on(&self, rule: Rule) -> bool {
        severity_of(rule, self.levels, None).is_some()
    }

    /// Makes a finding, unless the rule is off. `graver` is the severity where the case is worse than
    /// usual; `more` adds particulars.
    pub fn add(
        &mut self,
        rule: Rule,
        graver: Option<Severity>,
        subject: &Subject<'_>,
        message: String,
        more: impl FnOnce(Finding) -> Finding,
    ) {
        let Some(severity) = severity_of(rule, self.levels, graver) else { return };
        if self.report.findings() >= MAX_FINDINGS {
            self.report.counter("auth_findings_suppressed_total", &[]).add(1);
            return;
        }
        let event = subject.event;
        let mut finding = Finding::new(rule.name(), severity, message)
            .of(self.record)
            .at(subject.time)
            .attribute("service", event.service.name());
        let user = cut(event.user);
        let particulars = [("user", user), ("target", cut(event.target)), ("address", subject.client)];
        for (name, value) in particulars {
            if !value.is_empty() {
                finding = finding.attribute(name, value);
            }
        }
        if event.method != Method::Unknown {
            finding = finding.attribute("method", event.method.name());
        }
        self.report.finding(more(finding));
    }
}

/// The name of a client: its IPv4 address, the network of its IPv6 address (whoever has one address of
/// it has them all), or its name in lower case.
pub fn client(origin: Origin<'_>, ipv6_prefix: u8) -> String {
    match origin {
        Origin::Name(name) => name.to_ascii_lowercase(),
        Origin::Address(address) => match address.to_canonical() {
            std::net::IpAddr::V4(v4) => v4.to_string(),
            std::net::IpAddr::V6(v6) if ipv6_prefix >= 128 => v6.to_string(),
            std::net::IpAddr::V6(v6) => {
                let network = v6.to_bits() & !(u128::MAX >> ipv6_prefix);
                format!("{}/{ipv6_prefix}", std::net::Ipv6Addr::from_bits(network))
            }
        },
    }
}

/// A count with its noun.
pub fn plural(count: u32, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_client_is_what_one_person_can_use_all_of() {
        let check =
            |text: &str, expected: &str| assert_eq!(client(Origin::parse(text).unwrap(), 64), expected);
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("Host.Example", "host.example");
        assert_eq!(client(Origin::parse("2001:db8::1").unwrap(), 128), "2001:db8::1");
    }
}
