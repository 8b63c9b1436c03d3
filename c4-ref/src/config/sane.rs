//! Values that have the right type and make no sense: times beyond all use, host names that are none, line breaks.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::Invalid;
use crate::identity::Domain;
use crate::net::Network;

/// The longest time that a setting may say, seconds: a year. What is added to a clock must stay within its range.
const YEAR_S: u64 = 366 * 24 * 3600;

/// A time in seconds, from `least`.
pub(super) fn seconds(key: &str, value: u64, least: u64) -> Result<(), Invalid> {
    within(key, value, least..=YEAR_S)
}

/// A time in milliseconds, from `least`.
pub(super) fn milliseconds(key: &str, value: u64, least: u64) -> Result<(), Invalid> {
    within(key, value, least..=YEAR_S * 1000)
}

fn within(key: &str, value: u64, accepted: RangeInclusive<u64>) -> Result<(), Invalid> {
    if accepted.contains(&value) {
        return Ok(());
    }
    let why = format!("is {value}; accepted: {} to {}", accepted.start(), accepted.end());
    Err(Invalid { key: key.into(), why })
}

/// Text that goes into messages or records: no line breaks and no other control characters.
pub(super) fn one_line(key: &str, text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        let why = format!("is {text:?}; accepted: text without control characters");
        return Err(Invalid { key: key.into(), why });
    }
    Ok(())
}

/// Host names or addresses.
pub(super) fn hosts(key: &str, list: &[String]) -> Result<(), Invalid> {
    match list.iter().find(|text| !is_host(text)) {
        None => Ok(()),
        Some(text) => {
            let why = format!("{text:?} is no host; accepted: \"example.com\", \"192.0.2.1\", \"[2001:db8::1]\"");
            Err(Invalid { key: key.into(), why })
        }
    }
}

/// Host names or addresses, with or without a port.
pub(super) fn hosts_and_ports(key: &str, list: &[String]) -> Result<(), Invalid> {
    let without_port = |text: &String| {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "1"));
        text.parse::<SocketAddr>().is_ok() || is_host(text) || (is_host(host) && port.parse::<u16>().is_ok())
    };
    match list.iter().find(|text| !without_port(text)) {
        None => Ok(()),
        Some(text) => {
            let why = format!("{text:?} is no host; accepted: \"HOST\" or \"HOST:PORT\"");
            Err(Invalid { key: key.into(), why })
        }
    }
}

fn is_host(text: &str) -> bool {
    text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.parse::<Domain>().is_ok()
}

/// Whether one of the networks is the whole Internet.
pub(super) fn holds_everybody(networks: &[Network]) -> bool {
    networks.iter().any(|network| network.bits() == 0)
}
