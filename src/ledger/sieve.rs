//! Which places certainly have no key. Nearly every new payment's has none, and to look in the index all the same would be
//! a tenth of what a post costs.
//!
//! Places are digests and so lie evenly: one bit for each of many equal parts of them tells whether there is a key. What
//! had settled before this process began is read region by region, when a key of it is first looked for. A region has a
//! few entries, which are neighbours: to read them is hardly more than to look for one. So nothing has to be read in
//! advance, and a huge ledger is merely known later.

/// How many bits a place has.
pub(super) const PLACE: u32 = 48;

/// Into how many parts places are divided, as a power of two: 4 MB of bits, of which the system gives only what is used.
/// One in four is taken in vain among ten million keys.
const PARTS: u32 = 25;

/// How many entries a region has, more or less, when it is read.
const REGION: i64 = 8;

/// The most regions there are, as a power of two: 128 kB of bits.
const REGIONS: u32 = 20;

/// What is known of places.
#[derive(Debug)]
pub(super) struct Sieve {
    /// The parts in which there is a key.
    taken: Bits,
    /// The regions in which all settled keys are known.
    known: Bits,
    /// How many regions there are, as a power of two.
    regions: u32,
}

/// What is known of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is no key.
    Empty,
    /// There is one, or one nearby.
    Perhaps,
    /// Read its region first.
    Unknown,
}

impl Sieve {
    /// Nothing is known yet, and so many keys have settled, more or less.
    pub(super) fn new(settled: i64) -> Self {
        let regions = (settled / REGION).max(1).ilog2().min(REGIONS);
        Self { taken: Bits::none_of(PARTS), known: Bits::none_of(regions), regions }
    }

    /// Of no ledger.
    pub(super) const fn blind() -> Self {
        Self { taken: Bits(Vec::new()), known: Bits(Vec::new()), regions: 0 }
    }

    /// What is known of this place.
    pub(super) fn look(&self, place: i64) -> Look {
        match (self.known.has(part(place, self.regions)), self.taken.has(part(place, PARTS))) {
            (false, _) => Look::Unknown,
            (true, false) => Look::Empty,
            (true, true) => Look::Perhaps,
        }
    }

    /// The first and the last place of the region of this one.
    pub(super) const fn region(&self, place: i64) -> (i64, i64) {
        let size = 1 << (PLACE - self.regions);
        let first = place & -size;
        (first, first + (size - 1))
    }

    /// There is a key in this place.
    pub(super) fn take(&mut self, place: i64) {
        self.taken.add(part(place, PARTS));
    }

    /// All that has settled in the region of this place is taken from now on.
    pub(super) fn know(&mut self, place: i64) {
        self.known.add(part(place, self.regions));
    }
}

/// In which of so many parts, given as a power of two, a place is.
const fn part(place: i64, parts: u32) -> i64 {
    place >> (PLACE - parts)
}

/// A set of numbers below a power of two; of those that are not, none is ever in it.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    /// None of so many numbers, given as a power of two.
    fn none_of(numbers: u32) -> Self {
        Self(vec![0; 1 << numbers.saturating_sub(6)])
    }

    fn has(&self, number: i64) -> bool {
        let (at, bit) = Self::bit(number);
        self.0.get(at).is_some_and(|word| word & bit != 0)
    }

    fn add(&mut self, number: i64) {
        let (at, bit) = Self::bit(number);
        if let Some(word) = self.0.get_mut(at) {
            *word |= bit;
        }
    }

    /// Where the bit of a number is.
    fn bit(number: i64) -> (usize, u64) {
        (usize::try_from(number >> 6).unwrap_or(usize::MAX), 1 << (number & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = i64> {
        prop_oneof![0..1_i64 << PLACE, 0..1000_i64, (1_i64 << PLACE) - 1000..1_i64 << PLACE]
    }

    proptest! {
        #[test]
        fn what_is_empty_was_never_taken(
            settled in 0..20_000_000_i64,
            before in prop::collection::vec(place(), 0..200),
            steps in prop::collection::vec((any::<bool>(), place()), 0..200),
        ) {
            let (mut sieve, mut index) = (Sieve::new(settled), before);
            for (is_new, place) in steps {
                match sieve.look(place) {
                    Look::Empty => prop_assert!(!index.contains(&place)),
                    Look::Perhaps => {}
                    Look::Unknown => {
                        let (first, last) = sieve.region(place);
                        prop_assert!((first..=last).contains(&place));
                        index.iter().filter(|other| (first..=last).contains(other)).for_each(|other| sieve.take(*other));
                        sieve.know(place);
                        prop_assert_ne!(sieve.look(place), Look::Unknown);
                    }
                }
                if is_new {
                    index.push(place);
                    sieve.take(place);
                    prop_assert_ne!(sieve.look(place), Look::Empty);
                }
            }
        }
    }

    #[test]
    fn regions_are_small_and_what_was_read_is_empty_but_for_a_few_places() {
        let settled = 100_000;
        let (mut sieve, step) = (Sieve::new(settled), (1 << PLACE) / settled);
        let (first, last) = sieve.region(step / 2);
        assert!((last - first) / step <= 2 * REGION, "few enough to be read at a look");
        let mut read = 0;
        for place in (0..settled).map(|number| number * step + step / 2) {
            if sieve.look(place) == Look::Unknown {
                let (first, last) = sieve.region(place);
                (first..=last).step_by(usize::try_from(step).unwrap()).for_each(|taken| sieve.take(taken));
                sieve.know(place);
                read += 1;
            }
        }
        assert!(read <= settled / REGION * 2, "{read} regions were read");
        let empty = (0..settled).filter(|number| sieve.look(number * step + step / 3) == Look::Empty).count();
        assert!(empty > 99_000, "{empty} of 100000 places that were not taken are known to be empty");
    }
}
