//! The routing table towards trunks: longest prefix, digits off and on, priority, one failover.

use std::net::IpAddr;
use std::sync::Arc;

use crate::identity::Domain;
use crate::net::Network;

/// A trunk: a neighbour network that sends us calls and takes calls from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer<T> {
    /// The name in logs and call records.
    pub name: Arc<str>,
    /// Networks whose requests are trusted as this peer's.
    pub sources: Vec<Network>,
    /// Domains whose holders, by a certificate, are trusted as this peer too (RFC 5922).
    pub tls_names: Vec<Domain>,
    /// Where calls to this peer go; none for a peer that only calls us.
    pub target: Option<T>,
    /// The host that a Request-URI may name to mean this peer, without port.
    pub host: Option<Box<str>>,
    /// Dialled numbers that go to this peer start with one of these; an empty prefix is the default route,
    /// an empty list takes no calls by number.
    pub prefixes: Vec<String>,
    /// Leading characters taken off the dialled number.
    pub strip: usize,
    /// Put before what is left.
    pub prepend: String,
    /// Among equally long prefixes the lower number is tried first.
    pub priority: u32,
}

/// One way out: the peer, and the number in its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Index in the table, for [`PeerTable::get`].
    pub peer: usize,
    /// The number to send, after strip and prepend.
    pub number: String,
}

/// The trunks of a configuration, with what they match.
///
/// ```
/// use c4_ref::route::{Peer, PeerTable};
/// let peer = |name: &str, prefix: &str| Peer {
///     name: name.into(), sources: vec![], tls_names: vec![], target: Some("192.0.2.1:5060"), host: None,
///     prefixes: vec![prefix.into()], strip: 2, prepend: "+".into(), priority: 0,
/// };
/// let table = PeerTable::new(vec![peer("world", "00"), peer("germany", "0049")]);
/// let ways = table.by_number("004930123", None);
/// assert_eq!(table.get(ways[0].peer).unwrap().name.as_ref(), "germany");
/// assert_eq!(ways[0].number, "+4930123");
/// ```
#[derive(Debug, Clone)]
pub struct PeerTable<T> {
    peers: Vec<Peer<T>>,
    /// Every prefix of every peer that has a target, best first: by prefix for the search, then priority.
    prefixes: Vec<(Box<str>, u32, usize)>,
}

impl<T> Default for PeerTable<T> {
    fn default() -> Self {
        PeerTable { peers: Vec::new(), prefixes: Vec::new() }
    }
}

/// A call is offered to one peer and, if that fails, to one more.
pub const MAX_HOPS: usize = 2;

impl<T> PeerTable<T> {
    /// The table of these peers, in the order of the configuration.
    pub fn new(peers: Vec<Peer<T>>) -> PeerTable<T> {
        let mut prefixes: Vec<(Box<str>, u32, usize)> = peers
            .iter()
            .enumerate()
            .filter(|(_, peer)| peer.target.is_some())
            .flat_map(|(index, peer)| peer.prefixes.iter().map(move |p| (p.as_str().into(), peer.priority, index)))
            .collect();
        prefixes.sort();
        PeerTable { peers, prefixes }
    }

    /// The peer at an index that this table gave out.
    pub fn get(&self, index: usize) -> Option<&Peer<T>> {
        self.peers.get(index)
    }

    /// The first target of a peer that `fits`.
    pub fn target(&self, mut fits: impl FnMut(&T) -> bool) -> Option<&T> {
        self.peers.iter().filter_map(|peer| peer.target.as_ref()).find(|target| fits(target))
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no peer at all.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The peer that a request from `address`, over a connection that proves these `identities`, is trusted as: the first
    /// in the configuration whose networks hold the one or whose TLS names hold one of the others.
    pub fn by_source(&self, address: IpAddr, identities: &[Box<str>]) -> Option<usize> {
        self.peers.iter().position(|peer| {
            peer.sources.iter().any(|net| net.contains(address))
                || peer.tls_names.iter().any(|name| name.is_among(identities))
        })
    }

    /// The ways for a dialled number, best first, at most [`MAX_HOPS`]: the longest prefix, then the lower priority number,
    /// then the order of the configuration. A call never goes back to the peer that it came `from`.
    pub fn by_number(&self, number: &str, from: Option<usize>) -> Vec<Hop> {
        let mut ways: Vec<Hop> = Vec::new();
        for end in (0..=number.len()).rev() {
            let Some(prefix) = number.get(..end) else { continue };
            let start = self.prefixes.partition_point(|(p, ..)| p.as_ref() < prefix);
            let same = self.prefixes.get(start..).unwrap_or_default();
            for (_, _, index) in same.iter().take_while(|(p, ..)| p.as_ref() == prefix) {
                if Some(*index) == from || ways.iter().any(|way| way.peer == *index) {
                    continue;
                }
                let Some(peer) = self.peers.get(*index) else { continue };
                ways.push(Hop { peer: *index, number: peer.translate(number) });
                if ways.len() == MAX_HOPS {
                    return ways;
                }
            }
        }
        ways
    }

    /// The ways for a number in a foreign domain: the peer that is this `host`, else peers by a prefix that is not empty.
    /// The default route is for numbers of our own domains only.
    pub fn by_domain(&self, host: &str, number: &str, from: Option<usize>) -> Vec<Hop> {
        let named = self.peers.iter().position(|peer| {
            peer.target.is_some() && peer.host.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(host))
        });
        match named {
            Some(index) if Some(index) != from => vec![Hop { peer: index, number: number.to_owned() }],
            Some(_) => Vec::new(),
            None => {
                let by_a_prefix = |way: &Hop| {
                    let peer = self.peers.get(way.peer);
                    peer.is_some_and(|p| p.prefixes.iter().any(|x| !x.is_empty() && number.starts_with(x.as_str())))
                };
                self.by_number(number, from).into_iter().filter(by_a_prefix).collect()
            }
        }
    }
}

