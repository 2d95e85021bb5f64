//! The writer's thread: takes groups out of the line, has them placed, commits, answers.
//!
//! After a failed commit nobody knows what is in the file: an error may come before or after the bytes got
//! there. So every request of the group is answered with the error, ledger and journal are thrown away, and
//! the next group begins by opening the journal anew and reading where it ends. Until that succeeds every
//! request is refused.

use crate::Fault;
use crate::error::CapsuleError;
use crate::journal::{Batch, Journal};
use crate::keys::WorkspaceKey;
use crate::ledger::Ledger;
use crate::lock::WriterLock;
use crate::pending::Answer;
use crate::prepare::{CheckpointOrder, Request};
use crate::queue::Queue;
use sluice_core::{Event, LogicalUri};
use std::sync::Arc;

/// Opens the engine, at first and again after a failure. `true`: the failure left it in doubt what is on the
/// disk.
pub(crate) type Opener = Box<dyn FnMut(bool) -> Result<Box<dyn Journal>, CapsuleError> + Send>;

pub(crate) struct Open {
    pub journal: Box<dyn Journal>,
    pub ledger: Ledger,
}

/// What the thread has.
pub(crate) struct Clerk {
    pub workspace: String,
    pub key: Arc<WorkspaceKey>,
    pub frames_per_checkpoint: u64,
    pub opener: Opener,
    /// `None` after a failure, until the journal was opened anew.
    pub open: Option<Open>,
    /// Whether the last failure was of the kind that leaves doubt. A full disk does not: the engine found it
    /// out before it committed.
    pub in_doubt: bool,
    pub queue: Arc<Queue<Request>>,
    /// After `open`: should the thread panic, fields are dropped in this order.
    pub lock: WriterLock,
}

/// What is said to whom once the commit is durable.
enum Said {
    Events(Answer<Vec<Event>>, Vec<Event>),
    Uri(Answer<LogicalUri>, LogicalUri),
    Done(Answer<()>),
}

impl Clerk {
    /// Until the queue is closed and empty.
    pub fn work(mut self) -> Result<(), CapsuleError> {
        let _end = EndOfLine(Arc::clone(&self.queue));
        while let Some(group) = self.queue.take_group() {
            if let Err(error) = self.ensure_open() {
                group.into_iter().for_each(|request| request.refuse(error.clone()));
                continue;
            }
            let Some(mut open) = self.open.take() else { continue };
            match open.serve(group) {
                Ok(()) => self.open = Some(open),
                Err(error) => self.in_doubt |= !matches!(error, CapsuleError::Full),
            }
        }
        let closed = self.open.take().map_or(Ok(()), |open| open.journal.close());
        // Only now may another writer begin.
        drop(self.lock);
        closed
    }

    fn ensure_open(&mut self) -> Result<(), CapsuleError> {
        if self.open.is_none() {
            let journal = (self.opener)(self.in_doubt)?;
            let key = Arc::clone(&self.key);
            let ledger = Ledger::load(&*journal, &self.workspace, key, self.frames_per_checkpoint)?;
            self.open = Some(Open { journal, ledger });
            self.in_doubt = false;
        }
        Ok(())
    }
}

/// However the thread ends, nobody waits for it any more.
struct EndOfLine(Arc<Queue<Request>>);

impl Drop for EndOfLine {
    fn drop(&mut self) {
        self.0.close();
        // An answer that is dropped says that the writer is closed.
        while let Some(left) = self.0.take_group() {
            drop(left);
        }
    }
}

impl Open {
    /// Serves a group; `Err` if the journal has to be opened anew. Everybody was answered either way.
    fn serve(&mut self, mut group: Vec<Request>) -> Result<(), CapsuleError> {
        // The queue gives a checkpoint by itself.
        match group.pop() {
            Some(Request::Checkpoint { order, answer }) => {
                let (result, broken) = self.checkpoint(&order);
                answer.give(result);
                broken.map_or(Ok(()), Err)
            }
            last => {
                group.extend(last);
                self.serve_batch(group)
            }
        }
    }

    fn serve_batch(&mut self, group: Vec<Request>) -> Result<(), CapsuleError> {
        let mut batch = self.ledger.batch();
        let mut said = Vec::with_capacity(group.len());
        let mut group = group.into_iter();
        let placed = group.by_ref().try_for_each(|request| self.place(&mut batch, request, &mut said));
        let done = placed.and_then(|()| match batch.frames() > 0 || batch.seal.is_some() {
            true => self.journal.commit(&batch),
            false => Ok(()),
        });
        match &done {
            Ok(()) => said.into_iter().for_each(Said::say),
            Err(error) => {
                said.into_iter().for_each(|said| said.refuse(error.clone()));
                group.for_each(|request| request.refuse(error.clone()));
            }
        }
        done
    }

    /// Places one request. An error of the request itself is its answer; `Err` is the journal's.
    fn place(
        &mut self,
        batch: &mut Batch,
        request: Request,
        said: &mut Vec<Said>,
    ) -> Result<(), CapsuleError> {
        let refused = match request {
            Request::Append { events, answer } => match self.ledger.append(&*self.journal, batch, events) {
                Ok(events) => {
                    said.push(Said::Events(answer, events));
                    return Ok(());
                }
                Err(error) => {
                    answer.give(Err(error.clone()));
                    error
                }
            },
            Request::Put { naming, digest, bytes, answer } => {
                match self.ledger.put(&*self.journal, batch, &naming, digest, bytes) {
                    Ok(uri) => {
                        said.push(Said::Uri(answer, uri));
                        return Ok(());
                    }
                    Err(error) => {
                        answer.give(Err(error.clone()));
                        error
                    }
                }
            }
            Request::Seal { row, answer } => {
                batch.seal = Some(row);
                said.push(Said::Done(answer));
                return Ok(());
            }
            // Never in a group: see `serve`.
            Request::Checkpoint { answer, .. } => {
                answer.give(Err(CapsuleError::Closed));
                return Ok(());
            }
        };
        if breaks(&refused) { Err(refused) } else { Ok(()) }
    }

    /// Checkpoints until everything recorded before is covered: the answer, and the error after which the
    /// journal has to be opened anew.
    fn checkpoint(&mut self, order: &CheckpointOrder) -> (Result<Event, CapsuleError>, Option<CapsuleError>) {
        let target = self.ledger.position();
        loop {
            let (batch, event) = match self.ledger.checkpoint(&*self.journal, order) {
                Ok(placed) => placed,
                Err(error) => return (Err(error.clone()), breaks(&error).then_some(error)),
            };
            if let Err(error) = self.journal.commit(&batch) {
                return (Err(error.clone()), Some(error));
            }
            if self.ledger.signed_position() >= target {
                return (Ok(event), None);
            }
        }
    }
}

/// Whether an error is the journal's. What is wrong with the request, or with one row that it needs, is not.
fn breaks(error: &CapsuleError) -> bool {
    error.fault() == Fault::Machine
}

impl Said {
    fn say(self) {
        match self {
            Said::Events(answer, events) => answer.give(Ok(events)),
            Said::Uri(answer, uri) => answer.give(Ok(uri)),
            Said::Done(answer) => answer.give(Ok(())),
        }
    }

    fn refuse(self, error: CapsuleError) {
        match self {
            Said::Events(answer, _) => answer.give(Err(error)),
            Said::Uri(answer, _) => answer.give(Err(error)),
            Said::Done(answer) => answer.give(Err(error)),
        }
    }
}
