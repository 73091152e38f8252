//! Changes an input a little, in the ways that parsers get wrong.

use picket_journal::sim::Rng;

/// Inputs do not grow beyond this: what a parser gets wrong it gets wrong in a few kilobytes, and a
/// longer one only costs runs.
const MAX_BYTES: usize = 8 << 10;

/// Pieces that many languages trip over.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b":",
    b",",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"0x7f",
    b"\xff",
    b"\xff\xfe",
    b"\xc3",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b"%s",
    b"../",
    b"\\u0000",
    b"\\ud800",
];

/// Numbers at the edges of their types.
const EDGES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 62, u64::MAX];

/// Changes `input` one to eight times. `others` are inputs to take parts from, `words` pieces of the
/// target's own language.
pub(crate) fn mutate(rng: &mut Rng, input: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str]) {
    for _ in 0..=rng.below(8) {
        change(rng, input, others, words);
    }
    input.truncate(MAX_BYTES);
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str]) {
    match rng.below(11) {
        0 => on_byte(rng, input, |rng, byte| byte ^ (1 << rng.below(8))),
        1 => on_byte(rng, input, |rng, _| rng.number() as u8),
        2 => edge(rng, input),
        3 => remove(rng, input),
        4 => repeat(rng, input),
        5 => {
            let word = WORDS[rng.below(WORDS.len() as u64) as usize];
            put(rng, input, word);
        }
        6 => {
            if let Some(word) = pick(rng, words) {
                put(rng, input, word.as_bytes());
            }
        }
        7 => splice(rng, input, others),
        8 => number(rng, input),
        9 => input.truncate(position(rng, input)),
        _ => {
            let bytes: Vec<u8> = (0..=rng.below(16)).map(|_| rng.number() as u8).collect();
            put(rng, input, &bytes);
        }
    }
}

fn pick<'t, T>(rng: &mut Rng, from: &'t [T]) -> Option<&'t T> {
    if from.is_empty() { None } else { from.get(rng.below(from.len() as u64) as usize) }
}

/// Somewhere in the input, or right behind it.
fn position(rng: &mut Rng, input: &[u8]) -> usize {
    rng.below(input.len() as u64 + 1) as usize
}

/// Two positions in order, mostly near each other.
fn range(rng: &mut Rng, input: &[u8]) -> std::ops::Range<usize> {
    let start = position(rng, input);
    let most = (input.len() - start) as u64;
    let length = if rng.one_in(4) { rng.below(most + 1) } else { rng.below(most.min(16) + 1) };
    start..start + length as usize
}

fn on_byte(rng: &mut Rng, input: &mut [u8], change: impl Fn(&mut Rng, u8) -> u8) {
    if input.is_empty() {
        return;
    }
    let at = rng.below(input.len() as u64) as usize;
    input[at] = change(rng, input[at]);
}

/// Writes a number from the edge of a type over some bytes, as binary formats hold them.
fn edge(rng: &mut Rng, input: &mut [u8]) {
    let bytes = EDGES[rng.below(EDGES.len() as u64) as usize].to_le_bytes();
    let width = 1 << rng.below(4);
    let at = position(rng, input);
    for (to, from) in input[at..].iter_mut().zip(&bytes[..width]) {
        *to = *from;
    }
}

fn remove(rng: &mut Rng, input: &mut Vec<u8>) {
    let range = range(rng, input);
    input.drain(range);
}

fn repeat(rng: &mut Rng, input: &mut Vec<u8>) {
    let piece = input[range(rng, input)].to_vec();
    let times = 1 << rng.below(6);
    if piece.len() * times > MAX_BYTES {
        return;
    }
    put(rng, input, &piece.repeat(times));
}

/// Inserts bytes, or writes them over others.
fn put(rng: &mut Rng, input: &mut Vec<u8>, bytes: &[u8]) {
    let at = position(rng, input);
    let end = if rng.one_in(2) { at } else { (at + bytes.len()).min(input.len()) };
    input.splice(at..end, bytes.iter().copied());
}

/// Goes on as another input does.
fn splice(rng: &mut Rng, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    let Some(other) = pick(rng, others) else { return };
    let from = position(rng, other);
    input.truncate(position(rng, input));
    input.extend_from_slice(&other[from..]);
}

/// Replaces a run of digits by another number.
fn number(rng: &mut Rng, input: &mut Vec<u8>) {
    let start = position(rng, input);
    let Some(first) = input[start..].iter().position(u8::is_ascii_digit).map(|at| start + at) else { return };
    let end = input[first..].iter().position(|b| !b.is_ascii_digit()).map_or(input.len(), |at| first + at);
    let edge = EDGES[rng.below(EDGES.len() as u64) as usize];
    input.splice(first..end, edge.to_string().into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let one = |seed| {
            let mut input = b"2024-01-01 GET /index.html 200".to_vec();
            mutate(&mut Rng::new(seed), &mut input, &[b"other".to_vec()], &["POST"]);
            input
        };
        assert_eq!(one(7), one(7));
        let different: HashSet<Vec<u8>> = (0..200).map(one).collect();
        assert!(different.len() > 150, "{} of 200", different.len());
    }

    #[test]
    fn any_input_can_be_mutated_and_stays_bounded() {
        let mut rng = Rng::new(1);
        let mut input = Vec::new();
        for _ in 0..5_000 {
            mutate(&mut rng, &mut input, &[vec![], vec![b'x'; MAX_BYTES]], &[]);
            assert!(input.len() <= MAX_BYTES);
        }
    }
}
