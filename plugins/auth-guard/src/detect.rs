//! The rules: what an event means in the light of what came before it.
//!
//! Gets events in the order of the log and keeps what it must remember in tracks by address and by user.

use std::rc::Rc;
use std::time::Duration;

use picket_sdk::{Finding, Record, Report, Severity, state};

use crate::config::Checked;
use crate::finding::{Findings, Subject, plural};
use crate::parse::{Event, Kind, Origin, Service};
use crate::rule::Rule;
use crate::store::Store;
use crate::track::{Address, SudoUse, User, cut};

/// After an address or user was last heard of, its track is kept for the longest window and this much
/// more, since the state's clock is not the log's.
const SLACK: Duration = Duration::from_secs(3600);

/// A user's last `sudo` is written down at most this often, in nanoseconds: a day.
const SUDO_NOTED: u64 = 86_400_000_000_000;

/// Whose failures a terminal's track counts; no user is named so.
const TERMINALS: &str = "/terminals";

/// The rules with their memory.
#[derive(Debug)]
pub struct Detector {
    config: Rc<Checked>,
    addresses: Store<Address>,
    users: Store<User>,
    sudo_ttl: Duration,
}

/// An event with its place: what every rule needs.
struct Seen<'a> {
    event: Event<'a>,
    /// When, in nanoseconds.
    time: u64,
    /// The number of the connection that the line belongs to; 0 when it tells none.
    connection: u32,
}

impl Detector {
    /// Rules that have seen nothing yet, over what the state remembers.
    pub fn new(config: Checked) -> Self {
        let typed = &config.config;
        let windows = [
            typed.brute_force.window,
            typed.spray.window,
            typed.distributed.window,
            typed.break_in.window,
            typed.sudo.window,
            typed.su.window,
            typed.login.window,
            typed.quiet,
        ];
        let longest = windows.into_iter().max().unwrap_or_default();
        let sudo_ttl = Duration::from_secs(u64::from(typed.sudo.remember_days) * 86_400);
        Self {
            addresses: Store::new("a", longest + SLACK),
            users: Store::new("u", longest + SLACK),
            sudo_ttl,
            config: Rc::new(config),
        }
    }

    /// Looks at one event. `pid` is that of the line; `time` is in nanoseconds.
    pub fn see(
        &mut self,
        event: Event<'_>,
        pid: Option<u32>,
        time: u64,
        record: &Record<'_>,
        report: &mut Report,
    ) {
        if self.ignored(&event) {
            return;
        }
        let connection = pid.or(event.port.map(u32::from)).unwrap_or(0);
        let seen = Seen { event, time, connection };
        let config = Rc::clone(&self.config);
        let mut findings = Findings::new(&config.config.severity, record, report);
        match seen.event.kind {
            Kind::Failure | Kind::ConnectionFailure | Kind::Refused => self.failure(&seen, &mut findings),
            Kind::Echo => self.echo(&seen),
            Kind::AttemptsExhausted => {
                self.echo(&seen);
                self.exhausted(&seen, &mut findings);
            }
            Kind::Success => self.success(&seen, &mut findings),
            Kind::Command(command) => self.sudo_command(&seen, command, &mut findings),
            Kind::Denied(reason) => self.sudo_denied(&seen, reason, &mut findings),
            Kind::Locked => self.locked(&seen, &mut findings),
            Kind::AccountCreated(number) => account_created(&seen, number, &mut findings),
            Kind::GroupJoined(group) => self.group_joined(&seen, group, &mut findings),
            Kind::Probe => {}
        }
    }

    /// Writes what was learned into the state; gives the number of refused reads and writes.
    pub fn flush(&mut self) -> u64 {
        self.addresses.flush() + self.users.flush()
    }

    fn ignored(&self, event: &Event<'_>) -> bool {
        let by_address = match event.origin {
            Some(Origin::Address(address)) => self.config.networks.iter().any(|n| n.contains(address)),
            _ => false,
        };
        by_address || self.config.config.ignore.users.iter().any(|user| user == event.user)
    }

