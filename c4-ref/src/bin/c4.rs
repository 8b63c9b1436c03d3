//! `c4`: everything in one process, and the operator's questions to a running program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use c4_ref::config::cli::{self, Args};
use c4_ref::demo;
use c4_ref::io::heap::Counted;
use c4_ref::io::program::{self, Failure};
use c4_ref::io::{admin, roles};
use clap::Parser;

#[global_allocator]
static HEAP: Counted = Counted::SYSTEM;

/// Load balancer and proxy in one process, and questions to running ones
#[derive(Parser)]
#[command(name = "c4", version)]
enum Command {
    /// Run the load balancer and the proxy in one process
    Up(#[command(flatten)] Args),
    /// Two calls between built-in phones through load balancer and proxy, on loopback: ladder diagrams and records
    Demo(#[command(flatten)] demo::Args),
    /// Counters and gauges of a running program, one `name value` a line
    Stats {
        #[command(flatten)]
        socket: Socket,
        /// Only this one
        name: Option<String>,
    },
    /// Registered contacts
    #[command(subcommand)]
    Ul(List),
    /// Backends of the load balancer
    #[command(subcommand)]
    Backend(List),
}

#[derive(clap::Subcommand)]
enum List {
    /// One a line
    List {
        #[command(flatten)]
        socket: Socket,
    },
}

/// Where the program is.
#[derive(clap::Args)]
struct Socket {
    /// Its admin socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Its configuration file, which names the socket
    #[arg(short = 'c', value_name = "FILE", conflicts_with = "socket")]
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Command::try_parse() {
        Ok(command) => run(command),
        Err(error) if !error.use_stderr() => {
            program::print(&error.to_string());
            Ok(())
        }
        Err(error) => Err(Failure::usage(cli::one_line(&error))),
    };
    program::exit("c4", result)
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => program::run("c4", &args, &[roles::LB, roles::PROXY]),
        Command::Demo(args) => demo::run(&args).map(|report| program::print(&report)),
        Command::Stats { socket, name } => ask(&socket, "stats", &["c4", "c4-lb", "c4-proxy"], name.as_deref()),
        Command::Ul(List::List { socket }) => ask(&socket, "ul.list", &["c4", "c4-proxy"], None),
        Command::Backend(List::List { socket }) => ask(&socket, "backend.list", &["c4", "c4-lb"], None),
    }
}

/// Asks the first of these programs that runs under this configuration, and prints its answer.
fn ask(socket: &Socket, method: &str, programs: &[&str], only: Option<&str>) -> Result<(), Failure> {
    let path = match &socket.socket {
        Some(path) => path.clone(),
        None => {
            let config = program::read_config(&Args { file: socket.file.clone(), ..Args::default() })?;
            let paths = programs.iter().filter_map(|name| config.admin.path(name)).map(PathBuf::from);
            let found = paths.into_iter().find(|path| Path::new(path).exists());
            found.ok_or_else(|| Failure::software("no admin socket is there; name one with --socket or -c"))?
        }
    };
    let answer = admin::ask_socket(&path, method, &serde_json::Value::Null).map_err(Failure::software)?;
    let lines = c4_ref::admin::lines(&answer, only);
    if only.is_some() && lines.is_empty() {
        return Err(Failure::software("there is no such name"));
    }
    program::print(&lines);
    Ok(())
}
