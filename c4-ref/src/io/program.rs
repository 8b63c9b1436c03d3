//! What every binary does around its servers: command line, configuration, logs, signals, admin socket, orderly end.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::admin::{AdminSocket, Order, Service};
use super::capture::Capture;
use super::cdr::{CdrThread, CdrWriter};
use super::reload::Reload;
use super::server::{Options, Server, Timeouts};
use super::sources::Sources;
use super::store::StoreThread;
use super::tls::Tls;
use super::{files, logs, process};
use crate::config::cli::{self, Args, Cli};
use crate::config::{Config, Role, load};
use crate::machine::News;

/// Why a program ended, as `sysexits.h` (and so systemd) counts: one line for stderr and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub why: String,
}

impl Failure {
    /// The command line is wrong (64).
    pub fn usage(why: impl ToString) -> Failure {
        Failure { code: 64, why: why.to_string() }
    }

    /// The configuration is wrong (78).
    pub fn config(why: impl ToString) -> Failure {
        Failure { code: 78, why: why.to_string() }
    }

    /// The system refuses something (71): a port, a file, a thread.
    pub fn system(why: impl ToString) -> Failure {
        Failure { code: 71, why: why.to_string() }
    }

    /// The program itself failed (70), or the other side of a command did.
    pub fn software(why: impl ToString) -> Failure {
        Failure { code: 70, why: why.to_string() }
    }
}

/// A started role, with what must be ended after it.
pub struct Running {
    /// The workers.
    pub server: Server,
    /// The store's thread.
    pub store: Option<StoreThread>,
    /// The record file's thread.
    pub cdr: Option<(CdrWriter, CdrThread)>,
    /// Reads the role's files of keys and users again.
    pub reread: Option<Reread>,
}

/// Reads the files of this configuration again; the error says which one is wrong.
pub type Reread = Box<dyn Fn(&Config) -> Result<News, Failure>>;

impl Running {
    /// Stops the workers and waits until all is written; whether everything ended in order.
    pub fn stop(self) -> bool {
        let orderly = self.server.stop();
        if let Some(store) = self.store {
            store.join();
        }
        if let Some((writer, thread)) = self.cdr {
            drop(writer);
            thread.join();
        }
        orderly
    }
}

impl From<Server> for Running {
    fn from(server: Server) -> Running {
        Running { server, store: None, cdr: None, reread: None }
    }
}

/// The exit code of a result, after the line on stderr.
pub fn exit(name: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, why }) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{name}: {why}");
            ExitCode::from(code)
        }
    }
}

/// Writes to stdout; a closed pipe is no failure.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The whole life of a binary with one role.
pub fn main(name: &'static str, about: &'static str, role: Starter) -> ExitCode {
    let result = match cli::parse(name, about, std::env::args_os()) {
        Ok(Cli::Print(text)) => {
            print(&text);
            Ok(())
        }
        Ok(Cli::Run(args)) => run(name, &args, &[role]),
        Err(why) => Err(Failure::usage(why)),
    };
    exit(name, result)
}

/// A role and what starts it.
pub type Starter = (Role, fn(&Config, &Options) -> Result<Running, Failure>);

/// Runs these roles in one process until a signal, `stop` or a failure ends it.
///
/// # Errors
/// What keeps it from starting, or ended it.
pub fn run(name: &'static str, args: &Args, roles: &[Starter]) -> Result<(), Failure> {
    let config = read_config(args)?;
    if args.print_config {
        print(&load::print(&config));
        return Ok(());
    }
    let names: Vec<Role> = roles.iter().map(|(role, _)| *role).collect();
    let warnings = check(args, &config, &names)?;
    if args.check {
        // Where nothing can be read there is nothing to check: the files of [tls] count.
        Tls::new(&config.tls).map_err(Failure::config)?;
        warnings.iter().for_each(|warning| print(&format!("warning: {warning}\n")));
        print("ok\n");
        return Ok(());
    }
    logs::init();
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let files = files::raise_file_limit();
    let tls = Tls::new(&config.tls).map_err(Failure::config)?;
    let (mut running, mut sources) = (Vec::new(), Vec::new());
    for (role, start) in roles {
        let options = options(*role, &config, &tls, files / roles.len().max(1));
        bound_sources(*role, &config, &options.sources);
        sources.push((*role, options.sources.clone()));
        running.push(start(&config, &options)?);
    }
    let rereads = running.iter_mut().filter_map(|role| Some((role.server.handle(), role.reread.take()?))).collect();
    let records = running.iter().filter_map(|role| role.cdr.as_ref().map(|(writer, _)| writer.clone())).collect();
    let admin = config.admin.path(name);
    let reload = Reload { args, roles: names, running: config, tls: &tls, sources, rereads, records };
    supervise(name, admin, reload, running)
}

