//! Chance that can be had again: the same seed throws the same.

use std::time::{SystemTime, UNIX_EPOCH};

/// A sequence that only its seed decides (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of a new seed, which is printed, or of the one that `PAYNOWD_TEST_SEED` asks for.
    pub fn new() -> Self {
        let seed = std::env::var("PAYNOWD_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = seed.unwrap_or(now.as_secs() ^ u64::from(now.subsec_nanos()));
        eprintln!("PAYNOWD_TEST_SEED={seed}");
        Self::of_seed(seed)
    }

    /// A number from 0 to one less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}
