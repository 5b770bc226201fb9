//! Which known word somebody probably meant. Knows nothing of configurations.

/// How many slips of the finger still count as the same word.
const SLIPS: usize = 2;
/// How long a word may be to be compared at all: longer ones are not typing errors.
const LONGEST: usize = 64;

/// The known word nearest to `word`, if it is near enough to be what was meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain = word.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (distance(&plain, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= SLIPS && *slips < candidate.chars().count().min(plain.chars().count()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, left out or replaced to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.chars().enumerate() {
        let mut next = vec![done + 1];
        for (other, (above_left, above)) in to.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let left = next.last().copied().unwrap_or(0);
            let replaced = above_left + usize::from(*other != letter);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["listen", "max_body", "queue", "path"];
        assert_eq!(nearest("max_bdy", known), Some("max_body"));
        assert_eq!(nearest("max-body", known), Some("max_body"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
    }

    proptest::proptest! {
        #[test]
        fn a_word_is_nearest_to_itself(word in "[a-z]{1,20}") {
            proptest::prop_assert_eq!(nearest(&word, [word.as_str()]), Some(word.as_str()));
        }
    }
}
