//! An allocator that counts, for tests of how much memory something keeps or how often it allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator with counters. Install it in a test or bench that runs alone in its process:
/// `#[global_allocator] static HEAP: Counting = Counting;`
#[derive(Debug)]
pub struct Counting;

/// A reading of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Allocations and reallocations of this thread so far.
    pub allocations: u64,
    /// The same of all threads, that of the test harness included, which allocates when it pleases.
    pub of_all_threads: u64,
    /// Octets in use.
    pub live: u64,
}

impl Heap {
    /// The counters now; zero unless [`Counting`] is installed.
    pub fn now() -> Heap {
        Heap {
            allocations: OWN.try_with(Cell::get).unwrap_or_default(),
            of_all_threads: ALLOCATIONS.load(Relaxed),
            live: LIVE.load(Relaxed),
        }
    }

    /// Allocations of this thread since an earlier reading of its own.
    pub fn allocations_since(&self, earlier: Heap) -> u64 {
        self.allocations - earlier.allocations
    }
}

/// A thread that is just ending has no counter of its own any more.
fn count() {
    ALLOCATIONS.fetch_add(1, Relaxed);
    let _ = OWN.try_with(|own| own.set(own.get() + 1));
}

// SAFETY: every call goes to the system's allocator with the arguments as they came; only counters are touched besides.
#[allow(unsafe_code)] // GlobalAlloc is an unsafe trait.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        LIVE.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as the caller promised for this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as the caller promised for this call.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        LIVE.fetch_add(size as u64, Relaxed);
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as the caller promised for this call.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
