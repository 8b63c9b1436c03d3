//! Giving memory back after a peak: tables and queues keep no more room than a swing of their size needs.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Entries for which a table may have room whatever it holds.
const TABLE: usize = 1024;
/// An empty queue with room for more than this gives it back.
const QUEUE: usize = 256;

/// Gives memory back when most of it is unused; called after a removal, it costs O(1) amortised. The room left is twice
/// what is held, so that a table whose size swings does not move with it.
pub(crate) fn shrink<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    if map.capacity() > TABLE && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

/// The next of a queue; the last one takes the room of a peak with it.
pub(crate) fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > QUEUE {
        *queue = VecDeque::new();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::keyed::Ready;

    #[test]
    fn a_table_gives_back_what_a_peak_took_and_keeps_what_a_swing_needs() {
        let mut map: HashMap<u64, u64, Ready> = HashMap::with_hasher(Ready);
        map.extend((0..100_000).map(|n| (n, n)));
        let mut moves = 0;
        for n in 0..100_000 {
            let room = map.capacity();
            map.remove(&n);
            shrink(&mut map);
            moves += usize::from(map.capacity() != room);
        }
        assert!(map.capacity() <= TABLE * 2);
        assert!(moves <= 6, "{moves} times the table was moved");
    }

    #[test]
    fn a_queue_gives_back_what_a_peak_took() {
        let mut queue: VecDeque<u64> = (0..10_000).collect();
        while pop(&mut queue).is_some() {}
        assert!(queue.capacity() <= QUEUE);
    }
}
