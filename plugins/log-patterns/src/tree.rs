//! Drain's parse tree: P. He, J. Zhu, Z. Zheng, M. R. Lyu, "Drain: An Online Log Parsing Approach with
//! Fixed Depth Tree", ICWS 2017, section III.
//!
//! A line goes down by its number of tokens, then by its first tokens, to a leaf with a few clusters, and
//! joins the one whose template shares the most tokens with it, if that is a large enough part; else it
//! founds a cluster. What differs in a template becomes a wildcard. Two things are added to the paper: the
//! number of clusters is bounded, the least recently used one giving way; and lines whose masked tokens
//! have been seen before find their cluster at once by a hash over all tokens (`known`).

use crate::cluster::{Cluster, Place, wildcard_hash};
use crate::hash::HashedMap;
use crate::mask::{MAX_TOKENS, Token};

/// How the tree is built.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The part of the tokens that must be equal, 0 to 1 (the paper's `st`).
    pub similarity: f64,
    /// By how many of the first tokens a line goes down (the paper's `depth` less two).
    pub depth: usize,
    /// How many children a node may have; further tokens share the wildcard's child (`maxChild`).
    pub max_children: usize,
    /// How many clusters there may be.
    pub max_clusters: usize,
}

/// The most entries of `known`. At 16 bytes each that is a quarter of a MiB; when it is full it is
/// emptied, which costs one slow way for each form of line.
const MAX_KNOWN: usize = 16_384;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It fits the cluster's template as it is.
    Fits,
    /// The template became more general.
    Generalised,
    /// It founded the cluster.
    Founded,
}

/// The tree with its clusters.
#[derive(Debug)]
pub struct Tree {
    shape: Shape,
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    live: usize,
    /// Cluster and its slot's epoch by the hash over all tokens.
    known: HashedMap<(u32, u32)>,
    /// Clusters that gave way since the last [`take_evicted`](Tree::take_evicted).
    evicted: Vec<Cluster>,
}

#[derive(Debug, Default)]
struct Node {
    parent: u32,
    key: u64,
    children: HashedMap<u32>,
    clusters: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    cluster: Option<Cluster>,
    leaf: u32,
    /// Grows when the slot's cluster gives way, so that what points to it is seen to be old.
    epoch: u32,
}

const ROOT: u32 = 0;

