//! `sendrecv`, `sendonly`, `recvonly`, `inactive`.

use super::AttributeName;

/// Which way media flow, as the writer of the description sees it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; the default.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Neither way; RTCP flows on.
    Inactive,
}

impl Direction {
    /// From its two halves.
    pub fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same as the other side sees it.
    pub fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub fn and(self, other: Direction) -> Direction {
        Direction::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute that says it.
    pub fn name(self) -> AttributeName {
        match self {
            Direction::SendRecv => AttributeName::SendRecv,
            Direction::SendOnly => AttributeName::SendOnly,
            Direction::RecvOnly => AttributeName::RecvOnly,
            Direction::Inactive => AttributeName::Inactive,
        }
    }
}

impl AttributeName {
    /// The direction that this attribute says.
    pub fn direction(self) -> Option<Direction> {
        match self {
            AttributeName::SendRecv => Some(Direction::SendRecv),
            AttributeName::SendOnly => Some(Direction::SendOnly),
            AttributeName::RecvOnly => Some(Direction::RecvOnly),
            AttributeName::Inactive => Some(Direction::Inactive),
            _ => None,
        }
    }

    pub(crate) fn is_direction(self) -> bool {
        self.direction().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3264_6_1_reversed_and_combined() {
        assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
        assert_eq!(Direction::SendRecv.and(Direction::RecvOnly), Direction::RecvOnly);
        assert_eq!(Direction::SendOnly.and(Direction::RecvOnly), Direction::Inactive);
    }
}
