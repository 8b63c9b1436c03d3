//! Items in place: borrowed from octets that were checked as a whole.

use super::Value;

/// An item of a message that [`super::parse`] has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer.
    Integer(i64),
    /// A string; NG's are text, SDP or, rarely, octets.
    Octets(&'a [u8]),
    /// A list.
    List(List<'a>),
    /// A dictionary.
    Dict(Dict<'a>),
}

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    body: &'a [u8],
}

/// A dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dict<'a> {
    body: &'a [u8],
}

impl<'a> Item<'a> {
    /// Takes an item from the front. The octets were checked before; with others it gives `None` or nonsense, no more.
    pub(super) fn take(rest: &mut &'a [u8]) -> Option<Item<'a>> {
        let whole = *rest;
        let kind = *whole.first()?;
        let end = extent(whole)?;
        *rest = whole.get(end..)?;
        if let b'l' | b'd' = kind {
            let body = whole.get(1..end.checked_sub(1)?)?;
            return Some(if kind == b'l' { Item::List(List { body }) } else { Item::Dict(Dict { body }) });
        }
        if kind == b'i' {
            let digits = whole.get(1..end.checked_sub(1)?)?;
            return std::str::from_utf8(digits).ok()?.parse().ok().map(Item::Integer);
        }
        let (length, colon) = length(whole)?;
        whole.get(end.checked_sub(length)?..end).filter(|_| colon < end).map(Item::Octets)
    }

    /// The octets of a string.
    pub fn octets(self) -> Option<&'a [u8]> {
        if let Item::Octets(octets) = self { Some(octets) } else { None }
    }

    /// A string that is UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.octets()?).ok()
    }

    /// An integer, or a string of decimal digits as some clients write one.
    pub fn integer(self) -> Option<i64> {
        if let Item::Integer(number) = self { Some(number) } else { self.text()?.trim().parse().ok() }
    }

    /// A list.
    pub fn list(self) -> Option<List<'a>> {
        if let Item::List(list) = self { Some(list) } else { None }
    }

    /// A dictionary.
    pub fn dict(self) -> Option<Dict<'a>> {
        if let Item::Dict(dict) = self { Some(dict) } else { None }
    }

    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            Item::Integer(number) => Value::Integer(number),
            Item::Octets(octets) => Value::Octets(octets.to_vec().into()),
            Item::List(list) => Value::List(list.iter().map(Item::to_value).collect()),
            Item::Dict(dict) => Value::Dict(dict.to_dictionary()),
        }
    }
}

impl<'a> List<'a> {
    /// Its items in order.
    pub fn iter(self) -> Items<'a> {
        Items { rest: self.body }
    }
}

impl<'a> Dict<'a> {
    /// Its keys and values in order of arrival.
    pub fn iter(self) -> Pairs<'a> {
        Pairs { rest: self.body }
    }

    /// The value of a key, which must be written so: to the octet.
    pub fn get(self, key: &[u8]) -> Option<Item<'a>> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// An owned copy. Keys that are no UTF-8 get the replacement character; of a key that comes twice the first counts.
    pub fn to_dictionary(self) -> super::Dictionary {
        let mut owned = super::Dictionary::new();
        for (key, value) in self.iter() {
            let key = String::from_utf8_lossy(key).into_owned();
            owned.entry(key.into()).or_insert_with(|| value.to_value());
        }
        owned
    }
}

/// See [`List::iter`].
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        Item::take(&mut self.rest)
    }
}

/// See [`Dict::iter`].
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = Item::take(&mut self.rest)?.octets()?;
        Some((key, Item::take(&mut self.rest)?))
    }
}

/// The number before a colon, and the place of the colon.
fn length(octets: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0usize;
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            b'0'..=b'9' => number = number.checked_mul(10)?.checked_add(usize::from(octet - b'0'))?,
            b':' => return Some((number, at)),
            _ => return None,
        }
    }
    None
}

/// The length of the item at the front, without looking into strings.
fn extent(octets: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0usize, 0usize);
    loop {
        let rest = octets.get(at..)?;
        match *rest.first()? {
            b'i' => at += rest.iter().position(|octet| *octet == b'e')? + 1,
            b'l' | b'd' => {
                depth += 1;
                at += 1;
            }
            b'e' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ => {
                let (length, colon) = length(rest)?;
                at = at.checked_add(colon + 1)?.checked_add(length)?;
            }
        }
        if depth == 0 {
            return (at <= octets.len()).then_some(at);
        }
    }
}
