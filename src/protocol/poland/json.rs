//! JSON as we take it from outside: one object, bounded in depth and number, no name twice. A duplicate name means
//! different things to different readers, and a proven message must mean one thing.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and lists may lie in one another; the gateway's lie three deep.
const DEPTH: usize = 8;

/// The bytes are not one JSON object, or one that we do not take. Says where, not what.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object we take: {0}")]
pub struct NotAnObject(#[from] serde_json::Error);

/// The object that `body` is: at most `limit` values in all.
///
/// # Errors
/// It is not JSON, not an object, too deep, too large, or has a name twice in the same object.
pub fn object(body: &[u8], limit: usize) -> Result<Map<String, Value>, NotAnObject> {
    let mut left = limit;
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: DEPTH, left: &mut left }.deserialize(&mut json)?;
    json.end()?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(NotAnObject(serde_json::Error::custom("not an object"))),
    }
}

/// Reads one value, counting.
struct Strict<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Strict<'_> {
    /// The reader of a value inside this one.
    fn inner<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Strict { depth, left: &mut *self.left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.inner()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        let (mut names, mut values) = (HashSet::new(), Map::new());
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(self.inner()?)?;
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a name stands there twice"));
            }
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(body: &str) -> bool {
        object(body.as_bytes(), 16).is_ok()
    }

    #[test]
    fn a_name_that_stands_there_twice_is_refused_however_it_is_spelt_and_however_deep() {
        assert!(takes(r#"{"a":1,"A":2,"b":{"a":3}}"#));
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"a":1,"a":2}}"#, r#"{"x":[{"a":1,"a":2}]}"#]
        {
            assert!(!takes(twice), "{twice}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(takes(&nested(DEPTH)));
        assert!(!takes(&nested(DEPTH + 1)));
        let wide = |members: usize| {
            format!("{{{}}}", (0..members).map(|at| format!("\"{at}\":null")).collect::<Vec<_>>().join(","))
        };
        assert!(takes(&wide(15)));
        assert!(!takes(&wide(16)));
        assert!(!takes(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))));
    }

    #[test]
    fn only_one_whole_object_is_an_object() {
        for bad in ["", "1", "[]", "null", "{", "{}{}", "{} x", "\u{feff}{}", "status=Paid", r#"{"a":NaN}"#] {
            assert!(!takes(bad), "{bad}");
        }
        assert!(object(b"{\"a\":\"\xff\"}", 16).is_err());
        assert!(takes(" {\n} \n"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]{}\",:a0-9.eu\\\\ -]{0,120}") {
            let _ = object(&body, 32);
            let _ = object(text.as_bytes(), 32);
        }
    }
}
