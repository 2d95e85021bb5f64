//! Which record a verb reads, and what is believed of it: the workspace's journal, or sealed files that somebody
//! brought along.

use crate::Context;
use crate::failure::Failure;
use crate::table::count;
use serde_json::{Value, json};
use sluice_capsule::{CheckpointMark, Healed, PublicKey, Reader, Writer};
use sluice_governance::KnownValues;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of every verb that reads a record.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Evidence {
    /// Read sealed files alone: a folder of them, or each by name. No workspace and no journal is needed
    #[arg(long, value_name = "PATH", num_args = 1..)]
    sealed: Vec<PathBuf>,
    /// Believe signatures of this key and no other: what `capsule init` printed
    #[arg(long, value_name = "HEX")]
    public_key: Option<PublicKey>,
    /// A checkpoint that must be there: NUMBER:DIGEST, as `capsule verify` printed it once
    #[arg(long, value_name = "MARK")]
    checkpoint: Option<CheckpointMark>,
}

impl Evidence {
    /// Opens it.
    pub fn open(&self, context: &Context) -> Result<Reader, Failure> {
        let mut reader = if self.sealed.is_empty() {
            Reader::open(&context.workspace()?.state())?
        } else {
            let here = &context.edge.folder;
            let paths: Vec<PathBuf> = self.sealed.iter().map(|path| here.join(path)).collect();
            Reader::open_sealed(&paths)?
        };
        if let Some(key) = self.public_key {
            reader = reader.expecting(key);
        }
        if let Some(mark) = self.checkpoint {
            reader = reader.expecting_checkpoint(mark);
        }
        if let Some(end) = reader.sealed_end() {
            let files = count(reader.seals()?.len() as u64, "sealed file");
            let text =
                format!("read from {files}, which end with {end}: what was recorded after it is not in them");
            context.printer.say(text);
        }
        Ok(reader)
    }

    /// Whether sealed files were named: then there need be no workspace.
    pub fn is_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }
}

/// What a document says of the sealed files that it was made from; nothing for a journal.
pub fn document(reader: &Reader) -> Result<Option<Value>, Failure> {
    let Some(end) = reader.sealed_end() else { return Ok(None) };
    Ok(Some(json!({ "end": end, "files": reader.seals()? })))
}

/// Opens the capsule for writing, and tells what had to be put right.
pub fn open_writer(
    context: &Context,
    state: &Path,
    guard: Arc<KnownValues>,
    who: &str,
) -> Result<Writer, Failure> {
    let writer = Writer::open(state, guard, who)?;
    tell(context, &writer.healed());
    Ok(writer)
}

/// A line for each thing that was put right, or could not be.
pub fn tell(context: &Context, healed: &Healed) {
    healed.lines().iter().for_each(|line| context.printer.say(line));
}
