//! Labels of the store's series, kept over evaluations so that each crosses the boundary once, and shared
//! with all that is computed from them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use picket_sdk::series;
use promql_engine::{Label, Labels};

/// Series whose labels are kept. The largest node of the benchmark has 100,000; at about 150 bytes a series
/// this is 30 MB of the plugin's 64 MiB. Beyond it the cache begins anew.
const MAX_SERIES: usize = 200_000;

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct LabelCache {
    known: HashMap<u64, Rc<Labels>>,
    /// Names and values: most stand in many series.
    texts: HashSet<Rc<str>>,
}

impl LabelCache {
    /// Makes sure that the labels of these series are known.
    pub(crate) fn fill(&mut self, ids: impl Iterator<Item = u64>) -> picket_sdk::Result<()> {
        let mut wanted: Vec<u64> = ids.filter(|id| !self.known.contains_key(id)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable();
        wanted.dedup();
        for (id, labels) in wanted.iter().zip(series::labels(&wanted)?) {
            let label =
                |label: picket_sdk::Label| Label::new(self.shared(&label.name), self.shared(&label.value));
            let labels: Vec<Label> = labels.into_iter().map(label).collect();
            self.known.insert(*id, Rc::new(Labels::new(labels)));
        }
        Ok(())
    }

    /// The labels of a series that [`fill`](Self::fill) was called for.
    pub(crate) fn of(&self, id: u64) -> Rc<Labels> {
        self.known.get(&id).cloned().unwrap_or_default()
    }

    /// Forgets all when there is too much. Call it between evaluations only.
    pub(crate) fn bound(&mut self) {
        if self.known.len() > MAX_SERIES {
            self.known.clear();
            self.texts.clear();
        }
    }

    fn shared(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.texts.get(text) {
            return Rc::clone(known);
        }
        let shared: Rc<str> = Rc::from(text);
        self.texts.insert(Rc::clone(&shared));
        shared
    }
}
