//! How much is scanned at a time, counted in bytes. A scan is computing alone: a few bodies of many megabytes would
//! keep everybody else waiting, and take their memory all at once.
//!
//! There are two lanes. Ordinary bodies share one that counts their bytes; large ones go one behind another (one for
//! each core but the first), so that a line of them is never ahead of a short message.

use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is large: at 200 MB/s it takes 5 ms.
const LARGE_BYTES_MIN: usize = 1 << 20;

/// Bytes of ordinary bodies at a time.
const ORDINARY_BYTES_MAX: usize = 16 << 20;

/// Shorter scans are over before another thread has taken up what waits behind them.
const OWN_THREAD_BYTES_MIN: usize = 64 << 10;

/// The semaphores of one gateway. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Scanning {
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// May scan, until dropped. `None` where the semaphore was closed, which it never is.
#[derive(Debug)]
#[must_use = "what may be scanned is counted as long as this lives"]
pub(crate) struct MayScan {
    bytes: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Scanning {
    /// For a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Scanning {
        Scanning {
            ordinary: Arc::new(Semaphore::new(ORDINARY_BYTES_MAX)),
            large: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
        }
    }

    /// Waits until a body of so many bytes may be scanned.
    pub(crate) async fn admit(&self, bytes: usize) -> MayScan {
        let (lane, permits) = match bytes >= LARGE_BYTES_MIN {
            true => (&self.large, 1),
            // Below the lane's size, so it fits.
            false => (&self.ordinary, u32::try_from(bytes.max(1)).unwrap_or(u32::MAX)),
        };
        MayScan { bytes, _permit: lane.clone().acquire_many_owned(permits).await.ok() }
    }
}

impl MayScan {
    /// Scans, and leaves the thread's other work to another thread where there is one and it is worth it.
    pub(crate) fn scan<R>(self, scan: impl FnOnce() -> R) -> R {
        let others =
            Handle::try_current().is_ok_and(|now| now.runtime_flavor() == RuntimeFlavor::MultiThread);
        match others && self.bytes >= OWN_THREAD_BYTES_MIN {
            true => tokio::task::block_in_place(scan),
            false => scan(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Admitted without waiting.
    async fn at_once(scanning: &Scanning, bytes: usize) -> Option<MayScan> {
        tokio::time::timeout(Duration::ZERO, scanning.admit(bytes)).await.ok()
    }

    #[tokio::test]
    async fn a_line_of_large_bodies_is_never_ahead_of_a_short_one() {
        let scanning = Scanning::new(2);
        let first = at_once(&scanning, 50 << 20).await.unwrap();
        let mut waiting = Box::pin(scanning.admit(50 << 20));
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "the second waits");
        for _ in 0..100 {
            assert!(at_once(&scanning, 1_000).await.is_some(), "short ones go through");
        }
        drop(first);
        assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_ok());
    }

    #[tokio::test]
    async fn ordinary_bodies_are_counted_by_their_bytes() {
        let scanning = Scanning::new(8);
        let bytes = LARGE_BYTES_MIN - 1;
        let mut held = Vec::new();
        while let Some(may) = at_once(&scanning, bytes).await {
            held.push(may);
        }
        assert_eq!(held.len(), ORDINARY_BYTES_MAX / bytes);
        assert!(at_once(&scanning, bytes).await.is_none(), "full");
        assert!(
            at_once(&scanning, ORDINARY_BYTES_MAX % bytes).await.is_some(),
            "what is left is given to who fits"
        );
        held.pop();
        assert!(at_once(&scanning, bytes).await.is_some());
        assert!(at_once(&scanning, 0).await.is_some(), "an empty body is a body");
    }

    #[tokio::test]
    async fn seven_of_eight_cores_scan_large_bodies() {
        let scanning = Scanning::new(8);
        let mut held = Vec::new();
        while let Some(may) = at_once(&scanning, LARGE_BYTES_MIN).await {
            held.push(may);
        }
        assert_eq!(held.len(), 7);
        assert!(at_once(&Scanning::new(1), LARGE_BYTES_MIN).await.is_some(), "one core scans all");
    }

    #[test]
    fn scanning_works_in_and_outside_of_any_runtime() {
        let scan = || async { Scanning::new(2).admit(OWN_THREAD_BYTES_MIN).await.scan(|| 7) };
        let one = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let many = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        assert_eq!((one.block_on(scan()), many.block_on(scan())), (7, 7));
        assert_eq!(many.block_on(async { tokio::spawn(scan()).await }).unwrap(), 7);
    }
}
