//! Any cutting of a stream gives the same events, and no more comes out than went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_fuzz::sse::{Event, Parser, SseProblem};

fn events_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseProblem> {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    for chunk in chunks {
        parser.push(chunk, &mut events)?;
    }
    parser.finish(&mut events)?;
    Ok(events)
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how it is cut, so that any other file is a stream as it is.
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = events_of([stream]);
    assert_eq!(whole, events_of(stream.chunks(usize::from(*size) + 1)));
    assert_eq!(whole, events_of(stream.chunks(1)));
    let given: usize = whole.iter().flatten().map(|event| event.name.len() + event.data.len()).sum();
    assert!(given <= stream.len());
});
