//! How many datagrams a socket is asked for per wake-up.

/// Wake-ups with a full burst before a longer burst is tried.
const PATIENCE: u32 = 4;
/// At most this much patience: without load a try in vain costs one system call in 256.
const MOST_PATIENCE: u32 = 256;

/// The burst of one socket.
///
/// Without load one datagram comes per wake-up, and asking for a second costs a system call in vain; under load the
/// queue is long and every further datagram saves a wait. So the burst grows while it is filled and shrinks when not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    size: usize,
    most: usize,
    full: u32,
    patience: u32,
}

impl Burst {
    /// One datagram, and never more than `most`.
    pub(super) fn new(most: usize) -> Burst {
        Burst { size: 1, most, full: 0, patience: PATIENCE }
    }

    /// Datagrams to ask for now.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// As many came as were asked for.
    pub(super) fn grow(&mut self) {
        self.full += 1;
        if self.size > 1 {
            self.patience = PATIENCE;
        }
        if self.full >= self.patience {
            self.full = 0;
            self.size = (self.size * 2).min(self.most);
        }
    }

    /// The queue was empty before.
    pub(super) fn shrink(&mut self) {
        self.full = 0;
        self.size = (self.size / 2).max(1);
        if self.size == 1 {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_grow_under_load_and_one_datagram_is_asked_for_without() {
        let mut burst = Burst::new(64);
        (0..1000).for_each(|_| burst.grow());
        assert_eq!(burst.size(), 64);
        (0..6).for_each(|_| burst.shrink());
        assert_eq!(burst.size(), 1);
        let in_vain = (0..10_000).filter(|_| {
            burst.grow();
            let vain = burst.size() > 1;
            if vain {
                burst.shrink();
            }
            vain
        });
        assert!(in_vain.count() <= 60, "tries in vain become rare");
    }
}
