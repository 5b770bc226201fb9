//! Telephone numbers in other people's words: some shops use them for order numbers, and letters are not for them.

/// How many digits stay, so that whoever knows the number recognises it.
const KEPT: usize = 3;
/// How many digits an international number has, country code and all (ITU-T E.164; nobody has fewer than eight).
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;
/// How people group the digits of a Zimbabwean mobile number.
const GROUPINGS: [&[usize]; 6] = [&[10], &[4, 6], &[4, 3, 3], &[3, 7], &[3, 3, 4], &[3, 4, 3]];

/// `text`, in which only the last three digits of what looks like a telephone number are left.
///
/// That is what stands alone and is written `+` and 8 to 15 digits, `00263…` or `263…` with a mobile number, or `07…`
/// with ten digits in the groups in which people write them. Order numbers that merely have many digits stay whole.
pub fn without_phones(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        let stands_alone = before.is_none_or(|c: char| !c.is_alphanumeric() && c != '+');
        let long = if stands_alone { phone(rest) } else { None };
        let taken = long.unwrap_or(first.len_utf8());
        let (head, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        if long.is_some() {
            let digits: Vec<char> = head.chars().filter(char::is_ascii_digit).collect();
            masked.push_str("***");
            masked.extend(digits.iter().skip(digits.len().saturating_sub(KEPT)));
        } else {
            masked.push_str(head);
        }
        before = head.chars().next_back();
        rest = tail;
    }
    masked
}

/// How many bytes of the beginning of `text` are a telephone number.
fn phone(text: &str) -> Option<usize> {
    let (plus, number) = text.strip_prefix('+').map_or((0, text), |number| (1, number));
    let groups = groups(number);
    // The longest run of groups that is a number, so that "07… 2" is one and a rest.
    (1..=groups.len()).rev().find_map(|count| {
        let groups = groups.get(..count)?;
        let end = groups.last()?.1;
        let alone = !number.get(end..)?.starts_with(|c: char| c.is_alphanumeric());
        let digits: String = number.get(..end)?.chars().filter(char::is_ascii_digit).collect();
        let lengths: Vec<usize> = groups.iter().map(|(start, end)| end - start).collect();
        let is_phone =
            if plus == 1 { INTERNATIONAL.contains(&digits.len()) && count <= 5 } else { mobile(&digits, &lengths) };
        (alone && is_phone).then_some(plus + end)
    })
}

/// Whether these digits, so grouped, are a Zimbabwean mobile number with or without the country code.
fn mobile(digits: &str, lengths: &[usize]) -> bool {
    let local =
        |rest: &str| rest.len() == 9 && rest.starts_with('7') && rest.get(1..2).is_some_and(|c| "1378".contains(c));
    match digits.strip_prefix("00").unwrap_or(digits).strip_prefix("263") {
        Some(rest) if local(rest) => lengths.len() <= 5,
        _ => digits.strip_prefix('0').is_some_and(local) && GROUPINGS.contains(&lengths),
    }
}

/// Where the groups of digits at the beginning of `text` begin and end, a single blank or hyphen between them.
fn groups(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut groups = Vec::new();
    let mut start = 0;
    loop {
        let long = bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
        if long == 0 || groups.len() == 6 {
            return groups;
        }
        groups.push((start, start + long));
        if !matches!(bytes.get(start + long), Some(b' ' | b'-')) {
            return groups;
        }
        start += long + 1;
    }
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
