//! Makes an input that breaks something smaller, so that a person can read it.

/// Runs to spend on it.
const RUNS: usize = 3_000;

/// Removes pieces, large ones first, as long as `breaks` still says yes.
pub(crate) fn shrink(input: &[u8], breaks: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut runs = 0;
    let mut piece = best.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < best.len() && runs < RUNS {
            let end = (at + piece).min(best.len());
            let candidate = [&best[..at], &best[end..]].concat();
            runs += 1;
            if breaks(&candidate) {
                best = candidate;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_breaks_is_left() {
        let input = [&[b'a'; 500][..], b"!", &[b'b'; 300], b"?", b"tail"].concat();
        let small = shrink(&input, |bytes| bytes.contains(&b'!') && bytes.contains(&b'?'));
        assert_eq!(small, b"!?");
    }
}
