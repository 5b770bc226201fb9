//! Messages of the shop's own: fields as a person writes them → the signed form, ready to be posted.

use super::{Fields, Rule, hash};
use crate::protocol::Setup;
use crate::protocol::doctor::NotSignable;

/// Signs fields written one a line (`name=value`, values as they are), or a form (values with their escapes). A hash
/// that stands there already is replaced. Blanks around values are dropped: the gateway hashes values without them.
pub(super) fn sign(text: &[u8], name: &str, rule: Rule, setup: &Setup) -> Result<String, NotSignable> {
    let text = std::str::from_utf8(text).map_err(|_| NotSignable("the fields are not UTF-8".into()))?.trim();
    let pairs: Vec<(String, String)> = if is_form(text) {
        let fields = parse(text, setup)?;
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    } else {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
        let pairs: Option<_> = lines.map(pair).collect();
        pairs.ok_or_else(|| NotSignable("each line must be name=value".into()))?
    };
    let fields = pairs.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("hash"));
    let fields = Fields::from_pairs(fields.map(|(name, value)| (name, value.trim().to_owned())));
    // Read back, as the gateway will: with every bound, and no name twice.
    let fields = parse(&fields.encode(), setup)?;
    Ok(hash::sign(fields, name, rule, setup.keys.current()).encode())
}

fn parse(form: &str, setup: &Setup) -> Result<Fields, NotSignable> {
    Fields::parse(form.as_bytes(), setup.max_fields).map_err(|error| NotSignable(error.to_string()))
}

/// One line of several fields. A lone field reads the same either way, unless it has escapes.
fn is_form(text: &str) -> bool {
    !text.contains('\n') && text.contains('&') && text.split('&').all(|field| field.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Key, Keys, Protocol};

    /// The documentation's own example: `developers.paynow.co.zw/docs/generating_hash.html`.
    const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
    const HASH: &str = "2A033FC38798D913D42ECB786B9B19645ADEDBDE788862032F1BD82CF3B92DEF84F316385D5B40DBB35F1A4FD7D5BFE73835174136463CDD48C9366B0749C689";

    fn signed(text: &str) -> Result<String, NotSignable> {
        let setup = Setup {
            integration: crate::domain::IntegrationName::parse("shop").unwrap(),
            id: None,
            keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
            api_key: None,
            origin: Protocol::Zimbabwe.default_origin().parse().unwrap(),
            max_fields: 8,
        };
        sign(text.as_bytes(), "hash", Rule::Values, &setup)
    }

    #[test]
    fn the_documented_request_gets_the_documented_hash_from_lines_and_from_a_form() {
        let lines = "id=1201\nreference=TEST REF\namount=99.99\nadditionalinfo=A test ticket transaction\n\
                     returnurl= http://www.google.com/search?q=returnurl\r\n\
                     resulturl=http://www.google.com/search?q=resulturl\n\nstatus=Message\n";
        let signed_lines = signed(lines).unwrap();
        assert!(signed_lines.ends_with(&format!("&status=Message&hash={HASH}")), "{signed_lines}");
        assert_eq!(signed(&signed_lines).unwrap(), signed_lines, "an old hash is replaced");
    }

    #[test]
    fn what_is_no_list_of_fields_is_refused() {
        for (text, why) in [
            ("", "empty"),
            ("reference\namount=1", "name=value"),
            ("a=1\nA=2", "more than once"),
            ("a=1\nb=2\nc=3\nd=4\ne=5\nf=6\ng=7\nh=8\ni=9", "more than 8"),
        ] {
            assert!(signed(text).unwrap_err().to_string().contains(why), "{text:?}");
        }
    }
}
