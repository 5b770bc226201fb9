//! Floor 0: counters that many raise at once and one page reads. Raising one takes no lock: labels are added at the end
//! of a list that only grows, and found by walking it. Labels come from the configuration and the program, never from a
//! message, so the lists stay short.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn raise(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who is inside just now.
#[derive(Debug, Default)]
pub struct Room(AtomicU64);

/// A stay in a [`Room`], until it is dropped.
#[derive(Debug)]
pub struct Stay<'a>(&'a Room);

impl Room {
    /// Comes in.
    pub fn enter(&self) -> Stay<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Stay(self)
    }

    /// How many are inside.
    pub fn inside(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often something was done, and how long that took together.
#[derive(Debug, Default)]
pub struct Stopwatch {
    times: Count,
    micros: Count,
}

impl Stopwatch {
    /// It was done once more and took so long.
    pub fn took(&self, time: Duration) {
        self.times.raise();
        self.micros.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How often.
    pub fn times(&self) -> u64 {
        self.times.get()
    }

    /// How long together.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.micros.get())
    }
}

/// Values by label: made when first asked for, and never given up.
#[derive(Debug)]
pub struct Roll<K, V>(Link<K, V>);

type Link<K, V> = OnceLock<Box<Entry<K, V>>>;

#[derive(Debug)]
struct Entry<K, V> {
    label: K,
    value: V,
    next: Link<K, V>,
}

impl<K, V> Default for Roll<K, V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<K: PartialEq + Clone, V: Default> Roll<K, V> {
    /// The value of this label.
    pub fn of(&self, label: &K) -> &V {
        let mut link = &self.0;
        loop {
            // Whoever loses a race for the end of the list finds the winner there, and walks on.
            let entry = link
                .get_or_init(|| Box::new(Entry { label: label.clone(), value: V::default(), next: OnceLock::new() }));
            if entry.label == *label {
                return &entry.value;
            }
            link = &entry.next;
        }
    }

    /// Every label so far with its value, in the order they came.
    pub fn each(&self) -> impl Iterator<Item = (&K, &V)> {
        std::iter::successors(self.0.get(), |entry| entry.next.get()).map(|entry| (&entry.label, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_however_many_count_at_once_and_a_label_is_there_once() {
        let roll: Roll<usize, Count> = Roll::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..4_000).for_each(|at| roll.of(&(at % 20)).raise()));
            }
        });
        let mut seen: Vec<_> = roll.each().map(|(label, count)| (*label, count.get())).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..20).map(|label| (label, 1_600)).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_left_is_not_inside() {
        let room = Room::default();
        let stays = [room.enter(), room.enter()];
        assert_eq!(room.inside(), 2);
        drop(stays);
        assert_eq!(room.inside(), 0);
    }
}