    fn failure(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        match (seen.event.service, seen.event.origin) {
            (Service::Sudo, _) => self.sudo_failure(seen, findings),
            (Service::Su, _) => self.su_failure(seen, findings),
            (_, Some(origin)) => self.remote_failure(seen, &self.client(origin), findings),
            (_, None) => self.terminal_failure(seen, findings),
        }
    }

    /// The name of a client: its address, or the network that it could use all of.
    fn client(&self, origin: Origin<'_>) -> String {
        crate::finding::client(origin, self.config.config.ipv6_prefix)
    }

    fn echo(&mut self, seen: &Seen<'_>) {
        if let (Some(origin), true) = (seen.event.origin, seen.connection != 0) {
            let client = self.client(origin);
            self.addresses.change(&client).connections.echo(seen.connection, cut(seen.event.user));
        }
    }

    fn remote_failure(&mut self, seen: &Seen<'_>, client: &str, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let (user, time) = (cut(seen.event.user), seen.time);
        let track = self.addresses.change(client);
        let count = match seen.event.kind {
            Kind::Failure => {
                let counted = track.connections.attempt(seen.connection, user);
                seen.event.count - u32::from(counted)
            }
            _ if track.connections.failed(seen.connection, user) => seen.event.count,
            _ => 0,
        };
        if count == 0 {
            return;
        }
        let total = track.failures.add(time, nanos(typed.brute_force.window), count);
        let memory = nanos(typed.spray.window.max(typed.break_in.window));
        track.users.add(user, time, memory, count);
        let users: Vec<&str> =
            track.users.within(time, nanos(typed.spray.window)).map(|name| name.name.as_str()).collect();
        let quiet = nanos(typed.quiet);
        let subject = Subject { event: &seen.event, client, time };
        if total >= typed.brute_force.failures
            && findings.on(Rule::BruteForce)
            && track.silence.speak(Rule::BruteForce, time, quiet)
        {
            let within = humantime::format_duration(typed.brute_force.window);
            let message = format!("{client} failed to log in {} within {within}", plural(total, "time"));
            findings.add(Rule::BruteForce, None, &subject, message, |finding| {
                finding.attribute("failures", total).attribute("users", users.join(" "))
            });
        }
        if users.len() >= typed.spray.users as usize
            && findings.on(Rule::PasswordSpray)
            && track.silence.speak(Rule::PasswordSpray, time, quiet)
        {
            let within = humantime::format_duration(typed.spray.window);
            let message = format!("{client} failed to log in as {} users within {within}", users.len());
            findings.add(Rule::PasswordSpray, None, &subject, message, |finding| {
                finding.attribute("users", users.join(" "))
            });
        }
        self.distributed(seen, client, count, findings);
    }

    fn distributed(&mut self, seen: &Seen<'_>, client: &str, count: u32, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let (user, time, window) = (cut(seen.event.user), seen.time, nanos(typed.distributed.window));
        if user.is_empty() || !findings.on(Rule::DistributedGuessing) {
            return;
        }
        let track = self.users.change(user);
        let total = track.failures.add(time, window, count);
        track.addresses.add(client, time, window, count);
        let clients = track.addresses.within(time, window).count();
        if total >= typed.distributed.failures
            && clients >= typed.distributed.addresses as usize
            && track.silence.speak(Rule::DistributedGuessing, time, nanos(typed.quiet))
        {
            let within = humantime::format_duration(typed.distributed.window);
            let message =
                format!("{clients} addresses failed to log in as `{user}` {total} times within {within}");
            let subject = Subject { event: &seen.event, client, time };
            findings.add(Rule::DistributedGuessing, None, &subject, message, |finding| {
                finding.attribute("failures", total).attribute("addresses", clients)
            });
        }
    }