impl<T> Peer<T> {
    /// The number in this peer's form: `strip` leading characters off, then `prepend` before it.
    pub fn translate(&self, number: &str) -> String {
        let rest: &str = match number.char_indices().nth(self.strip) {
            Some((at, _)) => number.get(at..).unwrap_or_default(),
            None => "",
        };
        if self.strip == 0 && self.prepend.is_empty() {
            return number.to_owned();
        }
        format!("{}{rest}", self.prepend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, prefixes: &[&str], priority: u32) -> Peer<u16> {
        Peer {
            name: name.into(),
            sources: Vec::new(),
            tls_names: Vec::new(),
            target: Some(5060),
            host: None,
            prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
            strip: 0,
            prepend: String::new(),
            priority,
        }
    }

    fn names(table: &PeerTable<u16>, ways: &[Hop]) -> Vec<String> {
        ways.iter().map(|way| table.get(way.peer).unwrap().name.to_string()).collect()
    }

    #[test]
    fn the_longest_prefix_wins_and_the_next_shorter_is_the_failover() {
        let table = PeerTable::new(vec![peer("all", &[""], 0), peer("de", &["49"], 0), peer("berlin", &["4930"], 9)]);
        assert_eq!(names(&table, &table.by_number("4930123", None)), ["berlin", "de"]);
        assert_eq!(names(&table, &table.by_number("49891", None)), ["de", "all"]);
        assert_eq!(names(&table, &table.by_number("331", None)), ["all"]);
    }

    #[test]
    fn priority_orders_equal_prefixes_and_there_is_one_failover() {
        let table = PeerTable::new(vec![peer("c", &["49"], 30), peer("a", &["49"], 10), peer("b", &["49"], 20)]);
        assert_eq!(names(&table, &table.by_number("4930", None)), ["a", "b"]);
    }

    #[test]
    fn a_call_never_returns_to_the_peer_it_came_from() {
        let table = PeerTable::new(vec![peer("a", &["49"], 10), peer("b", &["49"], 20)]);
        assert_eq!(names(&table, &table.by_number("4930", Some(0))), ["b"]);
        assert_eq!(names(&table, &table.by_number("4930", Some(1))), ["a"]);
    }

    #[test]
    fn strip_and_prepend_make_the_peers_number() {
        let mut p = peer("x", &["0"], 0);
        (p.strip, p.prepend) = (1, "+49".into());
        assert_eq!(p.translate("030123"), "+4930123");
        (p.strip, p.prepend) = (99, "1".into());
        assert_eq!(p.translate("030"), "1");
        (p.strip, p.prepend) = (1, String::new());
        assert_eq!(p.translate("äb"), "b", "characters, not octets");
    }

    #[test]
    fn a_peer_without_prefixes_or_target_takes_no_calls() {
        let mut inbound = peer("in", &["49"], 0);
        inbound.target = None;
        let table = PeerTable::new(vec![inbound, peer("none", &[], 0)]);
        assert!(table.by_number("4930", None).is_empty());
    }

    #[test]
    fn the_source_network_names_the_peer() {
        let mut p = peer("carrier", &[], 0);
        p.sources = vec!["192.0.2.0/24".parse().unwrap()];
        let table = PeerTable::new(vec![peer("other", &[], 0), p]);
        assert_eq!(table.by_source("192.0.2.9".parse().unwrap(), &[]), Some(1));
        assert_eq!(table.by_source("198.51.100.9".parse().unwrap(), &[]), None);
    }

    #[test]
    fn rfc5922_7_the_domain_of_a_certificate_names_the_peer() {
        let mut p = peer("carrier", &[], 0);
        p.tls_names = vec!["sip.carrier.example".parse().unwrap()];
        let table = PeerTable::new(vec![peer("other", &[], 0), p]);
        let by = |names: &[&str]| {
            let names: Vec<Box<str>> = names.iter().map(|&name| name.into()).collect();
            table.by_source("192.0.2.9".parse().unwrap(), &names)
        };
        assert_eq!(by(&["x.example", "SIP.carrier.example"]), Some(1));
        for stranger in [&["carrier.example"][..], &["a.sip.carrier.example"], &["*.carrier.example"], &[""], &[]] {
            assert_eq!(by(stranger), None, "{stranger:?}");
        }
    }

    #[test]
    fn a_foreign_domain_needs_a_peer_of_that_name_or_a_real_prefix() {
        let mut named = peer("named", &["49"], 0);
        named.host = Some("sip.carrier.example".into());
        let table = PeerTable::new(vec![named, peer("default", &[""], 0)]);
        assert_eq!(names(&table, &table.by_domain("SIP.carrier.example", "bob", None)), ["named"]);
        assert_eq!(names(&table, &table.by_domain("elsewhere.example", "4930", None)), ["named"]);
        assert!(table.by_domain("elsewhere.example", "331", None).is_empty(), "the default route is no open relay");
        assert!(table.by_domain("sip.carrier.example", "bob", Some(0)).is_empty(), "nor back to where it came from");
    }
}