/// The warnings about a configuration that these roles can start with.
///
/// # Errors
/// File, line and key of what they cannot start with.
pub(super) fn check(args: &Args, config: &Config, roles: &[Role]) -> Result<Vec<String>, Failure> {
    let warnings = roles.iter().map(|role| config.check(*role)).collect::<Result<Vec<_>, _>>();
    warnings.map(|warnings| warnings.concat()).map_err(|invalid| {
        let Some(file) = &args.file else { return Failure::config(invalid) };
        let line = std::fs::read_to_string(file).ok().and_then(|text| load::line_of(&text, &invalid.key));
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        Failure::config(format!("{}{line}: {invalid}", file.display()))
    })
}

/// The configuration that the command line asks for.
///
/// # Errors
/// The file cannot be read, or something in it or the overrides is wrong.
pub fn read_config(args: &Args) -> Result<Config, Failure> {
    let (name, text) = match &args.file {
        None => (String::new(), String::new()),
        Some(file) => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).map_err(|e| Failure::config(format!("{name}: {e}")))?;
            (name, text)
        }
    };
    load::load(&name, &text, &args.overrides).map_err(Failure::config)
}

/// What one source may hold under this configuration.
pub(super) fn bound_sources(role: Role, config: &Config, sources: &Sources) {
    match role {
        Role::Lb => sources.set(config.lb.source_connections, config.lb.unbounded_sources()),
        Role::Proxy => sources.set(config.proxy.source_connections, config.proxy.unbounded_sources()),
        // Its driver has no SIP streams.
        Role::Relay => {}
    }
}

fn options(role: Role, config: &Config, tls: &Tls, files: usize) -> Options {
    let (name, message_ms, idle_s) = match role {
        Role::Lb => ("c4-lb", config.lb.message_timeout_ms, config.lb.idle_timeout_s),
        Role::Proxy => ("c4-proxy", config.proxy.message_timeout_ms, config.proxy.idle_timeout_s),
        // Its driver has no SIP streams.
        Role::Relay => ("c4-relay", config.proxy.message_timeout_ms, config.proxy.idle_timeout_s),
    };
    Options {
        timeouts: Timeouts {
            message: std::time::Duration::from_millis(message_ms),
            idle: std::time::Duration::from_secs(idle_s),
        },
        tls: Some(tls.clone()),
        tap: (config.admin.trace > 0).then(|| Capture::last(config.admin.trace).tap(name)),
        // Some files are for sockets, stores and logs.
        max_connections: files.saturating_sub(128).max(16),
        ..Options::new(name)
    }
}

/// Random octets of the kernel.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    files::random().map_err(|error| Failure::system(format!("/dev/urandom: {error}")))
}

/// How many workers a setting means: 0 is one per core.
pub fn worker_count(setting: usize) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        // A connection id has 16 bits for its worker; more than cores help nobody.
        workers => workers.min(1024),
    }
}

/// Serves signals and the admin socket until the end, then ends everything in order.
fn supervise(
    name: &'static str,
    admin: Option<String>,
    reload: Reload<'_>,
    mut running: Vec<Running>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let tasks = tokio::task::LocalSet::new();
    let ended = tasks.block_on(&runtime, control(name, admin, reload, &mut running));
    let mut orderly = true;
    for role in running {
        orderly &= role.stop();
    }
    match ended {
        Ok(()) if !orderly => Err(Failure::software("a worker panicked")),
        ended => ended,
    }
}

async fn control(
    name: &'static str,
    admin: Option<String>,
    mut reload: Reload<'_>,
    running: &mut [Running],
) -> Result<(), Failure> {
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::system)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::system)?;
    let (orders, mut ordered) = unbounded_channel();
    let servers: Vec<_> = running.iter().map(|role| role.server.handle()).collect();
    let socket = match admin {
        Some(path) => Some(
            AdminSocket::bind(Path::new(&path)).map_err(|e| Failure::system(format!("admin.listen {path}: {e}")))?,
        ),
        None => None,
    };
    if let Some(socket) = socket {
        let started = Instant::now();
        let readings = Box::new(move || process::readings(started));
        let service = Rc::new(Service { name, servers, orders: orders.clone(), readings });
        tokio::task::spawn_local(async move { socket.serve(service).await });
    }
    tracing::info!(name, pid = std::process::id(), "running");
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            // The log has the answer.
            _ = hangup.recv() => drop(reload.run()),
            order = ordered.recv() => match order {
                Some(Order::Stop) | None => return Ok(()),
                // The asker may have gone.
                Some(Order::Reload(reply)) => drop(reply.send(reload.run())),
                Some(Order::Certificates(reply)) => drop(reply.send(reload.certificates())),
            },
            () = any_ended(running) => return Err(Failure::software("a worker ended")),
        }
    }
}

async fn any_ended(running: &mut [Running]) {
    let mut ends: Vec<_> = running.iter_mut().map(|role| Box::pin(role.server.ended())).collect();
    std::future::poll_fn(|context| match ends.iter_mut().any(|end| end.as_mut().poll(context).is_ready()) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
}
