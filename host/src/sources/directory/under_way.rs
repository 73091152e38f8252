//! What was given to plugins and is not done: so that nothing is given twice, and nothing is forgotten that
//! could not be given meanwhile.
//!
//! A file on disk has one path, and what comes of it later waits for what is under way. A container may
//! hold several members of one name, as different as its maker likes: each content is an errand of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::Digest;
use crate::pipeline::container::Container;
use crate::pipeline::work::{ScanDone, StatKey};

/// What a plugin was given, as it is found again when it is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Errand {
    pub(super) plugin: String,
    pub(super) path: PathBuf,
    /// Whether it is to be opened.
    pub(super) unpack: bool,
    /// The key of a member; none for a file on disk.
    pub(super) member: Option<Digest>,
}

impl Errand {
    /// The one that is done.
    pub(super) fn of(done: &ScanDone) -> Self {
        let ScanDone { plugin, path, unpacked, member, .. } = done;
        Self { plugin: plugin.clone(), path: path.clone(), unpack: *unpacked, member: *member }
    }
}

/// What is known of an errand.
#[derive(Debug)]
pub(super) struct Busy {
    /// The content, and the generations it went to.
    pub(super) about: Digest,
    /// The file when it was given.
    pub(super) stat: StatKey,
    /// Whether the same file was to be given again meanwhile, for another content or to other generations.
    pub(super) again: bool,
    /// Containers with a member just like this one, which wait for its verdict. Each member that waits here
    /// counts in its container's account.
    pub(super) twins: Vec<Arc<Container>>,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    errands: BTreeMap<Errand, Busy>,
}

impl UnderWay {
    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.errands.is_empty()
    }

    /// Something was given.
    pub(super) fn begin(&mut self, errand: Errand, about: Digest, stat: StatKey) {
        self.errands.insert(errand, Busy { about, stat, again: false, twins: Vec::new() });
    }

    /// It is done.
    pub(super) fn end(&mut self, errand: &Errand) -> Option<Busy> {
        self.errands.remove(errand)
    }

    /// Whether it is under way; if so, what it is wanted for now is remembered.
    pub(super) fn is_busy(
        &mut self,
        errand: &Errand,
        about: &Digest,
        within: Option<&Arc<Container>>,
    ) -> bool {
        let Some(busy) = self.errands.get_mut(errand) else { return false };
        match within {
            Some(container) => busy.twins.push(container.clone()),
            None => busy.again |= busy.about != *about,
        }
        true
    }
}