    fn terminal_failure(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let track = self.users.change(TERMINALS);
        let total = track.login.add(seen.time, nanos(typed.login.window), seen.event.count);
        if total >= typed.login.failures
            && findings.on(Rule::LoginFailures)
            && track.silence.speak(Rule::LoginFailures, seen.time, nanos(typed.quiet))
        {
            let within = humantime::format_duration(typed.login.window);
            let message = format!("{} on terminals within {within}", plural(total, "failed login"));
            findings
                .add(Rule::LoginFailures, None, &seen.local(), message, |f| f.attribute("failures", total));
        }
    }

    fn sudo_failure(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let track = self.users.change(cut(seen.event.user));
        let total = track.sudo.add(seen.time, nanos(typed.sudo.window), seen.event.count);
        if total >= typed.sudo.failures
            && findings.on(Rule::SudoFailures)
            && track.silence.speak(Rule::SudoFailures, seen.time, nanos(typed.quiet))
        {
            let within = humantime::format_duration(typed.sudo.window);
            let wrong = plural(total, "wrong password");
            let message = format!("`{}` gave sudo {wrong} within {within}", cut(seen.event.user));
            findings
                .add(Rule::SudoFailures, None, &seen.local(), message, |f| f.attribute("failures", total));
        }
    }

    fn su_failure(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let track = self.users.change(cut(seen.event.user));
        let total = track.su.add(seen.time, nanos(typed.su.window), seen.event.count);
        if total >= typed.su.failures
            && findings.on(Rule::SuFailures)
            && track.silence.speak(Rule::SuFailures, seen.time, nanos(typed.quiet))
        {
            let within = humantime::format_duration(typed.su.window);
            let (user, target) = (cut(seen.event.user), cut(seen.event.target));
            let message =
                format!("`{user}` failed {total} times to become another user (`{target}`) within {within}");
            findings.add(Rule::SuFailures, None, &seen.local(), message, |f| f.attribute("failures", total));
        }
    }

    fn exhausted(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let quiet = nanos(self.config.config.quiet);
        let client = seen.event.origin.map(|origin| self.client(origin)).unwrap_or_default();
        let silence = match client.is_empty() {
            true => &mut self.users.change(TERMINALS).silence,
            false => &mut self.addresses.change(&client).silence,
        };
        if findings.on(Rule::AttemptsExhausted) && silence.speak(Rule::AttemptsExhausted, seen.time, quiet) {
            let place = if client.is_empty() { "a terminal" } else { &client };
            let message =
                format!("{place} used up the login attempts of a connection as `{}`", cut(seen.event.user));
            let subject = Subject { event: &seen.event, client: &client, time: seen.time };
            findings.add(Rule::AttemptsExhausted, None, &subject, message, |finding| finding);
        }
    }

    fn success(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let Some(origin) = seen.event.origin else { return self.local_success(seen, findings) };
        let client = self.client(origin);
        let user = cut(seen.event.user);
        let typed = &self.config.config;
        let track = self.addresses.change(&client);
        let failures = track.users.failures(user, seen.time, nanos(typed.break_in.window));
        let guessed = track.failures.add(seen.time, nanos(typed.brute_force.window), 0);
        let attacker = guessed >= typed.brute_force.failures;
        let subject = Subject { event: &seen.event, client: &client, time: seen.time };
        if failures >= typed.break_in.failures || attacker {
            let message = format!(
                "{client} logged in as `{user}` after {} ({failures} of them as this user)",
                plural(guessed.max(failures), "failure"),
            );
            let graver = (attacker && failures > 0).then_some(Severity::Critical);
            findings.add(Rule::LoginAfterFailures, graver, &subject, message, |f| {
                f.attribute("failures", failures)
            });
        }
        track.users.forget(user);
        if user == "root" {
            let message = format!("root logged in from {client} by {}", seen.event.method.name());
            findings.add(Rule::RootLogin, None, &subject, message, |finding| finding);
        }
    }

