//! An answer as lines for people and scripts.

use serde_json::Value;

/// `name value` a line for an object, one item a line for a list, wherever it stands; inner objects are `name=value` in
/// a list's line and dotted names in an object. `only`: the line of that name, or none.
pub fn lines(answer: &Value, only: Option<&str>) -> String {
    let mut out = String::new();
    match answer {
        Value::Array(items) => items.iter().for_each(|item| out += &format!("{}\n", item_line(item))),
        Value::Object(_) => object(answer, "", only, &mut out),
        other => out = format!("{}\n", plain(other)),
    }
    out
}

fn object(value: &Value, prefix: &str, only: Option<&str>, out: &mut String) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_object() {
            object(value, &name, only, out);
        } else if let (Some(items), None) = (value.as_array(), only) {
            items.iter().for_each(|item| *out += &format!("{}\n", item_line(item)));
        } else if only.is_none_or(|only| only == name) {
            *out += &format!("{name} {}\n", plain(value));
        }
    }
}

fn item_line(item: &Value) -> String {
    match item.as_object() {
        Some(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        None => plain(item),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_names_and_values_lists_are_lines() {
        let stats = json!({ "contacts": 3, "tm": { "current": 1 } });
        assert_eq!(lines(&stats, None), "contacts 3\ntm.current 1\n");
        assert_eq!(lines(&stats, Some("tm.current")), "tm.current 1\n");
        assert_eq!(lines(&stats, Some("none")), "");
        let list = json!([{ "address": "udp:127.0.0.1:5080", "up": true }, { "address": "x", "up": false }]);
        assert_eq!(lines(&json!({ "backends": list, "total": 2 }), None), lines(&list, None) + "total 2\n");
        assert_eq!(lines(&list, None), "address=udp:127.0.0.1:5080 up=true\naddress=x up=false\n");
    }
}
