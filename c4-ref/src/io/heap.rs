//! The live heap, counted where it is allocated.
//!
//! The resident set says what the allocator keeps, not what the program holds: only a count tells a leak from pages that
//! wait for their next use. Each thread adds to a number of its own with a plain load and store, no locked instruction,
//! so that a pair of allocation and release costs some 1 ns more whatever allocator is below.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait; every call goes on with its arguments as they came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

use mimalloc::MiMalloc;

/// An allocator that counts what it gives out. Installed by a binary, read by [`live`]:
///
/// ```
/// use c4_ref::io::heap::{Counted, live};
/// #[global_allocator]
/// static HEAP: Counted = Counted::SYSTEM;
///
/// let before = live().unwrap();
/// let room = vec![0u8; 1 << 20];
/// assert!(live().unwrap() >= before + room.len());
/// ```
#[derive(Debug)]
pub struct Counted<A = System>(pub A);

impl Counted {
    /// Over the system's allocator.
    pub const SYSTEM: Counted = Counted(System);
}

/// What our binaries allocate by: mimalloc keeps what lives for seconds (transactions) and what lives for hours
/// (bindings, calls) on pages of their own, by size, and gives pages back to the system once a peak is over.
pub type Allocator = Counted<MiMalloc>;

impl Allocator {
    /// Over mimalloc.
    pub const MIMALLOC: Allocator = Counted(MiMalloc);
}

/// Octets that the program has allocated and not released; `None`: the binary counts none.
pub fn live() -> Option<usize> {
    let taken = TAKEN.load(Relaxed);
    // What one thread allocates another releases: a single number may be negative, their sum is not.
    (taken > 0).then(|| LIVE.iter().map(|slot| slot.0.load(Relaxed)).sum::<isize>().max(0) as usize)
}

/// A number of one thread, on a cache line of its own.
#[repr(align(64))]
struct Slot(AtomicIsize);

/// Threads with a number of their own; those beyond share the last one.
const SLOTS: usize = 256;
const SHARED: usize = SLOTS - 1;
/// A thread that has none yet.
const NONE: usize = usize::MAX;

static LIVE: [Slot; SLOTS] = [const { Slot(AtomicIsize::new(0)) }; SLOTS];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Constant and without destructor: using it never allocates.
    static SLOT: Cell<usize> = const { Cell::new(NONE) };
}

#[inline]
fn count(octets: isize) {
    let slot = SLOT.try_with(|slot| {
        if slot.get() == NONE {
            slot.set(TAKEN.fetch_add(1, Relaxed).min(SHARED));
        }
        slot.get()
    });
    let slot = slot.unwrap_or(SHARED);
    let Some(Slot(number)) = LIVE.get(slot) else { return };
    if slot == SHARED {
        number.fetch_add(octets, Relaxed);
    } else {
        // Nobody else writes here.
        number.store(number.load(Relaxed).wrapping_add(octets), Relaxed);
    }
}

// SAFETY: every call goes to the inner allocator with the arguments as they came; only numbers are touched besides.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised for this call.
        let pointer = unsafe { self.0.alloc(layout) };
        if !pointer.is_null() {
            count(layout.size() as isize);
        }
        pointer
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised for this call.
        let pointer = unsafe { self.0.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(layout.size() as isize);
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promised for this call.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promised for this call.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        if !moved.is_null() {
            count(size as isize - layout.size() as isize);
        }
        moved
    }
}
