//! Header names: the known ones with their compact forms, and a perfect lookup.

/// A set of header lines: a known name, which its compact form and any case also match, or any other name.
///
/// Everything that takes a name takes a [`Header`] or a `&str`; a `&str` that spells a known name is the known name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// A name that this crate knows.
    Known(Header),
    /// Any other; compared without regard to case (RFC 3261 §7.3.1).
    Other(&'a str),
}

impl From<Header> for Name<'_> {
    fn from(header: Header) -> Self {
        Name::Known(header)
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(name: &'a str) -> Self {
        Header::lookup(name.as_bytes()).map_or(Name::Other(name), Name::Known)
    }
}

impl<'a> From<&'a String> for Name<'a> {
    fn from(name: &'a String) -> Self {
        Name::from(name.as_str())
    }
}

impl<'a> Name<'a> {
    /// The name as it is written by us.
    pub fn as_str(&self) -> &'a str {
        match self {
            Name::Known(header) => header.as_str(),
            Name::Other(name) => name,
        }
    }
}

macro_rules! headers {
    ($($variant:ident $name:literal $compact:literal $kind:ident;)*) => {
        /// A header name that this crate knows (IANA registry "SIP Parameters, Header Fields", and Remote-Party-ID).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Header {
            $(#[doc = $name] $variant,)*
        }

        impl Header {
            /// All known names.
            pub const ALL: &'static [Header] = &[$(Header::$variant),*];

            /// The name in its usual spelling.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Header::$variant => $name,)*
                }
            }

            /// The compact form (RFC 3261 §7.3.3), if there is one.
            pub const fn compact(self) -> Option<&'static str> {
                let form = match self {
                    $(Header::$variant => $compact,)*
                };
                if form.is_empty() { None } else { Some(form) }
            }

            /// Whether several values may stand in one line, separated by commas (RFC 3261 §7.3.1).
            pub const fn is_list(self) -> bool {
                match self {
                    $(Header::$variant => headers!(@$kind),)*
                }
            }
        }
    };
    (@list) => { true };
    (@single) => { false };
}

headers! {
    Accept "Accept" "" list;
    AcceptContact "Accept-Contact" "a" list;
    AcceptEncoding "Accept-Encoding" "" list;
    AcceptLanguage "Accept-Language" "" list;
    AlertInfo "Alert-Info" "" list;
    Allow "Allow" "" list;
    AllowEvents "Allow-Events" "u" list;
    AuthenticationInfo "Authentication-Info" "" single;
    Authorization "Authorization" "" single;
    CallId "Call-ID" "i" single;
    CallInfo "Call-Info" "" list;
    Contact "Contact" "m" list;
    ContentDisposition "Content-Disposition" "" single;
    ContentEncoding "Content-Encoding" "e" list;
    ContentLanguage "Content-Language" "" list;
    ContentLength "Content-Length" "l" single;
    ContentType "Content-Type" "c" single;
    CSeq "CSeq" "" single;
    Date "Date" "" single;
    Diversion "Diversion" "" list;
    ErrorInfo "Error-Info" "" list;
    Event "Event" "o" single;
    Expires "Expires" "" single;
    FlowTimer "Flow-Timer" "" single;
    From "From" "f" single;
    Geolocation "Geolocation" "" list;
    HistoryInfo "History-Info" "" list;
    Identity "Identity" "y" single;
    InReplyTo "In-Reply-To" "" list;
    Join "Join" "" single;
    MaxBreadth "Max-Breadth" "" single;
    MaxForwards "Max-Forwards" "" single;
    MimeVersion "MIME-Version" "" single;
    MinExpires "Min-Expires" "" single;
    MinSe "Min-SE" "" single;
    Organization "Organization" "" single;
    PAssertedIdentity "P-Asserted-Identity" "" list;
    PPreferredIdentity "P-Preferred-Identity" "" list;
    Path "Path" "" list;
    Priority "Priority" "" single;
    Privacy "Privacy" "" single;
    ProxyAuthenticate "Proxy-Authenticate" "" single;
    ProxyAuthorization "Proxy-Authorization" "" single;
    ProxyRequire "Proxy-Require" "" list;
    RAck "RAck" "" single;
    Reason "Reason" "" list;
    RecordRoute "Record-Route" "" list;
    ReferTo "Refer-To" "r" single;
    ReferredBy "Referred-By" "b" single;
    RejectContact "Reject-Contact" "j" list;
    RemotePartyId "Remote-Party-ID" "" list;
    Replaces "Replaces" "" single;
    ReplyTo "Reply-To" "" single;
    RequestDisposition "Request-Disposition" "d" list;
    Require "Require" "" list;
    RetryAfter "Retry-After" "" single;
    Route "Route" "" list;
    RSeq "RSeq" "" single;
    Server "Server" "" single;
    ServiceRoute "Service-Route" "" list;
    SessionExpires "Session-Expires" "x" single;
    SipEtag "SIP-ETag" "" single;
    SipIfMatch "SIP-If-Match" "" single;
    Subject "Subject" "s" single;
    SubscriptionState "Subscription-State" "" single;
    Supported "Supported" "k" list;
    Timestamp "Timestamp" "" single;
    To "To" "t" single;
    Unsupported "Unsupported" "" list;
    UserAgent "User-Agent" "" single;
    UserToUser "User-to-User" "" list;
    Via "Via" "v" list;
    Warning "Warning" "" list;
    WwwAuthenticate "WWW-Authenticate" "" single;
}

