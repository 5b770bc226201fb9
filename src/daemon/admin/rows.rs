//! The body of `POST /v1/expectations` as JSON: an order, or a list of them. Of a field that stands there twice nobody
//! can say which one was meant, so an order remembers that.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A body, or one row of it.
#[derive(Debug, PartialEq)]
pub(super) enum Row {
    /// An object.
    Order(Fields),
    /// A list, which the body may be and a row may not.
    List(Vec<Self>),
    /// Something else.
    Other,
}

/// The fields of one order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields {
    /// The value of each, the first of several.
    pub values: Map<String, Value>,
    /// The first field that stands there more than once.
    pub twice: Option<String>,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Row, E> {
        Ok(Row::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Row, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            rows.push(row);
        }
        Ok(Row::List(rows))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Row, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = object.next_entry::<String, Value>()? {
            if !fields.values.contains_key(&name) {
                fields.values.insert(name, value);
            } else if fields.twice.is_none() {
                fields.twice = Some(name);
            }
        }
        Ok(Row::Order(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn twice(body: &str) -> Option<String> {
        match serde_json::from_str(body) {
            Ok(Row::Order(fields)) => fields.twice,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_field_that_stands_there_twice_is_remembered_however_it_is_spelt() {
        assert_eq!(twice(r#"{"amount":"1","Amount":"2","due":{"amount":"3"}}"#), None);
        for body in [
            r#"{"amount":"1","amount":"1"}"#,
            r#"{"amount":"1","\u0061mount":"2"}"#,
            r#"{"due":"1","amount":null,"amount":"2","due":"3"}"#,
        ] {
            assert_eq!(twice(body).as_deref(), Some("amount"), "{body}");
        }
    }

    proptest! {
        #[test]
        fn json_is_read_as_any_other_reader_does(body in "[\\[\\]{}\",:a0-9.eutrlfns\\\\ -]{0,60}") {
            let plain = serde_json::from_str::<Value>(&body);
            prop_assert_eq!(serde_json::from_str::<Row>(&body).is_ok(), plain.is_ok());
        }
    }
}
