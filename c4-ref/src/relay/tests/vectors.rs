//! The relay writes what rtpengine writes, but where the reason stands in `DIFFERENT`.

use bytes::Bytes;
use serde_json::Value as Json;

use super::*;
use crate::ng::bencode::{Dictionary, Value};

const VECTORS: &str = include_str!("../../../tests/data/ng/offer-answer.txt");

/// Cases in which ours is another answer on purpose.
const DIFFERENT: &[(&str, &str)] = &[
    ("tcp", "a stream cannot be relayed: port 0 instead of the party's own address"),
    ("from-interface", "rtpengine 10.5 does not know this key yet"),
    ("media c", "an address of the session that no line uses is replaced as well"),
];

fn value(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::from(text.clone()),
        Json::Array(list) => Value::List(list.iter().map(value).collect()),
        Json::Object(map) => Value::Dict(map.iter().map(|(k, v)| (k.clone().into(), value(v))).collect()),
        other => Value::from(other.as_i64().unwrap()),
    }
}

fn request(command: &str, keys: &str, call_id: usize, sdp: &str) -> Request {
    let Value::Dict(mut dict) = value(&serde_json::from_str(keys).unwrap()) else { panic!("{keys}") };
    let mut put = |key: &'static str, text: String| drop(dict.insert(key.into(), text.into()));
    put("command", command.into());
    put("call-id", format!("v{call_id}"));
    put("from-tag", "a".into());
    if command == "answer" {
        put("to-tag", "b".into());
    }
    put("sdp", sdp.replace('\n', "\r\n"));
    let dict: Dictionary = dict;
    Request::parse(&Bytes::from(Value::Dict(dict).to_vec())).unwrap()
}

/// Attributes sorted, ports named by what they are.
fn normal(text: &str) -> Vec<String> {
    let mut sections: Vec<Vec<String>> = vec![Vec::new()];
    let mut port = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("m=") {
            let mut words = rest.split(' ').map(str::to_owned).collect::<Vec<_>>();
            port = words[1].parse().unwrap();
            if port >= 20_000 {
                words[1] = "PORT".into();
            }
            sections.push(vec![format!("m={}", words.join(" "))]);
            continue;
        }
        let line = match line.strip_prefix("a=rtcp:") {
            Some(rest) => {
                let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                format!("a=rtcp:PORT+{} {rest}", number.parse::<i32>().unwrap() - port)
            }
            None if line.starts_with("a=rtpengine:") => "a=rtpengine:".into(),
            None => line.into(),
        };
        sections.last_mut().unwrap().push(line);
    }
    for section in &mut sections {
        let (mut attributes, others): (Vec<_>, Vec<_>) = section.drain(..).partition(|line| line.starts_with("a="));
        attributes.sort();
        section.extend(others.into_iter().chain(attributes));
    }
    sections.concat()
}

#[test]
fn descriptions_are_rewritten_as_rtpengine_does() {
    let mut wrong = Vec::new();
    for (number, case) in VECTORS.split("\n# ").skip(1).enumerate() {
        let (name, rest) = case.split_once('\n').unwrap();
        if DIFFERENT.iter().any(|(different, _)| *different == name) {
            continue;
        }
        let mut house = House::new(settings());
        let parts: Vec<&str> = rest.split("== ").skip(1).collect();
        for pair in parts.chunks(2) {
            let (head, sdp) = pair[0].split_once('\n').unwrap();
            let (command, keys) = head.split_once(' ').unwrap();
            let expected = pair[1].split_once('\n').unwrap().1;
            let got = match house.ask(request(command, keys, number, sdp)) {
                Reply::Ok(dict) => match dict.get("sdp") {
                    Some(Value::Octets(sdp)) => String::from_utf8(sdp.to_vec()).unwrap(),
                    other => panic!("{other:?}"),
                },
                Reply::Error(why) => format!("error: {why}"),
                other => panic!("{other:?}"),
            };
            let (got, expected) = (normal(&got), normal(expected));
            if got != expected {
                let lost: Vec<_> = expected.iter().filter(|line| !got.contains(line)).collect();
                let more: Vec<_> = got.iter().filter(|line| !expected.contains(line)).collect();
                wrong.push(format!("{name}: {command} {keys}\n  lost {lost:?}\n  more {more:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
