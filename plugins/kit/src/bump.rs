//! The allocator of a guest that lives for one call: it hands out memory upwards and takes back only what was handed
//! out last. The whole memory goes with the instance, so keeping lists of free blocks would cost more fuel (and 8 KB
//! of code) than it saves memory; the host's memory limit bounds what a call can take.
//!
//! *Invariant*: for hosts that give each call a fresh instance, as the contract says. In one that is called again and
//! again, memory would only grow.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE_BYTES: usize = 64 << 10;

/// First byte that is not handed out; 0 before the first allocation.
static NEXT: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static BUMP: Bump = Bump;

struct Bump;

unsafe extern "C" {
    /// Placed by the linker behind stack and data.
    static __heap_base: u8;
}

fn next() -> usize {
    match NEXT.load(Relaxed) {
        0 => &raw const __heap_base as usize,
        next => next,
    }
}

/// Whether memory reaches up to `end`, after growing where it did not.
fn reaches(end: usize) -> bool {
    let pages = memory_size(0);
    let missing = end.div_ceil(PAGE_BYTES).saturating_sub(pages);
    missing == 0 || memory_grow(0, missing) != usize::MAX
}

// SAFETY: there is one thread. Blocks do not overlap: `NEXT` is the end of every block that is alive, moves up with
// each allocation, and moves down only to the start of the block that ends at it. A block lies within memory, because
// `NEXT` moves only after `reaches`, and memory never shrinks. Sums of an address and a new size are checked; those of
// an address and the size of a block that is alive were checked when it was handed out.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(start) = next().checked_next_multiple_of(layout.align()) else {
            return core::ptr::null_mut();
        };
        match start.checked_add(layout.size()) {
            Some(end) if reaches(end) => {
                NEXT.store(end, Relaxed);
                start as *mut u8
            }
            _ => core::ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == NEXT.load(Relaxed) {
            NEXT.store(block as usize, Relaxed);
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == NEXT.load(Relaxed) {
            // The last block grows and shrinks in place.
            return match start.checked_add(size) {
                Some(end) if reaches(end) => {
                    NEXT.store(end, Relaxed);
                    block
                }
                _ => core::ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller gives a size that is valid for the alignment, and the new block is another one than the
        // old, at least as long as what is copied.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                core::ptr::copy_nonoverlapping(block, moved, layout.size());
            }
            moved
        }
    }
}
