//! Where sources put samples.

use picket_scrape::Described;

use crate::model::Sample;

/// Who feeds the series store, and commits samples while somebody upstream takes them; that nobody does is no error.
pub trait SampleSink: Send + Sync {
    /// All samples that a source has of one time: what it had before and has no more has ended. The error says that
    /// upstream does not get them.
    fn samples(&self, source: &str, samples: Vec<Sample>) -> Result<(), NotCommitted>;
    /// Samples of a source that says itself what has ended: stale markers are among them. The error says that upstream
    /// does not get them.
    fn scraped(&self, source: &str, samples: Vec<Sample>) -> Result<(), NotCommitted>;
    /// What metrics are, as the targets of a source say.
    fn described(&self, described: &[Described]);
    /// There will be no more samples of this source: its series end. Not called when the agent stops.
    fn ended(&self, source: &str);
}

/// Samples that cannot be committed; the reason is in the log already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the samples cannot be committed and are lost for upstream")]
pub struct NotCommitted;
