//! A program to measure beside, as the command line names it. Where it comes from is not known here.

use std::path::PathBuf;
use std::str::FromStr;

/// A program to measure beside.
#[derive(Debug, Clone)]
pub(crate) struct Counterpart {
    /// What it is called.
    pub(crate) name: String,
    /// The folder that stands for `/`; none when the program is missing.
    pub(crate) root: Option<PathBuf>,
}

/// What is said of one that is missing.
pub(crate) const MISSING: &str = "the program is not installed and its Debian package could not be fetched";

impl FromStr for Counterpart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, root) = text.split_once('=').ok_or("a counterpart is written NAME=ROOT")?;
        let root = (!root.is_empty()).then(|| PathBuf::from(root));
        Ok(Self { name: name.to_owned(), root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counterpart_may_be_missing() {
        let parsed: Counterpart = "mtail=".parse().expect("it is well formed");
        assert_eq!((parsed.name.as_str(), parsed.root), ("mtail", None));
        let parsed: Counterpart = "mtail=/x".parse().expect("it is well formed");
        assert_eq!(parsed.root, Some(PathBuf::from("/x")));
        assert!("mtail".parse::<Counterpart>().is_err());
    }
}
