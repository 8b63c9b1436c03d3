//! `c4 ladder`: the calls of a capture file, or of running programs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::operator::{self, Socket};
use super::program::Failure;
use crate::ladder::{Choice, Trace, live, render};

/// Those that have SIP.
const PROGRAMS: [&str; 3] = ["c4", "c4-lb", "c4-proxy"];

/// Octets read at a time.
const CHUNK: usize = 1 << 18;

/// What `c4 ladder` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A capture, pcap or pcapng; `-`: standard input
    #[arg(required_unless_present = "live", conflicts_with = "live")]
    capture: Option<PathBuf>,
    /// The last messages of running programs, of which each role keeps as many as `admin.trace` says
    #[arg(long)]
    live: bool,
    /// Where they are
    #[command(flatten)]
    socket: Socket,
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
/// A file that cannot be read or is no capture; nobody answers, or keeps messages; no message has the Call-ID.
pub fn run(args: &Args) -> Result<String, Failure> {
    let trace = match &args.capture {
        Some(file) => read(file).map_err(|why| Failure::software(format!("{}: {why}", file.display())))?,
        None => live(&operator::answers(&args.socket, "trace", &PROGRAMS)?),
    };
    let choice = Choice { call_id: args.call_id.clone(), all: args.all };
    match &args.call_id {
        Some(id) if !trace.calls().iter().any(|call| choice.takes(call)) => {
            Err(Failure::software(format!("no message has the Call-ID {id}")))
        }
        _ => Ok(render(&trace, &choice)),
    }
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
