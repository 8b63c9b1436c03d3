//! Bounds on what a peer may send.

/// Hard limits of the parser. A description over one of them is refused whole, never cut.
///
/// ```
/// use c4_sdp::Limits;
/// let limits = Limits { max_medias: 8, ..Limits::default() };
/// assert_eq!(limits.max_octets, 64 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole description, in octets.
    pub max_octets: usize,
    /// Lines of any kind.
    pub max_lines: usize,
    /// One line with its end, in octets. Never above 65535, whatever is set here.
    pub max_line: usize,
    /// Media descriptions (`m=` lines).
    pub max_medias: usize,
    /// Attributes of the session, and of each media description.
    pub max_attributes: usize,
}

impl Limits {
    /// The longest line that the index can address.
    pub(crate) const LINE_CEILING: usize = u16::MAX as usize;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_octets: 64 * 1024, max_lines: 2048, max_line: 8 * 1024, max_medias: 64, max_attributes: 512 }
    }
}
