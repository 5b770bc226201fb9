//! What was found against what is on record: what to open, what to keep, what to close. Pure; it decides about the
//! findings of one payment, one order or one integration at a time.

use super::Class;
use super::compare::Standing;

/// A finding on record, as far as a comparison has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The ledger's number for it.
    pub id: i64,
    /// What it says.
    pub says: Standing,
    /// Whether it is open; else a person has resolved it.
    pub open: bool,
    /// Whether it is about a payment, rather than an order or an integration.
    pub about_payment: bool,
}

/// What has to be done so that the record says what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// These are new.
    pub open: Vec<Standing>,
    /// These stand as they did.
    pub keep: Vec<Class>,
    /// These stand, in other words.
    pub reword: Vec<(i64, Standing)>,
    /// These stand no more.
    pub close: Vec<(i64, Class)>,
}

/// Compares `found` with what is `held` about the same. Findings of record are not a run's to close.
pub fn diff(found: Vec<Standing>, held: &[Held]) -> Diff {
    let mut diff = Diff::default();
    let mut kept = Vec::new();
    let same = |held: &Held, found: &Standing| held.says.class == found.class && held.says.subject == found.subject;
    for standing in found {
        if let Some(held) = held.iter().find(|held| held.open && same(held, &standing)) {
            kept.push(held.id);
            diff.keep.push(standing.class);
            if held.says != standing {
                diff.reword.push((held.id, standing));
            }
        } else if !held.iter().any(|held| !held.open && held.says == standing) {
            // What a person resolved stays resolved for as long as it says the same.
            diff.open.push(standing);
        }
    }
    let gone = |held: &&Held| held.open && held.says.class.is_standing(held.about_payment) && !kept.contains(&held.id);
    diff.close = held.iter().filter(gone).map(|held| (held.id, held.says.class)).collect();
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(class: Class, subject: &str, found: &str) -> Standing {
        Standing { class, subject: subject.into(), expected: "USD 25.00".into(), found: found.into() }
    }

    fn held(id: i64, says: Standing, open: bool) -> Held {
        Held { id, says, open, about_payment: true }
    }

    #[test]
    fn new_is_opened_same_is_kept_other_words_are_taken_over_and_gone_is_closed() {
        let short = says(Class::Underpaid, "", "USD 20.00");
        let old = says(Class::Underpaid, "", "USD 19.00");
        assert_eq!(diff(vec![short.clone()], &[]), Diff { open: vec![short.clone()], ..Diff::default() });
        let keep = vec![Class::Underpaid];
        assert_eq!(
            diff(vec![short.clone()], &[held(1, short.clone(), true)]),
            Diff { keep: keep.clone(), ..Diff::default() }
        );
        assert_eq!(
            diff(vec![short.clone()], &[held(1, old.clone(), true)]),
            Diff { keep, reword: vec![(1, short)], ..Diff::default() }
        );
        let close = vec![(1, Class::Underpaid)];
        assert_eq!(diff(Vec::new(), &[held(1, old, true)]), Diff { close, ..Diff::default() });
    }

    #[test]
    fn what_a_person_resolved_stays_resolved_until_it_says_something_else() {
        let (short, shorter) = (says(Class::Underpaid, "", "USD 20.00"), says(Class::Underpaid, "", "USD 5.00"));
        let resolved = [held(1, short.clone(), false)];
        assert_eq!(diff(vec![short], &resolved), Diff::default());
        assert_eq!(diff(vec![shorter.clone()], &resolved).open, [shorter]);
        assert_eq!(diff(Vec::new(), &resolved), Diff::default());
    }

    #[test]
    fn subjects_are_told_apart() {
        let (one, two) = (says(Class::RefusedPosts, "a", "x"), says(Class::RefusedPosts, "b", "x"));
        let diff = diff(vec![two.clone()], &[held(1, one, true)]);
        assert_eq!((diff.open, diff.close), (vec![two], vec![(1, Class::RefusedPosts)]));
    }

    #[test]
    fn what_is_of_record_is_not_a_runs_to_close() {
        let record = [
            held(1, says(Class::ContradictingPost, "", "x"), true),
            held(2, says(Class::MissingAtGateway, "", "x"), true),
        ];
        assert_eq!(diff(Vec::new(), &record), Diff::default());
        let order = Held { about_payment: false, ..record[1].clone() };
        assert_eq!(diff(Vec::new(), &[order]).close, [(2, Class::MissingAtGateway)]);
    }
}