impl Tree {
    /// An empty tree.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            nodes: vec![Node::default()],
            free_nodes: Vec::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            live: 0,
            known: HashedMap::default(),
            evicted: Vec::new(),
        }
    }

    /// How many clusters there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The clusters.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.slots.iter().filter_map(|slot| slot.cluster.as_ref())
    }

    /// A cluster that [`add`](Tree::add) has just named.
    pub fn cluster(&mut self, index: u32) -> &mut Cluster {
        self.slots[index as usize].cluster.as_mut().expect("the tree names live clusters only")
    }

    /// The clusters that gave way to others since the last call.
    pub fn take_evicted(&mut self) -> Vec<Cluster> {
        std::mem::take(&mut self.evicted)
    }

    /// Finds or founds the cluster of a line. `sequence` is the hash over all tokens, `used` the number of
    /// the line, and `text` gives the masked text of a token.
    #[inline]
    pub fn add(
        &mut self,
        tokens: &[Token],
        sequence: u64,
        used: u64,
        text: impl Fn(&Token) -> String,
    ) -> (u32, Outcome) {
        if let Some(&(index, epoch)) = self.known.get(&sequence) {
            let slot = &mut self.slots[index as usize];
            if slot.epoch == epoch
                && let Some(cluster) = &mut slot.cluster
            {
                cluster.used = used;
                cluster.count += 1;
                return (index, Outcome::Fits);
            }
        }
        self.add_unknown(tokens, sequence, used, &text)
    }

    #[cold]
    fn add_unknown(
        &mut self,
        tokens: &[Token],
        sequence: u64,
        used: u64,
        text: &dyn Fn(&Token) -> String,
    ) -> (u32, Outcome) {
        let (index, outcome) = match self.search(tokens) {
            Some(index) => (index, self.generalise(index, tokens)),
            None => {
                let places =
                    tokens.iter().map(|token| Place { hash: token.hash, text: text(token) }).collect();
                (self.found(Cluster::new(places, used)), Outcome::Founded)
            }
        };
        let cluster = self.cluster(index);
        cluster.used = used;
        cluster.count += 1;
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(sequence, (index, self.slots[index as usize].epoch));
        (index, outcome)
    }

    /// The most similar cluster at the leaf that the tokens lead to, if it is similar enough.
    fn search(&self, tokens: &[Token]) -> Option<u32> {
        let mut node = *self.node(ROOT).children.get(&(tokens.len() as u64))?;
        for token in tokens.iter().take(self.shape.depth) {
            let children = &self.node(node).children;
            let exact = if token.variable { None } else { children.get(&token.hash) };
            node = *exact.or_else(|| children.get(&wildcard_hash()))?;
        }
        let similar = |&index: &u32| {
            let places = &self.slots[index as usize].cluster.as_ref()?.places;
            similarity(places, tokens, self.shape.similarity).map(|score| (score, index))
        };
        self.node(node)
            .clusters
            .iter()
            .filter_map(similar)
            .max_by_key(|(score, _)| *score)
            .map(|(_, index)| index)
    }

    fn generalise(&mut self, index: u32, tokens: &[Token]) -> Outcome {
        let mut changed = false;
        for (place, token) in self.cluster(index).places.iter_mut().zip(tokens) {
            if place.hash != token.hash && !place.is_wildcard() {
                *place = Place::wildcard();
                changed = true;
            }
        }
        if changed { Outcome::Generalised } else { Outcome::Fits }
    }

    /// Adds a cluster: a new one, or one of a snapshot. A template without tokens or with too many is
    /// taken as well; no line will find it, and it gives way in time.
    pub fn found(&mut self, cluster: Cluster) -> u32 {
        while self.live >= self.shape.max_clusters.max(1) {
            self.evict();
        }
        let leaf = self.leaf(&cluster.places);
        let index = match self.free_slots.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { cluster: None, leaf, epoch: 0 });
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        (slot.cluster, slot.leaf) = (Some(cluster), leaf);
        self.node_mut(leaf).clusters.push(index);
        self.live += 1;
        index
    }

    /// The leaf of a template, with the nodes on the way to it.
    fn leaf(&mut self, places: &[Place]) -> u32 {
        let mut node = self.child(ROOT, places.len().min(MAX_TOKENS + 1) as u64);
        for place in places.iter().take(self.shape.depth) {
            let variable = place.text.bytes().any(|b| b == b'<' || b.is_ascii_digit());
            let wildcard = wildcard_hash();
            let children = &self.node(node).children;
            let known = children.contains_key(&place.hash);
            // One child is kept for the wildcard.
            let room = children.len() + usize::from(!children.contains_key(&wildcard))
                < self.shape.max_children.max(2);
            let key = if !variable && (known || room) { place.hash } else { wildcard };
            node = self.child(node, key);
        }
        node
    }

    fn child(&mut self, parent: u32, key: u64) -> u32 {
        if let Some(&child) = self.node(parent).children.get(&key) {
            return child;
        }
        let node = Node { parent, key, ..Node::default() };
        let child = match self.free_nodes.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.node_mut(parent).children.insert(key, child);
        child
    }

    /// Lets the least recently used cluster give way, and the nodes that lead nowhere without it.
    fn evict(&mut self) {
        let used = |slot: &Slot| slot.cluster.as_ref().map(|cluster| cluster.used);
        let oldest = (0..self.slots.len()).filter_map(|index| Some((used(&self.slots[index])?, index))).min();
        let Some((_, index)) = oldest else { return };
        let slot = &mut self.slots[index];
        let leaf = slot.leaf;
        slot.epoch = slot.epoch.wrapping_add(1);
        self.evicted.extend(slot.cluster.take());
        self.free_slots.push(index as u32);
        self.live -= 1;
        self.node_mut(leaf).clusters.retain(|known| *known != index as u32);
        let mut node = leaf;
        while node != ROOT && self.node(node).clusters.is_empty() && self.node(node).children.is_empty() {
            let (parent, key) = (self.node(node).parent, self.node(node).key);
            self.node_mut(parent).children.remove(&key);
            self.free_nodes.push(node);
            node = parent;
        }
    }

    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }
}

