//! Cases that every place that compiles expressions has to agree about, for the tests of all of them. Nothing
//! but tests reads them.

/// An expression, a value, and what Prometheus makes of the two.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// In Go's syntax.
    pub pattern: &'static str,
    /// What the expression is to match as a whole; it is never empty.
    pub value: &'static str,
    /// Whether it does; none when the expression is refused.
    pub expected: Option<bool>,
}

const fn matches(pattern: &'static str, value: &'static str) -> Case {
    Case { pattern, value, expected: Some(true) }
}

const fn differs(pattern: &'static str, value: &'static str) -> Case {
    Case { pattern, value, expected: Some(false) }
}

const fn refused(pattern: &'static str) -> Case {
    Case { pattern, value: "a", expected: None }
}

/// What Go and Rust read differently, or could. No expression but a refused one matches the empty text, so that a
/// selector of one matcher is possible with each.
pub const CASES: &[Case] = &[
    // Perl's classes are ASCII.
    matches(r"\d", "5"),
    differs(r"\d", "५"),
    matches(r"\D", "५"),
    differs(r"\w+", "aé"),
    matches(r"[\w-]+", "a-b"),
    matches(r"[^\W_]+", "ab9"),
    differs(r"[^\W_]+", "ab_"),
    differs(r"\s", "\u{a0}"),
    matches(r"[\s\S]", "\u{a0}"),
    matches(r"é\bb", "éb"),
    matches(r"a\Bb", "ab"),
    // Braces.
    matches("{id}", "{id}"),
    matches("/users/{id}/.*", "/users/{id}/x"),
    differs("/users/{id}", "/users/id"),
    matches("a{,2}", "a{,2}"),
    matches("a{02}", "a{02}"),
    matches("a{2}b{1,}c{0,1}", "aabb"),
    matches("x{", "x{"),
    matches("a*?b+?c{2}?", "abcc"),
    matches("(?:a+)+", "aa"),
    matches("[[:word:][:^digit:]]+", "a_5"),
    matches("x}", "x}"),
    // Quoting.
    matches(r"\Qa.b\E.", "a.bx"),
    differs(r"\Qa.b\E.", "axbx"),
    matches(r"\<a\>", "<a>"),
    matches(r"\{a\}\-\_", "{a}-_"),
    // Classes.
    matches("[a[b]", "["),
    matches("[a&&b]+", "a&b"),
    matches("[+--]", ","),
    matches("[a~~b]", "~"),
    matches("[]a]+", "]a"),
    matches("[^]a]", "b"),
    matches("[a-]+", "a-"),
    matches(r"[\]\\^-]+", r"]\^-"),
    differs(r"[[:alpha:]\pN]+", "aé"),
    matches("[[:^alpha:]]", "é"),
    matches(r"\p{Greek}\pL", "λé"),
    matches(r"\p{^Greek}\P{^Greek}", "aλ"),
    differs(r"[^\pL]", "é"),
    // Characters by their numbers.
    matches(r"\x41\x{e9}\101\.", "AéA."),
    // Groups, flags, anchors, and what lies between them.
    matches("(?i)straSSe", "STRASSE"),
    matches("(?i:a)b", "Ab"),
    matches("a.b", "a\nb"),
    matches("(?P<x>a)(?:b)", "ab"),
    matches(r"\Aa\z", "a"),
    matches("a|b", "b"),
    differs("a|b", "ab"),
    matches("a b#c", "a b#c"),
    // What Go refuses.
    refused(r"\1"),
    refused(r"\y"),
    refused("\\"),
    refused("(?x)a"),
    refused("(?u)a"),
    refused("(?=a)"),
    refused("[a"),
    refused("[b-a]"),
    refused("(a"),
    refused(r"a\Qb"),
    refused("a)|(b"),
    refused("*a"),
    refused("{2}"),
    refused("a{1001}"),
    refused("a**"),
    refused("a++b"),
    refused("a{2}{3}"),
    refused("a*?*"),
    refused("[[:foo:]]"),
    refused("[[:Alpha:]]"),
    refused("a{2,1}"),
    refused(r"\x{110000}"),
    refused(r"\x{+1}"),
    refused(r"\p{"),
    refused(r"\p{Nosuch}"),
    refused("((a{1000}){1000})"),
];
