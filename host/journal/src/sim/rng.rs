//! A small seeded generator of random numbers (SplitMix64; Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators", OOPSLA 2014), so that a seed gives the same run everywhere.

/// The generator. Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True once in `times`, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Which of `count` things in a row survive: none, all, the first few, or any.
    pub(super) fn survivors(&mut self, count: usize) -> Vec<bool> {
        match self.below(4) {
            0 => vec![false; count],
            1 => vec![true; count],
            2 => {
                let kept = self.below(count as u64 + 1) as usize;
                (0..count).map(|index| index < kept).collect()
            }
            _ => (0..count).map(|_| self.one_in(2)).collect(),
        }
    }
}
