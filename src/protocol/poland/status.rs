//! Poland's status words in ours.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use crate::domain::{Status, WireStatus};

/// How long a status word may be; the longest documented one has nine letters.
const LONGEST: usize = 32;

/// The word, if it is spelt as the gateway spells them: capitals, digits and underscores.
pub(super) fn word(text: &str) -> Result<WireStatus, String> {
    let spelt = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(spelt) {
        return Err(format!("must be 1 to {LONGEST} capitals, digits and underscores"));
    }
    WireStatus::parse(text).map_err(|error| error.to_string())
}

/// What a word means. One that nobody documented is not refused: the payment keeps its state, and a person is told.
pub(super) fn status(word: &WireStatus) -> Status {
    match word.as_str() {
        "NEW" => Status::Created,
        "PENDING" => Status::Pending,
        "CONFIRMED" => Status::Paid,
        "REJECTED" => Status::Rejected,
        "ERROR" => Status::Errored,
        "EXPIRED" => Status::Expired,
        "ABANDONED" => Status::Abandoned,
        _ => Status::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Seen;

    /// Every move that the documentation draws.
    const MOVES: [(&str, &[&str]); 7] = [
        ("NEW", &["PENDING", "CONFIRMED", "REJECTED", "ERROR", "EXPIRED"]),
        ("PENDING", &["CONFIRMED", "REJECTED", "ERROR", "EXPIRED", "ABANDONED"]),
        ("REJECTED", &["CONFIRMED", "ABANDONED"]),
        ("ERROR", &["CONFIRMED", "REJECTED", "ABANDONED"]),
        ("CONFIRMED", &[]),
        ("EXPIRED", &[]),
        ("ABANDONED", &[]),
    ];

    fn meaning(text: &str) -> Status {
        status(&word(text).unwrap())
    }

    #[test]
    fn every_documented_word_is_understood_and_any_other_is_unknown() {
        let expected = [
            Status::Created,
            Status::Pending,
            Status::Rejected,
            Status::Errored,
            Status::Paid,
            Status::Expired,
            Status::Abandoned,
        ];
        for ((text, _), status) in MOVES.into_iter().zip(expected) {
            assert_eq!(meaning(text), status, "{text}");
        }
        assert_eq!(meaning("ON_HOLD"), Status::Unknown);
    }

    #[test]
    fn every_documented_move_is_a_step_forward_and_its_reverse_is_none() {
        for (from, onward) in MOVES {
            for to in onward {
                assert_eq!(meaning(from).observe(meaning(to)), Seen::Move, "{from} -> {to}");
                assert_eq!(meaning(to).observe(meaning(from)), Seen::Regress, "{to} -> {from}");
            }
        }
    }

    #[test]
    fn a_confirmed_payment_stays_confirmed_and_a_rejected_or_failed_one_is_not_over() {
        for (text, _) in MOVES {
            assert_ne!(Status::Paid.observe(meaning(text)), Seen::Move, "{text}");
        }
        assert!(meaning("REJECTED").is_pending() && meaning("ERROR").is_pending());
        assert!(meaning("ABANDONED").is_final() && meaning("EXPIRED").is_final());
    }

    #[test]
    fn a_word_is_capitals_and_underscores() {
        let long = "A".repeat(33);
        for odd in ["", "confirmed", "CONFIRMED ", "ON HOLD", "PAY\u{141}", &long] {
            assert!(word(odd).is_err(), "{odd}");
        }
    }
}
