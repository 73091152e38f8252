//! Scanning clients: storms of refused or missing responses from one address.
//!
//! Only such responses touch the table, so ordinary traffic costs nothing here. The count of a
//! sliding window is estimated from two fixed ones, the present and the one before weighted by how
//! much of it the sliding window still covers: it needs two numbers for each client and errs by what
//! the traffic within one window varies. The table is bounded. A new client takes the place of the
//! quietest of a few that are picked at random, as Redis does for its keys: the loud ones, which
//! matter, stay. (Space-Saving, Metwally et al. 2005, would give the newcomer the count of the one
//! that leaves, and so accuse it of what others did.)

use std::collections::HashMap;

use picket_sdk::{Finding, Severity};
use serde::{Deserialize, Serialize};

use crate::config::{MAX_STATUSES, Scan};
use crate::request::Request;

/// How many entries are looked at to find a quiet one. Eight find one of the quietest fifth in five
/// of six cases.
const SAMPLED: usize = 8;

/// Longer addresses are cut; an IPv6 address with a zone has less than this.
const ADDRESS_BYTES: usize = 64;

/// Statuses that say: not you.
const REFUSED: [u16; 2] = [401, 403];

/// How many clients a snapshot keeps: the loudest.
const SAVED: usize = 512;

/// The clients in mind.
#[derive(Debug)]
pub(crate) struct Clients {
    config: Scan,
    window: u64,
    entries: Vec<Client>,
    places: HashMap<Vec<u8>, usize>,
    random: u64,
}

/// What is known of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Client {
    address: Vec<u8>,
    /// The number of the present window: Unix seconds by its length.
    window: u64,
    previous: u32,
    current: u32,
    /// Responses by status, in the order of the configuration, since the client was last quiet for
    /// a whole window.
    by_status: [u32; MAX_STATUSES],
    /// One bit for each of 64 hash values of targets: tells few targets from many.
    targets: u64,
    /// When it was last reported, in Unix seconds.
    reported: Option<u64>,
}

