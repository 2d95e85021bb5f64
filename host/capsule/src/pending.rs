//! An answer that comes after a commit: waited for by a thread, or awaited by a task. Made of the standard
//! library alone, so that this room drags no runtime into what only reads.

use crate::error::CapsuleError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Waiting(Option<Waker>),
    Done(Result<T, CapsuleError>),
    Taken,
}

struct Slot<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing below can panic while the lock is held, and a state is whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a request. It resolves after the commit is durable, or with the reason why there is none.
/// Dropping it does not take the request back.
#[must_use = "a request is only known to be recorded once its answer was waited for"]
pub struct Pending<T>(Arc<Slot<T>>);

impl<T> Pending<T> {
    /// Blocks until the answer is there.
    pub fn wait(self) -> Result<T, CapsuleError> {
        let mut state = self.0.lock();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => return result,
                State::Taken => return Err(CapsuleError::Closed),
                waiting @ State::Waiting(_) => *state = waiting,
            }
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn refused(error: CapsuleError) -> Pending<T> {
        Pending(Arc::new(Slot { state: Mutex::new(State::Done(Err(error))), done: Condvar::new() }))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, CapsuleError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(result) => Poll::Ready(result),
            State::Taken => Poll::Ready(Err(CapsuleError::Closed)),
            State::Waiting(_) => {
                *state = State::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

/// The other end: answers once. Dropped without an answer (its thread died), it says that the writer is
/// closed, so that nobody waits for ever.
pub(crate) struct Answer<T>(Option<Arc<Slot<T>>>);

impl<T> Answer<T> {
    pub fn give(mut self, result: Result<T, CapsuleError>) {
        self.settle(result);
    }

    fn settle(&mut self, result: Result<T, CapsuleError>) {
        let Some(slot) = self.0.take() else { return };
        let before = std::mem::replace(&mut *slot.lock(), State::Done(result));
        slot.done.notify_all();
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.settle(Err(CapsuleError::Closed));
    }
}

pub(crate) fn pending<T>() -> (Answer<T>, Pending<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Waiting(None)), done: Condvar::new() });
    (Answer(Some(Arc::clone(&slot))), Pending(slot))
}