/// Slots of the lookup table: 9 bits.
const SLOTS: usize = 512;
/// Found by search so that no two known names share a slot; a test holds it so.
const MULTIPLIER: u32 = 0x3e4f_fa85;
/// Longer than any known name; names are compared three words at a time, without a branch that depends on them.
const ROOM: usize = 24;

/// Slot of a name by its length and its first, middle and last letter, without regard to case.
const fn slot(len: usize, first: u8, middle: u8, last: u8) -> usize {
    let key = (len as u32 & 0xff)
        | ((first | 0x20) as u32) << 8
        | ((middle | 0x20) as u32) << 16
        | ((last | 0x20) as u32) << 24;
    (key.wrapping_mul(MULTIPLIER) >> 23) as usize
}

/// A spelling of a known name, as words to compare with.
#[derive(Clone, Copy)]
struct Spelling {
    /// The name in lower case, with zeros behind it.
    letters: [u64; 3],
    /// The case bit where a letter stands, and nowhere else: a hyphen equals nothing but a hyphen.
    case: [u64; 3],
    len: u8,
    code: u8,
}

#[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a bad index is a build error")]
const fn spelling(name: &str, code: u8) -> Spelling {
    let octets = name.as_bytes();
    let mut spelling = Spelling { letters: [0; 3], case: [0; 3], len: octets.len() as u8, code };
    let mut i = 0;
    while i < octets.len() {
        let shift = 8 * (i % 8);
        spelling.letters[i / 8] |= (octets[i].to_ascii_lowercase() as u64) << shift;
        if octets[i].is_ascii_alphabetic() {
            spelling.case[i / 8] |= 0x20 << shift;
        }
        i += 1;
    }
    spelling
}

/// All spellings, and by slot which of them it can be. Slot contents are one more than the index; 0 is none.
struct Table {
    spellings: [Spelling; 2 * Header::ALL.len()],
    slots: [u8; SLOTS],
}

#[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a bad index is a build error")]
static TABLE: Table = {
    let nothing = Spelling { letters: [0; 3], case: [0; 3], len: 0, code: 0 };
    let mut table = Table { spellings: [nothing; 2 * Header::ALL.len()], slots: [0; SLOTS] };
    let mut used = 0;
    let mut i = 0;
    while i < Header::ALL.len() {
        let header = Header::ALL[i];
        let forms = [header.as_str(), if let Some(form) = header.compact() { form } else { "" }];
        let mut f = 0;
        while f < 2 {
            let octets = forms[f].as_bytes();
            let len = octets.len();
            if len > 0 {
                table.spellings[used] = spelling(forms[f], i as u8);
                used += 1;
                table.slots[slot(len, octets[0], octets[len / 2], octets[len - 1])] = used as u8;
            }
            f += 1;
        }
        i += 1;
    }
    table
};