/// How many tokens are equal, if they are enough (the paper's `simSeq`), with the number of wildcards
/// that decides between equals: the more general template wins.
fn similarity(places: &[Place], tokens: &[Token], enough: f64) -> Option<(usize, usize)> {
    if places.len() != tokens.len() {
        return None;
    }
    let wildcard = wildcard_hash();
    let equal = places.iter().zip(tokens).filter(|(place, token)| place.hash == token.hash).count();
    let wild = places.iter().filter(|place| place.hash == wildcard).count();
    // Wildcards do not count as equal, or a template of many of them would swallow every line; but it
    // always takes back the lines that it stands for.
    let fits = equal + wild == tokens.len();
    (fits || equal as f64 >= enough * tokens.len() as f64).then_some((equal, wild))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::mask::Tokens;
    use proptest::prelude::*;

    const SHAPE: Shape = Shape { similarity: 0.5, depth: 2, max_children: 100, max_clusters: 100 };

    fn learn<'a>(tree: &mut Tree, lines: impl IntoIterator<Item = &'a str>) -> Vec<Outcome> {
        let mut tokens = Tokens::new(true);
        let mut used = tree.clusters().map(|cluster| cluster.used).max().unwrap_or(0);
        let mut outcomes = Vec::new();
        for line in lines {
            tokens.read(line.as_bytes());
            used += 1;
            let text = |token: &Token| tokens.text(line.as_bytes(), token);
            outcomes.push(tree.add(tokens.tokens(), tokens.sequence(), used, text).1);
        }
        outcomes
    }

    fn templates(tree: &Tree) -> Vec<String> {
        let mut templates: Vec<String> = tree.clusters().map(Cluster::template).collect();
        templates.sort();
        templates
    }

    #[test]
    fn lines_that_differ_in_few_tokens_share_a_template() {
        let mut tree = Tree::new(SHAPE);
        let outcomes = learn(
            &mut tree,
            [
                "user alice logged in from home",
                "user bob logged in from home",
                "user carol logged in from work",
                "disk is full",
            ],
        );
        assert_eq!(outcomes, [Outcome::Founded, Outcome::Founded, Outcome::Founded, Outcome::Founded]);
        // The first two tokens are the way down, so they are not generalised: with one of them they are.
        let mut tree = Tree::new(Shape { depth: 1, ..SHAPE });
        let outcomes = learn(
            &mut tree,
            [
                "user alice logged in from home",
                "user bob logged in from home",
                "user carol logged in from work",
                "disk is full",
            ],
        );
        assert_eq!(
            outcomes,
            [Outcome::Founded, Outcome::Generalised, Outcome::Generalised, Outcome::Founded]
        );
        assert_eq!(templates(&tree), ["disk is full", "user <*> logged in from <*>"]);
    }

    #[test]
    fn masked_values_need_no_wildcard() {
        let mut tree = Tree::new(SHAPE);
        let outcomes = learn(&mut tree, ["took 12 ms", "took 3 ms", "took 4.5 ms"]);
        assert_eq!(outcomes, [Outcome::Founded, Outcome::Fits, Outcome::Fits]);
        assert_eq!(templates(&tree), ["took <num> ms"]);
    }

    #[test]
    fn the_least_recently_used_cluster_gives_way() {
        let mut tree = Tree::new(Shape { max_clusters: 2, ..SHAPE });
        learn(&mut tree, ["one", "two words", "one", "three words here"]);
        assert_eq!(templates(&tree), ["one", "three words here"]);
        let evicted = tree.take_evicted();
        assert_eq!(evicted.iter().map(Cluster::template).collect::<Vec<_>>(), ["two words"]);
        assert_eq!(learn(&mut tree, ["two words"]), [Outcome::Founded]);
        assert_eq!(templates(&tree), ["three words here", "two words"]);
    }

    #[test]
    fn nodes_that_lead_nowhere_are_used_again() {
        let mut tree = Tree::new(Shape { max_clusters: 4, ..SHAPE });
        let lines: Vec<String> = (0..2000_u32)
            .map(|n| {
                n.to_string().bytes().map(|b| (b - b'0' + b'a') as char).flat_map(|c| [c, ' ']).collect()
            })
            .collect();
        learn(&mut tree, lines.iter().map(String::as_str));
        assert_eq!(tree.len(), 4);
        assert!(tree.nodes.len() <= 1 + 4 * 4, "{}", tree.nodes.len());
    }

    #[test]
    fn a_node_has_no_more_children_than_it_may() {
        let mut tree = Tree::new(Shape { max_children: 3, similarity: 0.9, ..SHAPE });
        let lines: Vec<String> = ('a'..='z').map(|c| format!("{c} {c}{c} {c}{c}{c}")).collect();
        learn(&mut tree, lines.iter().map(String::as_str));
        assert_eq!(tree.len(), 26);
        assert!(tree.nodes.iter().skip(1).all(|node| node.children.len() <= 3));
    }

    proptest! {
        #[test]
        fn a_line_finds_its_cluster_again(lines in proptest::collection::vec("[a-c]{1,2}( [a-c0-9]{1,2}){0,5}", 1..80)) {
            let mut tree = Tree::new(SHAPE);
            learn(&mut tree, lines.iter().map(String::as_str));
            let total: u64 = tree.clusters().map(|cluster| cluster.count).sum();
            prop_assert_eq!(total, lines.len() as u64);
            // Without the shortcut too.
            tree.known.clear();
            let last = lines.last().unwrap();
            prop_assert_ne!(learn(&mut tree, [last.as_str()])[0], Outcome::Founded);
        }
    }
}