impl Clients {
    pub(crate) fn new(config: Scan) -> Self {
        let window = config.window.0.as_secs().max(1);
        Self { config, window, entries: Vec::new(), places: HashMap::new(), random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Counts a response if its status is one of those that scanning brings, and gives the finding
    /// that it completes.
    #[inline]
    pub(crate) fn add(&mut self, request: &Request<'_>, second: u64) -> Option<Finding> {
        let status = self.config.statuses.iter().position(|&status| status == request.status)?;
        self.add_status(request, status, second)
    }

    #[cold]
    fn add_status(&mut self, request: &Request<'_>, status: usize, second: u64) -> Option<Finding> {
        let address = request.client.get(..ADDRESS_BYTES).unwrap_or(request.client);
        let ignored = || self.config.ignore.iter().any(|ignored| ignored.as_bytes() == address);
        if !self.config.enabled || address.is_empty() || ignored() {
            return None;
        }
        let window = second / self.window;
        let place = self.place(address, window);
        let client = &mut self.entries[place];
        client.roll(window);
        client.current = client.current.saturating_add(1);
        client.by_status[status] = client.by_status[status].saturating_add(1);
        client.targets |= 1 << (hash(path(request.target)) >> 58);
        let count = client.estimate(second, self.window);
        let quiet = |reported| second >= reported + self.config.repeat_after.0.as_secs();
        if count < self.config.min_errors || !client.reported.is_none_or(quiet) {
            return None;
        }
        let many =
            targets(client.targets).is_none_or(|targets| targets >= f64::from(self.config.min_targets));
        if !many && client.refused(&self.config.statuses) < self.config.min_errors {
            return None;
        }
        client.reported = Some(second);
        Some(finding(&self.config, client, count))
    }

    /// The client's place in the table, made if need be.
    fn place(&mut self, address: &[u8], window: u64) -> usize {
        if let Some(&place) = self.places.get(address) {
            return place;
        }
        let client = Client::new(address, window);
        let place = if self.entries.len() < self.config.clients {
            self.entries.push(client);
            self.entries.len() - 1
        } else {
            let place = self.quiet_place(window);
            let leaving = std::mem::replace(&mut self.entries[place], client);
            self.places.remove(&leaving.address);
            place
        };
        self.places.insert(address.to_vec(), place);
        place
    }

    fn quiet_place(&mut self, window: u64) -> usize {
        let len = self.entries.len() as u64;
        let mut pick = || {
            // Xorshift (Marsaglia 2003); which entries are looked at need not be unpredictable.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            (self.random % len) as usize
        };
        let picked: [usize; SAMPLED] = std::array::from_fn(|_| pick());
        let quietest = picked.into_iter().min_by_key(|&place| self.entries[place].loudness(window));
        quietest.expect("a sample has at least one entry")
    }

    /// The loudest clients, to hand them over.
    pub(crate) fn save(&self) -> Vec<Client> {
        let mut clients: Vec<&Client> = self.entries.iter().collect();
        clients.sort_by_key(|client| std::cmp::Reverse((client.window, client.loudness(client.window))));
        clients.into_iter().take(SAVED).cloned().collect()
    }

    /// Takes clients over.
    pub(crate) fn load(&mut self, clients: Vec<Client>) {
        self.entries = clients.into_iter().take(self.config.clients).collect();
        let places = self.entries.iter().enumerate();
        self.places = places.map(|(place, client)| (client.address.clone(), place)).collect();
    }
}

impl Client {
    fn new(address: &[u8], window: u64) -> Self {
        Self {
            address: address.to_vec(),
            window,
            previous: 0,
            current: 0,
            by_status: [0; MAX_STATUSES],
            targets: 0,
            reported: None,
        }
    }

    /// Goes to a later window. What is older than the window before is forgotten.
    fn roll(&mut self, window: u64) {
        match window.checked_sub(self.window) {
            None | Some(0) => return,
            Some(1) => self.previous = self.current,
            Some(_) => {
                self.previous = 0;
                self.by_status = [0; MAX_STATUSES];
                self.targets = 0;
            }
        }
        self.current = 0;
        self.window = window;
    }

    /// The responses of the sliding window that ends now.
    fn estimate(&self, second: u64, window: u64) -> u32 {
        let left = window - 1 - second % window;
        let before = u64::from(self.previous) * left / window;
        self.current.saturating_add(before as u32)
    }

    /// Refused responses since the client was last quiet.
    fn refused(&self, statuses: &[u16]) -> u32 {
        let counted = statuses.iter().zip(self.by_status);
        counted.filter(|(status, _)| REFUSED.contains(status)).map(|(_, count)| count).sum()
    }

    fn loudness(&self, window: u64) -> u32 {
        match window.saturating_sub(self.window) {
            0 => self.current.saturating_add(self.previous),
            1 => self.current,
            _ => 0,
        }
    }
}

fn finding(config: &Scan, client: &Client, count: u32) -> Finding {
    let address = String::from_utf8_lossy(&client.address).into_owned();
    let window = config.window;
    let message = format!("{address} got {count} refused or missing responses within {window}.");
    let mut finding = Finding::new("scanning-client", Severity::Medium, message)
        .attribute("client", address)
        .attribute("window", window);
    for (status, count) in config.statuses.iter().zip(client.by_status) {
        finding = finding.attribute(format!("status_{status}"), count);
    }
    let targets = targets(client.targets);
    finding
        .attribute("targets", targets.map_or("more than 200".to_owned(), |targets| format!("{targets:.0}")))
}

/// How many different targets there were: linear counting (Whang et al. 1990) over 64 bits, which
/// ends at some two hundred: then there is none.
fn targets(bits: u64) -> Option<f64> {
    let zeros = bits.count_zeros();
    (zeros > 0).then(|| -64.0 * (f64::from(zeros) / 64.0).ln())
}

/// The target without its query.
fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    &target[..end]
}

/// FNV-1a with a last multiplication, so that the high bits are mixed as well.
fn hash(bytes: &[u8]) -> u64 {
    let mixed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A multiple of a minute, so that windows begin with it.
    const START: u64 = 1_795_193_280;

    fn get<'a>(client: &'a str, target: &'a str, status: u16) -> Request<'a> {
        Request { client: client.as_bytes(), target: target.as_bytes(), status, ..Request::EMPTY }
    }

    fn config() -> Scan {
        Scan { min_errors: 10, min_targets: 1, clients: 16, ..Scan::default() }
    }

    #[test]
    fn who_misses_one_file_is_no_scan_and_who_guesses_at_one_page_is() {
        let mut clients = Clients::new(Scan { min_targets: 8, ..config() });
        for _ in 0..100 {
            assert!(clients.add(&get("192.0.2.11", "/favicon.ico", 404), START).is_none());
        }
        let guesses = (0..10).filter_map(|_| clients.add(&get("192.0.2.66", "/account", 401), START));
        assert_eq!(guesses.count(), 1);
        let targets: Vec<String> = (0..20).map(|index| format!("/{index}")).collect();
        let scan = targets.iter().filter_map(|target| clients.add(&get("192.0.2.67", target, 404), START));
        assert_eq!(scan.count(), 1);
    }

    #[test]
    fn a_storm_is_reported_once_with_its_particulars() {
        let mut clients = Clients::new(config());
        let targets: Vec<String> = (0..30).map(|index| format!("/{index}?x=1")).collect();
        let findings: Vec<Finding> = targets
            .iter()
            .enumerate()
            .filter_map(|(index, target)| {
                clients.add(&get("192.0.2.1", target, [404, 403][index % 2]), START)
            })
            .collect();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].get("client"), "192.0.2.1");
        assert_eq!((findings[0].get("status_404"), findings[0].get("status_403")), ("5", "5"));
        assert!((8..=12).contains(&findings[0].get("targets").parse::<u32>().unwrap()));
        // After `repeat_after` it is reported again if it goes on.
        let later = (0..10).filter_map(|_| clients.add(&get("192.0.2.1", "/", 404), START + 600));
        assert_eq!(later.count(), 1);
    }

    #[test]
    fn a_slow_client_is_none_and_the_window_slides() {
        let mut clients = Clients::new(config());
        // One in eight seconds: seven or eight in any minute.
        for second in (0..3600).step_by(8) {
            assert!(clients.add(&get("192.0.2.1", "/", 404), START + second).is_none());
        }
        // Six at the end of one window and six at the start of the next are a storm.
        let mut clients = Clients::new(config());
        let found: Vec<_> =
            (54..66).filter_map(|second| clients.add(&get("192.0.2.2", "/", 404), START + second)).collect();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn other_statuses_and_ignored_addresses_do_not_count() {
        let mut clients = Clients::new(Scan { ignore: vec!["192.0.2.9".to_owned()], ..config() });
        for _ in 0..100 {
            assert!(clients.add(&get("192.0.2.1", "/", 200), START).is_none());
            assert!(clients.add(&get("192.0.2.9", "/", 404), START).is_none());
            assert!(clients.add(&get("", "/", 404), START).is_none());
        }
        assert!(clients.entries.is_empty());
    }

    #[test]
    fn a_flood_of_addresses_does_not_drive_out_the_loud_ones() {
        let mut clients = Clients::new(Scan { clients: 64, min_errors: 1000, ..config() });
        let mut found = 0;
        for index in 0..20_000 {
            clients.add(&get(&format!("198.51.100.{index}"), "/", 404), START);
            found +=
                usize::from(index % 10 == 0 && clients.add(&get("192.0.2.1", "/", 404), START).is_some());
        }
        assert_eq!((clients.entries.len(), clients.places.len(), found), (64, 64, 1));
        for (address, &place) in &clients.places {
            assert_eq!(&clients.entries[place].address, address);
        }
    }
}
