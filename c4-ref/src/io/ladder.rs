//! `c4 ladder`: the calls of a capture file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::program::Failure;
use crate::ladder::{Choice, Trace, render};

/// Octets read at a time.
const CHUNK: usize = 1 << 18;

/// What `c4 ladder` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A capture, pcap or pcapng; `-`: standard input
    file: PathBuf,
    /// Only this Call-ID
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    /// Registrations and whatever else is no call, too
    #[arg(long)]
    all: bool,
}

/// What is to be printed.
///
/// # Errors
/// A file that cannot be read or is no capture.
pub fn run(args: &Args) -> Result<String, Failure> {
    let Args { file, call_id, all } = args;
    let trace = read(file).map_err(|why| Failure::software(format!("{}: {why}", file.display())))?;
    let choice = Choice { call_id: call_id.clone(), all: *all };
    if let Some(id) = call_id.as_ref().filter(|_| !trace.calls().iter().any(|call| choice.takes(call))) {
        return Err(Failure::software(format!("{}: no message has the Call-ID {id}", file.display())));
    }
    Ok(render(&trace, &choice))
}

/// Reads a capture to its end, in pieces: it may be larger than memory.
fn read(file: &Path) -> Result<Trace, String> {
    let mut source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(|error| error.to_string())?),
    };
    let (mut trace, mut chunk) = (Trace::new(), vec![0; CHUNK]);
    loop {
        match source.read(&mut chunk).map_err(|error| error.to_string())? {
            0 => return Ok(trace),
            length => trace.push(chunk.get(..length).unwrap_or_default()).map_err(|error| error.to_string())?,
        }
    }
}