    fn local_success(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let typed = &self.config.config;
        let (user, target) = (cut(seen.event.user), cut(seen.event.target));
        match seen.event.service {
            Service::Su => {
                let failures = self.users.change(user).su.add(seen.time, nanos(typed.su.window), 0);
                if failures >= typed.su.failures {
                    let message = format!("`{user}` became `{target}` after {}", plural(failures, "failure"));
                    findings.add(Rule::LoginAfterFailures, None, &seen.local(), message, |f| {
                        f.attribute("failures", failures)
                    });
                }
            }
            Service::Login if user == "root" => {
                findings.add(
                    Rule::RootLogin,
                    None,
                    &seen.local(),
                    "root logged in on a terminal".to_owned(),
                    |f| f,
                );
            }
            _ => {}
        }
    }

    fn sudo_command(&mut self, seen: &Seen<'_>, command: &str, findings: &mut Findings<'_, '_>) {
        let user = cut(seen.event.user);
        if !self.config.config.sudo.first_use || !findings.on(Rule::FirstSudo) {
            return;
        }
        let key = format!("s/{user}");
        let known: Option<SudoUse> = state::get(&key).ok().flatten();
        if known.is_some_and(|known| seen.time < known.noted.saturating_add(SUDO_NOTED)) {
            return;
        }
        // A full state makes every sudo a first one; the refusals of the other tracks are counted.
        let _ = state::set_for(&key, &SudoUse { noted: seen.time }, self.sudo_ttl);
        if known.is_none() {
            let message = format!("`{user}` used sudo for the first time, as `{}`", cut(seen.event.target));
            findings.add(Rule::FirstSudo, None, &seen.local(), message, |f| {
                f.attribute("command", clip(command))
            });
        }
    }

    fn sudo_denied(&mut self, seen: &Seen<'_>, reason: &str, findings: &mut Findings<'_, '_>) {
        let user = cut(seen.event.user);
        let quiet = nanos(self.config.config.quiet);
        if findings.on(Rule::SudoDenied)
            && self.users.change(user).silence.speak(Rule::SudoDenied, seen.time, quiet)
        {
            let message = format!("`{user}` asked sudo for what is not allowed: {}", clip(reason));
            findings.add(Rule::SudoDenied, None, &seen.local(), message, |finding| finding);
        }
    }

    fn locked(&mut self, seen: &Seen<'_>, findings: &mut Findings<'_, '_>) {
        let user = cut(seen.event.user);
        let quiet = nanos(self.config.config.quiet);
        if findings.on(Rule::AccountLocked)
            && self.users.change(user).silence.speak(Rule::AccountLocked, seen.time, quiet)
        {
            let message = format!("the account `{user}` was locked after too many failures");
            findings.add(Rule::AccountLocked, None, &seen.local(), message, |finding| finding);
        }
    }

    fn group_joined(&mut self, seen: &Seen<'_>, group: &str, findings: &mut Findings<'_, '_>) {
        if self.config.config.accounts.privileged_groups.iter().any(|known| known == group) {
            let message = format!("`{}` was put into the group `{}`", cut(seen.event.user), cut(group));
            findings.add(Rule::PrivilegedGroup, None, &seen.local(), message, |f| {
                f.attribute("group", cut(group))
            });
        }
    }
}

impl Seen<'_> {
    /// The subject of what happens on the machine itself.
    fn local(&self) -> Subject<'_> {
        Subject { event: &self.event, client: "", time: self.time }
    }
}

fn account_created(seen: &Seen<'_>, number: Option<u32>, findings: &mut Findings<'_, '_>) {
    let user = cut(seen.event.user);
    let (graver, what) = match number {
        Some(0) => (Some(Severity::Critical), "with the rights of root"),
        _ => (None, "on this machine"),
    };
    let message = format!("the account `{user}` was made {what}");
    findings.add(Rule::AccountCreated, graver, &seen.local(), message, |finding: Finding| match number {
        Some(number) => finding.attribute("uid", number),
        None => finding,
    });
}

/// The start of a text from outside that goes into a finding: at most 256 bytes.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(256)]
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
