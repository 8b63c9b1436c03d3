//! From text to [`Config`]: the file, the `-s` overrides, and errors that name file, line, key and accepted values.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Config;

/// What is wrong with the file or an override. One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The file, or the override as it was given.
    pub source: String,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// TOML path of the setting, where it is known.
    pub key: Option<String>,
    /// What is wrong, and what is accepted.
    pub message: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for LoadError {}

/// `-s KEY=VALUE` or `-s KEY+=VALUE`: a TOML path and a TOML value or bare string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    path: Vec<String>,
    append: bool,
    value: String,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no setting; accepted: KEY=VALUE or KEY+=VALUE");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (key, append) = match key.strip_suffix('+') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let path: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            Err(wrong())
        } else {
            Ok(Override { path, append, value: value.into() })
        }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", self.path.join("."), if self.append { "+" } else { "" }, self.value)
    }
}

/// The configuration of a file's text (`name` is for its errors) and the overrides in their order.
///
/// ```
/// use c4_ref::config::load::load;
/// let config = load("c4.toml", "[lb]\nlisten = [\"udp:127.0.0.1:5060\"]", &["lb.workers=2".parse().unwrap()]).unwrap();
/// assert_eq!(config.lb.workers, 2);
/// ```
///
/// # Errors
/// The first thing that is wrong.
pub fn load(name: &str, text: &str, overrides: &[Override]) -> Result<Config, LoadError> {
    let mut config: Config = toml::from_str(text).map_err(|error| in_file(name, text, &error))?;
    let mut table: Table = toml::from_str(text).map_err(|error| in_file(name, text, &error))?;
    for change in overrides {
        (config, table) = apply(change, &table)?;
    }
    Ok(config)
}

/// The whole configuration as TOML, hashed passwords hidden.
pub fn print(config: &Config) -> String {
    let mut config = config.clone();
    for user in &mut config.proxy.user {
        for secret in [&mut user.ha1_md5, &mut user.ha1_sha256] {
            if !secret.is_empty() {
                *secret = "(hidden)".into();
            }
        }
    }
    toml::to_string_pretty(&config).unwrap_or_else(|error| format!("# {error}\n"))
}

/// A value is TOML if it can be read so and fits the setting, else a bare string.
fn apply(change: &Override, table: &Table) -> Result<(Config, Table), LoadError> {
    let attempt = |value: Value| -> Result<(Config, Table), LoadError> {
        let mut table = table.clone();
        put(&mut table, &change.path, change.append, value).map_err(|message| in_override(change, &message))?;
        match Config::deserialize(table.clone()) {
            Ok(config) => Ok((config, table)),
            Err(error) => Err(in_override(change, error.message())),
        }
    };
    let bare = || attempt(Value::String(change.value.clone()));
    match toml::from_str::<Table>(&format!("value = {}", change.value)).ok().and_then(|mut t| t.remove("value")) {
        Some(value) => attempt(value).or_else(|error| bare().map_err(|_| error)),
        None => bare(),
    }
}

fn put(table: &mut Table, path: &[String], append: bool, value: Value) -> Result<(), String> {
    let Some((key, rest)) = path.split_first() else { return Ok(()) };
    if !rest.is_empty() {
        return match table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => put(inner, rest, append, value),
            _ => Err(format!("`{key}` is no table")),
        };
    }
    if !append {
        table.insert(key.clone(), value);
        return Ok(());
    }
    // What the file or an earlier override says is extended; a default list is replaced.
    match table.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) => match value {
            Value::Array(more) => list.extend(more),
            one => list.push(one),
        },
        _ => return Err("is no list; accepted: KEY=VALUE".into()),
    }
    Ok(())
}

fn in_override(change: &Override, message: &str) -> LoadError {
    let message = plain(message);
    LoadError { source: format!("-s {change}"), line: None, key: Some(change.path.join(".")), message }
}

fn in_file(name: &str, text: &str, error: &toml::de::Error) -> LoadError {
    let start = error.span().map(|span| span.start);
    let line = start.map(|start| line_at(text, start));
    let key = start.and_then(|start| key_at(text, start));
    LoadError { source: name.into(), line, key, message: plain(error.message()) }
}

/// The line of the text, from 1, where this key stands; of a key in a list of tables, that of the list's first one.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let (table, _) = DeTable::parse_recoverable(text);
    let start = find(table.get_ref(), key)?;
    Some(line_at(text, start))
}

fn find(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == first)?;
    match value.get_ref() {
        _ if rest.is_empty() => Some(name.span().start),
        DeValue::Table(inner) => find(inner, rest),
        _ => None,
    }
}

fn line_at(text: &str, start: usize) -> usize {
    text.bytes().take(start).filter(|&b| b == b'\n').count() + 1
}

/// The path of the innermost key at this place of the text.
fn key_at(text: &str, at: usize) -> Option<String> {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut best = None;
    search(table.get_ref(), "", at, &mut best);
    best.map(|(_, path)| path)
}

fn search(table: &DeTable<'_>, prefix: &str, at: usize, best: &mut Option<(usize, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        if key.span().contains(&at) || value.span().contains(&at) {
            let depth = path.matches('.').count() + 1;
            if best.as_ref().is_none_or(|(have, _)| *have < depth) {
                *best = Some((depth, path.clone()));
            }
        }
        search_value(value, &path, at, best);
    }
}

fn search_value(value: &Spanned<DeValue<'_>>, path: &str, at: usize, best: &mut Option<(usize, String)>) {
    match value.get_ref() {
        DeValue::Table(inner) => search(inner, path, at, best),
        DeValue::Array(list) => list.iter().for_each(|item| search_value(item, path, at, best)),
        _ => {}
    }
}

/// The words of an operator for those of the deserializer, on one line.
fn plain(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let mut text = message.replace("unknown field", "unknown key").replace("unknown variant", "unknown value");
    text = text.replace(", expected one of ", "; accepted: ").replace(", expected ", "; accepted: ");
    for (type_name, words) in [
        ("accepted: u64", "accepted: a whole number from 0"),
        ("accepted: u32", "accepted: a whole number from 0 to 4294967295"),
        ("accepted: usize", "accepted: a whole number from 0"),
        ("accepted: a boolean", "accepted: true or false"),
        ("accepted: a sequence", "accepted: a list"),
        ("accepted: struct", "accepted: a table"),
    ] {
        if let Some(start) = text.find(type_name) {
            text.truncate(start);
            text.push_str(words);
        }
    }
    text
}
