//! What outlives an instance: the snapshot, which holds everything, and the state, which holds what must
//! not be lost.
//!
//! The templates stand in the state, so that a pattern once seen is not new again because a snapshot was
//! lost; counts and rates are in the snapshot alone.

use std::collections::BTreeMap;

use picket_sdk::{Result, state};
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Place};
use crate::tree::Tree;

/// The version of the hashes in what is stored: of another one, templates are hashed anew.
const HASHES: u32 = 1;

/// How far learning has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Records seen while learning.
    pub records: u64,
    /// The earliest time of a record, in nanoseconds; 0 before the first.
    pub since: u64,
    /// Whether learning is over.
    pub done: bool,
}

/// Everything worth keeping.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    hashes: u32,
    /// How many records have been read in all.
    pub used: u64,
    /// How far learning has come.
    pub progress: Progress,
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// Which of them have counters of their own.
    pub counted: Vec<String>,
}

impl Saved {
    /// What an instance knows.
    pub fn of(tree: &Tree, used: u64, progress: Progress, counted: impl Iterator<Item = String>) -> Self {
        Self {
            hashes: HASHES,
            used,
            progress,
            clusters: tree.clusters().cloned().collect(),
            counted: counted.collect(),
        }
    }

    /// Puts the clusters into a tree, the least recently used first, so that a smaller tree keeps the
    /// right ones.
    pub fn plant(mut self, tree: &mut Tree) {
        self.clusters.sort_by_key(|cluster| cluster.used);
        for mut cluster in self.clusters {
            if self.hashes != HASHES {
                cluster.places = places(cluster.places.into_iter().map(|place| place.text));
            }
            tree.found(cluster);
        }
    }
}

/// A template in the state.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    places: Vec<String>,
}

fn places(texts: impl Iterator<Item = String>) -> Vec<Place> {
    texts.map(|text| Place { hash: crate::hash::hash(text.as_bytes()), text }).collect()
}

fn key(id: &str) -> String {
    format!("t/{id}")
}

/// Writes a template.
pub fn store(cluster: &Cluster) -> Result<()> {
    let places = cluster.places.iter().map(|place| place.text.clone()).collect();
    state::set(key(&cluster.id), &Stored { places })
}

/// Deletes a template that gave way.
pub fn forget(cluster: &Cluster) -> Result<()> {
    state::delete(key(&cluster.id))
}

/// The stored templates that a tree does not know, as clusters without a past.
pub fn missing(tree: &Tree) -> Result<Vec<Cluster>> {
    let known: BTreeMap<&str, ()> = tree.clusters().map(|cluster| (cluster.id.as_str(), ())).collect();
    let mut clusters = Vec::new();
    for entry in state::scan::<Stored>("t/") {
        let (key, stored) = entry?;
        let id = String::from_utf8_lossy(key.get(2..).unwrap_or_default()).into_owned();
        if !known.contains_key(id.as_str()) {
            clusters.push(Cluster { id, ..Cluster::new(places(stored.places.into_iter()), 0) });
        }
    }
    Ok(clusters)
}

/// Reads how far learning has come.
pub fn progress() -> Result<Option<Progress>> {
    state::get("learning")
}

/// Writes how far learning has come.
pub fn store_progress(progress: &Progress) -> Result<()> {
    state::set("learning", progress)
}
