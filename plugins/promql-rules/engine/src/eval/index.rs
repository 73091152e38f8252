//! Numbers for groups of label sets.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::labels::{Labels, Subset};

/// Gives sets that agree in a subset of their labels the same ordinal, counting from none.
#[derive(Debug)]
pub(crate) struct Index {
    subset: Subset,
    /// The first group by the hash of its subset.
    first: HashMap<u64, usize, BuildHasherDefault<Identity>>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    member: Rc<Labels>,
    /// The next group with the same hash.
    next: Option<usize>,
}

impl Index {
    pub(crate) fn new(subset: Subset) -> Self {
        Self { subset, first: HashMap::default(), groups: Vec::new() }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The first set that came into a group.
    pub(crate) fn member(&self, ordinal: usize) -> &Rc<Labels> {
        &self.groups[ordinal].member
    }

    /// The ordinal of the group of a set.
    pub(crate) fn ordinal(&mut self, labels: &Rc<Labels>) -> usize {
        let hash = self.subset.hash(labels);
        let first = self.first.get(&hash).copied();
        let mut next = first;
        while let Some(ordinal) = next {
            let group = &self.groups[ordinal];
            if self.subset.same(&group.member, labels) {
                return ordinal;
            }
            next = group.next;
        }
        let ordinal = self.groups.len();
        self.groups.push(Group { member: Rc::clone(labels), next: first });
        self.first.insert(hash, ordinal);
        ordinal
    }
}

/// The hashes are good already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_agree_share_an_ordinal() {
        let set = |job: &str, env: &str| Rc::new(Labels::from_pairs([("job", job), ("env", env)]));
        let mut index = Index::new(Subset::Only(vec!["job".into()]));
        let ordinals = [set("a", "x"), set("b", "x"), set("a", "y")].map(|labels| index.ordinal(&labels));
        assert_eq!((ordinals, index.len()), ([0, 1, 0], 2));
        assert_eq!(index.member(1).get("job"), "b");
    }
}
