//! A cluster of lines that share a template.

use serde::{Deserialize, Serialize};

use crate::hash::hash;
use crate::rate::Rate;

/// What stands where the lines of a cluster differ.
pub const WILDCARD: &str = "<*>";

/// One place of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Hash of the text.
    pub hash: u64,
    /// The masked text, or [`WILDCARD`].
    pub text: String,
}

impl Place {
    /// A place that holds any token.
    pub fn wildcard() -> Self {
        Self { hash: wildcard_hash(), text: WILDCARD.to_owned() }
    }

    /// Whether it holds any token.
    pub fn is_wildcard(&self) -> bool {
        self.hash == wildcard_hash()
    }
}

/// The hash of [`WILDCARD`].
pub fn wildcard_hash() -> u64 {
    hash(WILDCARD.as_bytes())
}

/// Lines that share a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// A name that stays the same for as long as the cluster lives, even when its template becomes more
    /// general: twelve hexadecimal digits, made of the first line's template.
    pub id: String,
    /// The template.
    pub places: Vec<Place>,
    /// How many lines it has had.
    pub count: u64,
    /// Number of the line that it had last, among all lines: the least recent cluster gives way.
    pub used: u64,
    /// How often it comes.
    pub rate: Rate,
}

impl Cluster {
    /// A cluster of one line, the number of which is `used`.
    pub fn new(places: Vec<Place>, used: u64) -> Self {
        let text = template(&places);
        let id = format!("{:012x}", hash(text.as_bytes()) >> 16);
        Self { id, places, count: 0, used, rate: Rate::default() }
    }

    /// The template as text.
    pub fn template(&self) -> String {
        template(&self.places)
    }
}

fn template(places: &[Place]) -> String {
    let texts: Vec<&str> = places.iter().map(|place| place.text.as_str()).collect();
    texts.join(" ")
}
