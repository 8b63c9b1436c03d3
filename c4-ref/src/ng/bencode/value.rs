//! Items to write.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

/// A dictionary to write: its keys come out sorted.
pub type Dictionary = BTreeMap<Cow<'static, str>, Value>;

/// An item to write.
///
/// ```
/// use c4_ref::ng::bencode::Value;
/// let stats = Value::dict([("packets", 30u64.into()), ("bytes", 5160u64.into())]);
/// assert_eq!(stats.to_vec(), b"d5:bytesi5160e7:packetsi30ee");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// A string.
    Octets(Bytes),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Dict(Dictionary),
}

impl Value {
    /// A dictionary of these.
    pub fn dict<const N: usize>(pairs: [(&'static str, Value); N]) -> Value {
        Value::Dict(dictionary(pairs))
    }

    /// A list of texts.
    pub fn texts<T: Into<Value>>(texts: impl IntoIterator<Item = T>) -> Value {
        Value::List(texts.into_iter().map(Into::into).collect())
    }

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Integer(number) => {
                out.push(b'i');
                out.extend_from_slice(number.to_string().as_bytes());
                out.push(b'e');
            }
            Value::Octets(octets) => write_octets(octets, out),
            Value::List(list) => {
                out.push(b'l');
                list.iter().for_each(|value| value.write(out));
                out.push(b'e');
            }
            Value::Dict(dict) => write_dict(dict, out),
        }
    }

    /// Its octets.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// A [`Dictionary`] of these.
pub(in crate::ng) fn dictionary<const N: usize>(pairs: [(&'static str, Value); N]) -> Dictionary {
    pairs.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect()
}

/// Writes a dictionary.
pub(in crate::ng) fn write_dict(dict: &Dictionary, out: &mut Vec<u8>) {
    out.push(b'd');
    dict.iter().for_each(|(key, value)| write_pair(key, value, out));
    out.push(b'e');
}

/// Writes a key and its value.
pub(in crate::ng) fn write_pair(key: &str, value: &Value, out: &mut Vec<u8>) {
    write_octets(key.as_bytes(), out);
    value.write(out);
}

fn write_octets(octets: &[u8], out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let (mut left, mut at) = (octets.len(), digits.len());
    for place in digits.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
        at -= 1;
        if left == 0 {
            break;
        }
    }
    out.reserve(octets.len() + 21);
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
    out.push(b':');
    out.extend_from_slice(octets);
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Integer(number.into())
    }
}

impl From<u64> for Value {
    /// A number that is too large becomes the largest.
    fn from(number: u64) -> Value {
        Value::Integer(number.try_into().unwrap_or(i64::MAX))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Octets(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Octets(text.into())
    }
}

impl From<Bytes> for Value {
    fn from(octets: Bytes) -> Value {
        Value::Octets(octets)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Value {
        Value::List(list)
    }
}

impl From<Dictionary> for Value {
    fn from(dict: Dictionary) -> Value {
        Value::Dict(dict)
    }
}
