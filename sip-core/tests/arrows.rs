//! The arrows inside the crate: message <- transaction <- ua, proxy, registrar <- b2bua, with header and uri beneath
//! message. Read from the `crate::` paths of the sources, so that an arrow drawn the wrong way fails the build.
#![allow(clippy::unwrap_used, reason = "a test that reads the sources of this crate")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Two rooms that stand side by side: a URI is made of the tokens that headers are made of, and headers hold URIs.
const BESIDE: (&str, &str) = ("uri", "header");

/// Each room with the rooms that it may use. What is not listed is forbidden; so is a room that is not listed.
const ARROWS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("method", &[]),
    ("status", &[]),
    ("flow", &[]),
    ("uri", &["flow", "header"]),
    ("header", &["flow", "limits", "method", "status", "uri"]),
    ("message", &["flow", "limits", "method", "status", "uri", "header"]),
    ("sanity", &["flow", "limits", "method", "status", "uri", "header", "message"]),
    ("auth", &["method", "status", "uri", "header", "message"]),
    ("resolve", &["flow", "uri", "header"]),
    ("transaction", &["flow", "limits", "method", "status", "uri", "header", "message"]),
    ("ua", &["flow", "limits", "method", "status", "uri", "header", "message", "auth", "resolve", "transaction"]),
    ("proxy", &["flow", "limits", "method", "status", "uri", "header", "message", "resolve", "transaction"]),
    ("registrar", &["flow", "limits", "method", "status", "uri", "header", "message", "transaction"]),
    (
        "b2bua",
        &[
            "flow",
            "limits",
            "method",
            "status",
            "uri",
            "header",
            "message",
            "auth",
            "resolve",
            "transaction",
            "ua",
            "proxy",
            "registrar",
        ],
    ),
];

#[test]
fn arrows_between_the_rooms_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).unwrap();
    let names = reexports(&lib);
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let Some(may) = allowed.get(room.as_str()) else {
            wrong.push(format!("{room}: a room without a line in ARROWS"));
            continue;
        };
        let code = code(&fs::read_to_string(&file).unwrap());
        for used in uses(&code) {
            let to = names.get(used.as_str()).cloned().unwrap_or(used);
            if to != room && !may.contains(&to.as_str()) {
                wrong.push(format!("{}: {room} -> {to}", inside.display()));
            }
        }
        let depth = inside.components().count();
        if code.contains(&"super::".repeat(depth + 1)) {
            wrong.push(format!("{}: climbs out of its room by super", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "arrows against the plan:\n{}", wrong.join("\n"));
}

#[test]
fn every_line_of_the_plan_points_to_rooms_above_it() {
    let mut seen = BTreeSet::new();
    for (room, may) in ARROWS {
        for to in *may {
            assert!(
                seen.contains(to) || (*room, *to) == BESIDE,
                "{room} -> {to}: not listed before it, so that a circle is possible"
            );
        }
        seen.insert(room);
    }
}

#[test]
fn the_reader_finds_every_way_to_write_an_arrow() {
    let text = "use crate::message::{Request, Response};\n// crate::ua in a comment\nuse crate::{uri::Uri, Method, header::{\n    Via, Header}};\nfn f() -> crate::flow::Flow {}\nlet s = \"x\"; // crate::proxy\n#[cfg(test)]\nmod tests { use crate::b2bua; }";
    let found: Vec<String> = uses(&code(text)).into_iter().collect();
    assert_eq!(found, ["Method", "flow", "header", "message", "uri"]);
    let names = reexports("pub use flow::{Flow, Target};\npub use method::Method;\n");
    assert_eq!(names.get("Target").map(String::as_str), Some("flow"));
    assert_eq!(names.get("Method").map(String::as_str), Some("method"));
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "tests" {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The source without comments and without its tests, which may reach anywhere.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first names after `crate::`, also inside braces.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_level(list)),
            None => found.extend(Some(ident(rest)).filter(|name| !name.is_empty())),
        }
    }
    found
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The names at the top level of a `use` list.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut found) = (0, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    found.push(item);
    found.iter().map(|item| ident(item.trim())).filter(|name| !name.is_empty()).collect()
}

/// Names that lib.rs lifts to the root, with the rooms they come from.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in code(lib).split(';') {
        let Some(path) = statement.trim().strip_prefix("pub use ") else { continue };
        let path = path.trim_start_matches("crate::");
        let Some((room, rest)) = path.split_once("::") else { continue };
        let last = rest.rsplit("::").next().unwrap_or(rest);
        let list = rest.split_once('{').map_or(last, |(_, list)| list.trim_end_matches('}'));
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.insert(name.to_owned(), room.to_owned());
        }
    }
    names
}
