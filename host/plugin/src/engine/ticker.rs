//! The clock of deadlines: one thread that moves the engine's epoch.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use wasmtime::Engine;

/// Resolution of deadlines. They are backstops of a second and more, so a coarse clock will do; each tick costs
/// a wake-up of this thread, also when nothing runs.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Moves the epoch until it is dropped.
pub(super) struct Ticker {
    // Dropping the sender is the signal to stop.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let engine = engine.weak();
        let (stop, stopped) = channel::<()>();
        let thread = thread::Builder::new().name("plugin-deadlines".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked, and if it had, there would be nothing left to do.
            let _ = thread.join();
        }
    }
}

/// Epochs until a deadline: rounded up, and one more because the current tick is partly over.
pub(crate) fn epochs(deadline_ms: u64) -> u64 {
    deadline_ms.div_ceil(TICK.as_millis() as u64).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_never_rings_early() {
        assert_eq!(epochs(0), 1);
        assert_eq!(epochs(1), 2);
        assert_eq!(epochs(1000), 51);
        assert_eq!(epochs(u64::MAX), u64::MAX / 20 + 2);
    }

    #[test]
    fn dropping_it_ends_its_thread() {
        // Drop joins: were the thread not to end, this would not return.
        drop(Ticker::start(&Engine::default()).unwrap());
    }
}
