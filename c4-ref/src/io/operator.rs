//! The operator's commands: which running program is meant, and its answer as lines.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::admin::ask_socket;
use super::program::{self, Failure};
use crate::admin;
use crate::config::cli::Args;

/// Where the program is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Socket {
    /// Its admin socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Its configuration file, which names the socket
    #[arg(short = 'c', value_name = "FILE", conflicts_with = "socket")]
    pub file: Option<PathBuf>,
}

impl Socket {
    /// The sockets of those of `programs` that run under this configuration. One that a killed program left behind does not
    /// count.
    fn running(&self, programs: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        if let Some(path) = &self.socket {
            return Ok(vec![path.clone()]);
        }
        let config = program::read_config(&Args { file: self.file.clone(), ..Args::default() })?;
        let mut paths: Vec<PathBuf> =
            programs.iter().filter_map(|name| config.admin.path(name)).map(PathBuf::from).collect();
        // Without {name} in the setting they are all one.
        paths.dedup();
        paths.retain(|path| UnixStream::connect(path).is_ok());
        if paths.is_empty() {
            return Err(Failure::software("no program answers at an admin socket; name one with --socket or -c"));
        }
        Ok(paths)
    }
}

/// Asks the first of these programs that runs, and gives its answer as lines; of the line named `only` alone.
///
/// # Errors
/// Nobody answers, or what the program says; there is no such line.
pub fn ask(socket: &Socket, method: &str, programs: &[&str], only: Option<&str>) -> Result<String, Failure> {
    let lines = admin::lines(&answer(socket, method, programs, &Value::Null)?, only);
    if only.is_some() && lines.is_empty() {
        return Err(Failure::software("there is no such name"));
    }
    Ok(lines)
}

/// What the media relay is asked; part of a command line.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Relay {
    /// One a line
    List {
        /// Where it is
        #[command(flatten)]
        socket: Socket,
    },
    /// All that is known of a call, as JSON
    Show {
        /// Where it is
        #[command(flatten)]
        socket: Socket,
        /// Its Call-ID
        call_id: String,
    },
    /// Take no new calls, and keep those that are there
    Drain {
        /// Where it is
        #[command(flatten)]
        socket: Socket,
        /// Take new calls again
        #[arg(long)]
        off: bool,
    },
}

/// Asks the media relay.
///
/// # Errors
/// Nobody answers; there is no such call.
pub fn relay(question: &Relay) -> Result<String, Failure> {
    let programs = ["c4", "c4-relay"];
    match question {
        Relay::List { socket } => ask(socket, "relay.list", &programs, None),
        Relay::Drain { socket, off } => {
            Ok(admin::lines(&answer(socket, "relay.drain", &programs, &json!({ "on": !off }))?, None))
        }
        Relay::Show { socket, call_id } => {
            match answer(socket, "relay.show", &programs, &json!({ "call-id": call_id }))? {
                Value::Null => Err(Failure::software("there is no such call")),
                call => Ok(format!("{call:#}\n")),
            }
        }
    }
}

/// The answers of all of these programs that run.
///
/// # Errors
/// Nobody answers, or what one of them says.
pub(super) fn answers(socket: &Socket, method: &str, programs: &[&str]) -> Result<Vec<Value>, Failure> {
    let ask = |path: &PathBuf| ask_socket(path, method, &Value::Null).map_err(Failure::software);
    socket.running(programs)?.iter().map(ask).collect()
}

/// The answer of the first of these programs that runs.
fn answer(socket: &Socket, method: &str, programs: &[&str], params: &Value) -> Result<Value, Failure> {
    let paths = socket.running(programs)?;
    let answer = paths.first().map_or_else(|| Err(String::new()), |path| ask_socket(path, method, params));
    answer.map_err(Failure::software)
}

/// Has all of these programs that run read their files again. What they took and what waits for a restart, a line each;
/// and whether one of them kept everything as it was, for what reason.
///
/// # Errors
/// Nobody answers.
pub fn reload(socket: &Socket, programs: &[&str]) -> Result<(String, Result<(), Failure>), Failure> {
    let (mut lines, mut refused) = (String::new(), Vec::new());
    for path in socket.running(programs)? {
        match ask_socket(&path, "reload", &Value::Null) {
            Ok(answer) => lines += &reloaded(&name(&path), &answer),
            Err(why) => refused.push(why),
        }
    }
    let result = if refused.is_empty() { Ok(()) } else { Err(Failure::config(refused.join("; "))) };
    Ok((lines, result))
}

/// What the program calls itself.
fn name(path: &Path) -> String {
    let info = ask_socket(path, "info", &Value::Null).unwrap_or_default();
    info.get("name").and_then(Value::as_str).unwrap_or("program").to_owned()
}

fn reloaded(name: &str, answer: &Value) -> String {
    let mut lines = format!("{name} reloaded\n");
    for (word, list) in [("changed", "changed"), ("needs-restart", "restart")] {
        let keys = answer.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        keys.for_each(|key| lines += &format!("{name} {word} {key}\n"));
    }
    lines
}
