//! Telephone numbers in other people's words: some shops use them for order numbers, and letters are not for them.

use super::{Reference, is_hidden};

/// How many digits stay, so that whoever knows the number recognises it.
const KEPT: usize = 3;
/// How many digits an international number has, country code and all (ITU-T E.164; nobody has fewer than eight).
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;
/// How many groups of digits people write at most.
const GROUPS: usize = 5;
/// How people group the digits of a Zimbabwean mobile number.
const GROUPINGS: [&[usize]; 6] = [&[10], &[4, 6], &[4, 3, 3], &[3, 7], &[3, 3, 4], &[3, 4, 3]];

/// `text` without hidden characters, in which only the last three digits of what looks like a telephone number are
/// left.
///
/// That is what stands alone and is written `+` and 8 to 15 digits, `00263…` or `263…` with a mobile number, or `07…`
/// with ten digits in the groups in which people write them. Order numbers that merely have many digits stay whole.
pub fn without_phones(text: &str) -> String {
    // Hidden characters first: between two digits they would keep a number from being seen as one.
    let seen = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c));
    let text: Vec<char> = seen.collect();
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_slice();
    let mut before = None;
    while let Some(first) = rest.first() {
        let stands_alone = before.is_none_or(|c: char| !c.is_alphanumeric() && c != '+');
        let taken = if stands_alone { phone(rest) } else { None };
        let (head, tail) = rest.split_at_checked(taken.unwrap_or(1)).unwrap_or((rest, &[]));
        if taken.is_some() {
            let digits: Vec<&char> = head.iter().filter(|c| c.is_ascii_digit()).collect();
            masked.push_str("***");
            masked.extend(digits.iter().skip(digits.len().saturating_sub(KEPT)).copied());
        } else {
            masked.push(*first);
        }
        before = head.last().copied();
        rest = tail;
    }
    masked
}

/// An order's reference as the log may have it.
pub fn masked(reference: &Reference) -> String {
    without_phones(reference.as_str())
}

/// How many characters at the beginning of `text` are a telephone number.
fn phone(text: &[char]) -> Option<usize> {
    let number = text.strip_prefix(&['+']).unwrap_or(text);
    let plus = text.len() - number.len();
    let groups = groups(number);
    // The longest run of groups that is a number, so that "077… 2" is one and a rest.
    (1..=groups.len()).rev().find_map(|count| {
        let groups = groups.get(..count)?;
        let end = groups.last()?.1;
        let alone = number.get(end).is_none_or(|c| !c.is_alphanumeric());
        let digits: String = number.iter().take(end).filter(|c| c.is_ascii_digit()).collect();
        let lengths: Vec<usize> = groups.iter().map(|(start, end)| end - start).collect();
        let is_phone = if plus == 1 { INTERNATIONAL.contains(&digits.len()) } else { mobile(&digits, &lengths) };
        (alone && is_phone).then_some(plus + end)
    })
}

/// Whether these digits, so grouped, are a Zimbabwean mobile number with or without the country code.
fn mobile(digits: &str, lengths: &[usize]) -> bool {
    let local =
        |rest: &str| rest.len() == 9 && rest.starts_with('7') && rest.get(1..2).is_some_and(|c| "1378".contains(c));
    match digits.strip_prefix("00").unwrap_or(digits).strip_prefix("263") {
        Some(rest) if local(rest) => true,
        _ => digits.strip_prefix('0').is_some_and(local) && GROUPINGS.contains(&lengths),
    }
}

/// Where the groups of digits at the beginning of `text` begin and end, with a hyphen or some blanks between them.
fn groups(text: &[char]) -> Vec<(usize, usize)> {
    let run = |from: usize, of: fn(&char) -> bool| text.iter().skip(from).take_while(|c| of(c)).count();
    let mut groups = Vec::new();
    let mut start = 0;
    while groups.len() < GROUPS {
        let long = run(start, char::is_ascii_digit);
        if long == 0 {
            break;
        }
        groups.push((start, start + long));
        start += long;
        start += match text.get(start) {
            Some('-' | '\u{2010}'..='\u{2015}') => 1,
            _ => run(start, |c| *c == ' '),
        };
        if groups.last().is_some_and(|(_, end)| *end == start) {
            break;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn telephone_numbers_keep_their_last_three_digits() {
        for (text, masked) in [
            ("0771234567", "***567"),
            ("INV-0771234567", "INV-***567"),
            ("0771234567/2", "***567/2"),
            ("+263771234567", "***567"),
            ("+263 77 123 4567", "***567"),
            ("00263771234567", "***567"),
            ("263782345678", "***678"),
            ("0771 234 567", "***567"),
            ("077-123-4567 2", "***567 2"),
            ("paid by 0712345678, twice", "paid by ***678, twice"),
            ("+48 601 234 567", "***567"),
            ("(0731234567)", "(***567)"),
            ("077\u{200B}1234567", "***567"),
            ("077\u{A0}\t1234567", "***567"),
            ("077\u{2011}123\u{2011}4567", "***567"),
        ] {
            assert_eq!(without_phones(text), masked, "{text}");
        }
    }

    #[test]
    fn order_numbers_stay_whole() {
        for text in [
            "INV-1042",
            "2026-0312-0771",
            "1234567890",
            "0012345678",
            "0812345678",
            "20260312077123456",
            "0771-2026-33",
            "SO0771234567",
            "07712345678",
            "c1b5c2f0-6b1f-4d0e-9b0a-0d6d3a0f7a11",
            "A+12345678901",
            "+1",
            "amount 25.00",
            "",
        ] {
            assert_eq!(without_phones(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_mobile_number_among_other_words_survives(
            before in "[a-zA-Z ]{0,8}[ ,:/#]", after in "[ ,:/#.][a-zA-Z ]{0,8}", number in "(\\+263|0|00263|263)7[1378][0-9]{7}"
        ) {
            let masked = without_phones(&format!("{before}{number}{after}"));
            prop_assert_eq!(&masked, &format!("{before}***{}{after}", &number[number.len() - 3..]));
        }

        #[test]
        fn any_text_is_masked_once_and_for_all(text in any::<String>()) {
            let masked = without_phones(&text);
            prop_assert_eq!(without_phones(&masked), masked);
        }
    }
}
