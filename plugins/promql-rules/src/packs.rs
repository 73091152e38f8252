//! The rule packs that are built in, so that the plugin is useful by itself.

/// Names and texts of the packs.
const PACKS: [(&str, &str); 3] = [
    ("node", include_str!("../packs/node.yml")),
    ("picket", include_str!("../packs/picket.yml")),
    ("certificates", include_str!("../packs/certificates.yml")),
];

/// The names of all packs.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

/// The text of a pack.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    PACKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
