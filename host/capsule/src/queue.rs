//! The bounded queue in front of the writer's thread.

use crate::error::CapsuleError;
use crate::limits::{EVENTS_PER_GROUP_MAX, GROUP_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How much of a group a request takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    pub events: usize,
    pub bytes: usize,
    /// Must be committed by itself, after all before it.
    pub alone: bool,
}

struct Inner<T> {
    waiting: VecDeque<(Weight, T)>,
    bytes: usize,
    closed: bool,
}

/// Requests in the order in which they came.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

impl<T> Queue<T> {
    pub fn new() -> Queue<T> {
        let inner = Inner { waiting: VecDeque::new(), bytes: 0, closed: false };
        Queue { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code in here panics between two steps of a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request in line, or hands it back at once: a caller is never made to wait here, so that an
    /// async task can call this.
    pub fn push(&self, weight: Weight, request: T) -> Result<(), (CapsuleError, T)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((CapsuleError::Closed, request));
        }
        let waiting = inner.waiting.len();
        // One request always fits an empty queue: each is bounded by itself.
        let over = waiting > 0 && inner.bytes.saturating_add(weight.bytes) > QUEUE_BYTES_MAX;
        if waiting >= QUEUE_REQUESTS_MAX || over {
            return Err((CapsuleError::Busy { waiting }, request));
        }
        inner.bytes += weight.bytes;
        inner.waiting.push_back((weight, request));
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for requests and takes as many as make a group; `None` once the queue is closed and empty.
    pub fn take_group(&self) -> Option<Vec<T>> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut group, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some((weight, _)) = inner.waiting.front() {
            let over =
                events + weight.events > EVENTS_PER_GROUP_MAX || bytes + weight.bytes > GROUP_BYTES_MAX;
            if !group.is_empty() && (over || weight.alone) {
                break;
            }
            (events, bytes) = (events + weight.events, bytes + weight.bytes);
            let alone = weight.alone;
            if let Some((weight, request)) = inner.waiting.pop_front() {
                inner.bytes = inner.bytes.saturating_sub(weight.bytes);
                group.push(request);
            }
            if alone {
                break;
            }
        }
        Some(group)
    }

    /// Takes no more requests; those in line are still served.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Weight = Weight { events: 1, bytes: 10, alone: false };

    #[test]
    fn groups_keep_the_order_and_the_limits() {
        let queue = Queue::new();
        let big = Weight { bytes: GROUP_BYTES_MAX, ..ONE };
        let many = Weight { events: EVENTS_PER_GROUP_MAX, ..ONE };
        let alone = Weight { alone: true, ..ONE };
        for (number, weight) in [ONE, ONE, alone, ONE, big, many, ONE].into_iter().enumerate() {
            queue.push(weight, number).map_err(|_| ()).unwrap();
        }
        queue.close();
        let mut groups = Vec::new();
        while let Some(group) = queue.take_group() {
            groups.push(group);
        }
        assert_eq!(groups, [vec![0, 1], vec![2], vec![3], vec![4], vec![5], vec![6]]);
        assert!(matches!(queue.push(ONE, 9), Err((CapsuleError::Closed, 9))));
    }

    #[test]
    fn a_full_queue_hands_the_request_back() {
        let queue = Queue::new();
        for number in 0..QUEUE_REQUESTS_MAX {
            queue.push(ONE, number).map_err(|_| ()).unwrap();
        }
        assert!(matches!(queue.push(ONE, 7), Err((CapsuleError::Busy { waiting: QUEUE_REQUESTS_MAX }, 7))));

        let queue = Queue::new();
        queue.push(Weight { bytes: usize::MAX / 2, ..ONE }, 0).map_err(|_| ()).unwrap();
        assert!(matches!(queue.push(ONE, 1), Err((CapsuleError::Busy { waiting: 1 }, 1))));
        assert_eq!(queue.take_group(), Some(vec![0]));
        queue.push(ONE, 1).map_err(|_| ()).unwrap();
    }
}
