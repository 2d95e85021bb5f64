//! Streams and polling that never wait. There is nothing to wait for: input is closed, output is thrown away, and
//! time does not pass.

use crate::fault::Refused;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult, subscribe};

/// Bytes that one call may print. It is thrown away, but copying it out is work that fuel does not count.
const PRINTED_BYTES_MAX: u64 = 1 << 20;

/// Bytes a guest may write at once: what `blocking-write-and-flush` takes by its own contract.
const WRITE_BYTES_MAX: u64 = 4096;

pub(super) struct Io;

impl HasData for Io {
    type Data<'a> = IoView<'a>;
}

/// The part of the WASI state that streams need.
pub(crate) struct IoView<'a> {
    pub table: &'a mut ResourceTable,
    pub printed_bytes: &'a mut u64,
}

impl IoView<'_> {
    /// Counts and forgets. The stream is looked up so that a handle of something else is refused.
    fn print(&mut self, stream: &Resource<DynOutputStream>, bytes: u64) -> StreamResult<()> {
        self.table.get(stream)?;
        *self.printed_bytes = self.printed_bytes.saturating_add(bytes);
        if *self.printed_bytes > PRINTED_BYTES_MAX {
            return Err(StreamError::Trap(Refused("it prints too much").into()));
        }
        Ok(())
    }

    fn read_nothing<T>(&mut self, stream: &Resource<DynInputStream>) -> StreamResult<T> {
        self.table.get(stream)?;
        Err(StreamError::Closed)
    }
}

impl poll::Host for IoView<'_> {
    /// Everything is ready, always: a guest that sleeps wakes up in the same instant.
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(Refused("it polls nothing").into());
        }
        for pollable in &pollables {
            self.table.get(pollable)?;
        }
        Ok((0..).take(pollables.len()).collect())
    }
}

impl poll::HostPollable for IoView<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.table.get(&pollable)?;
        Ok(true)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.table.get(&pollable)?;
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for IoView<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, error)
    }
}

impl streams::HostOutputStream for IoView<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.print(&stream, 0)?;
        Ok(WRITE_BYTES_MAX)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.print(&stream, bytes.len() as u64)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.print(&stream, bytes.len() as u64)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        self.print(&stream, len)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        self.print(&stream, len)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.print(&stream, 0)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.print(&stream, 0)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, stream)
    }

    fn splice(
        &mut self,
        _: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        self.read_nothing(&from)
    }

    fn blocking_splice(
        &mut self,
        _: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        self.read_nothing(&from)
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl streams::HostInputStream for IoView<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        self.read_nothing(&stream)
    }

    fn blocking_read(&mut self, stream: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        self.read_nothing(&stream)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        self.read_nothing(&stream)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        self.read_nothing(&stream)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