/// For each length, the bits of the octets that belong to the name.
#[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a bad index is a build error")]
static MASKS: [[u64; 3]; ROOM] = {
    let mut masks = [[0; 3]; ROOM];
    let mut len = 0;
    while len < ROOM {
        let mut i = 0;
        while i < len {
            masks[len][i / 8] |= 0xff << (8 * (i % 8));
            i += 1;
        }
        len += 1;
    }
    masks
};

impl Header {
    /// The known header of this name or compact form, in any case.
    pub fn lookup(name: &[u8]) -> Option<Header> {
        let mut padded = [0; ROOM];
        padded.get_mut(..name.len())?.copy_from_slice(name);
        Header::lookup_padded(&padded, name.len())
    }

    /// As [`lookup`](Header::lookup) of the first `len` octets of a line and what follows it.
    #[inline]
    pub(crate) fn lookup_at(octets: &[u8], len: usize) -> Option<Header> {
        match octets.first_chunk::<ROOM>() {
            Some(room) => Header::lookup_padded(room, len),
            None => Header::lookup(octets.get(..len)?),
        }
    }

    #[inline]
    fn lookup_padded(octets: &[u8; ROOM], len: usize) -> Option<Header> {
        let mask = MASKS.get(len)?;
        let (first, middle, last) = (octets.first()?, octets.get(len / 2)?, octets.get(len.wrapping_sub(1))?);
        let index = *TABLE.slots.get(slot(len, *first, *middle, *last))?;
        let spelling = TABLE.spellings.get(usize::from(index).wrapping_sub(1))?;
        let [a, b, c] = *octets.as_chunks::<8>().0.first_chunk::<3>()?;
        // Word by word, not zipped: the iterators are not inlined, and cost more than the comparison.
        let ([mask_a, mask_b, mask_c], [case_a, case_b, case_c]) = (*mask, spelling.case);
        let [letters_a, letters_b, letters_c] = spelling.letters;
        let differ = |word, mask, case, letters| (u64::from_le_bytes(word) & mask | case) ^ letters;
        let differ = (u64::from(spelling.len) ^ len as u64)
            | differ(a, mask_a, case_a, letters_a)
            | differ(b, mask_b, case_b, letters_b)
            | differ(c, mask_c, case_c, letters_c);
        if differ == 0 { Header::from_code(spelling.code) } else { None }
    }

    /// The header of an index code.
    #[inline]
    pub(crate) fn from_code(code: u8) -> Option<Header> {
        Header::ALL.get(usize::from(code)).copied()
    }

    /// The index code.
    #[inline]
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_7_3_1_every_known_name_is_found_in_any_case() {
        for header in Header::ALL {
            let name = header.as_str();
            for spelled in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert_eq!(Header::lookup(spelled.as_bytes()), Some(*header), "{spelled}");
            }
            assert_eq!(Header::from_code(header.code()), Some(*header));
        }
        assert_eq!(Header::lookup(b"Content\rLength"), None, "only letters have a case");
        assert_eq!(Header::lookup(b"Proxy-Authorization-Proxy-Authorization"), None);
        assert_eq!(Header::lookup_at(b"Contact: <sip:a@b>;expires=1", 7), Some(Header::Contact));
        assert_eq!(Header::lookup_at(b"Contact: <sip:a@b>;expires=1", 6), None);
        assert_eq!(Header::lookup(b"X-Other"), None);
        assert_eq!(Header::lookup(b"Contacts"), None);
        assert_eq!(Header::lookup(b""), None);
    }

    #[test]
    fn rfc3261_7_3_3_compact_forms_are_the_same_header() {
        let mut forms = 0;
        for header in Header::ALL {
            if let Some(form) = header.compact() {
                assert_eq!(Header::lookup(form.as_bytes()), Some(*header));
                assert_eq!(Header::lookup(form.to_ascii_uppercase().as_bytes()), Some(*header));
                forms += 1;
            }
        }
        assert_eq!(forms, 19);
        assert_eq!(Name::from("i"), Name::Known(Header::CallId));
        assert_eq!(Name::from("X-Other"), Name::Other("X-Other"));
    }
}
