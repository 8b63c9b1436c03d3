//! `c4`: everything in one process, and the operator's questions to a running program.

use std::process::ExitCode;

use c4_ref::config::cli::{self, Args};
use c4_ref::demo;
use c4_ref::io::heap::Allocator;
use c4_ref::io::operator::{self, Socket};
use c4_ref::io::program::{self, Failure};
use c4_ref::io::{ladder, roles};
use clap::Parser;

#[global_allocator]
static HEAP: Allocator = Allocator::MIMALLOC;

/// Load balancer, proxy and media relay in one process, and questions to running ones
#[derive(Parser)]
#[command(name = "c4", version)]
enum Command {
    /// Run the load balancer, the proxy and, where `[relay]` has interfaces, the media relay in one process
    Up(#[command(flatten)] Args),
    /// Two calls between built-in phones through all three on loopback: ladder diagrams, quality of the sound, records
    Demo(#[command(flatten)] demo::Args),
    /// The calls of a capture file or of running programs as ladder diagrams, with the quality of their RTP
    Ladder(#[command(flatten)] ladder::Args),
    /// Counters and gauges of a running program, one `name value` a line
    Stats {
        #[command(flatten)]
        socket: Socket,
        /// Only this one
        name: Option<String>,
    },
    /// Have running programs read their files again: what they took, and what waits for a restart
    Reload(#[command(flatten)] Socket),
    /// Registered contacts
    #[command(subcommand)]
    Ul(List),
    /// Backends of the load balancer
    #[command(subcommand)]
    Backend(List),
    /// Calls of the media relay
    #[command(subcommand)]
    Relay(operator::Relay),
}

#[derive(clap::Subcommand)]
enum List {
    /// One a line
    List {
        #[command(flatten)]
        socket: Socket,
    },
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

/// Those that have an admin socket.
const PROGRAMS: [&str; 4] = ["c4", "c4-lb", "c4-proxy", "c4-relay"];

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => program::run("c4", &args, &roles::house(&program::read_config(&args)?)),
        Command::Demo(args) => demo::run(&args).map(|report| program::print(&report)),
        Command::Ladder(args) => ladder::run(&args).map(|calls| program::print(&calls)),
        Command::Reload(socket) => {
            let (lines, result) = operator::reload(&socket, &PROGRAMS)?;
            program::print(&lines);
            result
        }
        Command::Stats { socket, name } => ask(&socket, "stats", &PROGRAMS, name.as_deref()),
        Command::Ul(List::List { socket }) => ask(&socket, "ul.list", &["c4", "c4-proxy"], None),
        Command::Backend(List::List { socket }) => ask(&socket, "backend.list", &["c4", "c4-lb"], None),
        Command::Relay(question) => operator::relay(&question).map(|answer| program::print(&answer)),
    }
}

fn ask(socket: &Socket, method: &str, programs: &[&str], only: Option<&str>) -> Result<(), Failure> {
    operator::ask(socket, method, programs, only).map(|lines| program::print(&lines))
}
