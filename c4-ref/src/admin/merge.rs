//! One answer out of those of several machines.

use serde_json::Value;

/// Joins `more` into `answer`: numbers are added, lists joined, objects merged key by key; anything else stays as the
/// first machine said it.
pub fn merge(answer: &mut Value, more: Value) {
    match (answer, more) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(have) => merge(have, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (into @ Value::Number(_), Value::Number(from)) => {
            if let Some(sum) = into.as_u64().zip(from.as_u64()).map(|(a, b)| a.saturating_add(b)) {
                *into = sum.into();
            } else if let Some((a, b)) = into.as_f64().zip(from.as_f64()) {
                *into = (a + b).into();
            }
        }
        (into @ Value::Null, from) => *into = from,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_add_lists_join_objects_merge() {
        let mut answer = json!({ "contacts": 3, "list": [1], "deep": { "rx": 1 }, "name": "a" });
        merge(&mut answer, json!({ "contacts": 4, "list": [2], "deep": { "rx": 2, "tx": 5 }, "name": "b" }));
        assert_eq!(answer, json!({ "contacts": 7, "list": [1, 2], "deep": { "rx": 3, "tx": 5 }, "name": "a" }));
    }
}
