//! Text of others as a cell of a table that somebody will open in a spreadsheet: seen whole, never computed.

use crate::domain::is_hidden;

/// `text` as a spreadsheet takes it for text: without hidden characters, each line end or tab a blank, and an
/// apostrophe before whatever would begin a formula. Only for text; our own amounts and times need none of it.
///
/// <https://owasp.org/www-community/attacks/CSV_Injection>
pub fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Nothing but blanks since the cell began, or since what begins one where the semicolon separates cells.
    let mut at_start = true;
    for c in text.chars() {
        let c = match c {
            c if c.is_whitespace() => ' ',
            c if is_hidden(c) => continue,
            c => c,
        };
        if at_start && begins_formula(c) {
            safe.push('\'');
        }
        at_start = c == ';' || (at_start && c == ' ');
        safe.push(c);
    }
    safe
}

/// `text` on one line, without hidden characters: for files that nothing computes.
pub(super) fn line(text: &str) -> String {
    let visible = text.chars().filter(|c| c.is_whitespace() || !is_hidden(*c));
    visible.map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

/// What makes a spreadsheet compute, in every width that an input method writes.
const fn begins_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+'
            | '-'
            | '@'
            | '＝'
            | '＋'
            | '－'
            | '＠'
            | '﹦'
            | '﹢'
            | '﹣'
            | '﹫'
            | '\u{2212}'
            | '\u{207A}'
            | '\u{207B}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_begin_a_formula_gets_an_apostrophe() {
        for (text, safe) in [
            ("=HYPERLINK(\"http://evil.example\")", "'=HYPERLINK(\"http://evil.example\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", " '=1"),
            ("\r\n=1", "  '=1"),
            ("\u{FEFF}=1", "'=1"),
            ("\u{200B}\u{202E}-1", "'-1"),
            ("＝1", "'＝1"),
            ("＠x", "'＠x"),
            ("INV;=1", "INV;'=1"),
            ("INV; @x", "INV; '@x"),
        ] {
            assert_eq!(cell(text), safe, "{text:?}");
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["", "INV-1042", "zażółć 訂單", "a=b+c", "1,082", " INV 7 "] {
            assert_eq!(cell(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_cell_is_ever_computed_and_nothing_hidden_stays(text in any::<String>(), lead in "[ \t\r\n;]{0,3}[=+@-]?") {
            let safe = cell(&format!("{lead}{text}"));
            prop_assert!(!safe.chars().any(is_hidden));
            for part in safe.split(';') {
                prop_assert!(!part.trim_start().starts_with(begins_formula), "{:?}", safe);
            }
            prop_assert_eq!(safe.contains(['\r', '\n', '\t']), false);
        }
    }
}
