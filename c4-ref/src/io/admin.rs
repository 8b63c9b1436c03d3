//! The admin socket: lines of JSON-RPC over a unix socket, both sides.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::server::Handle;
use crate::admin::{self, Command, ErrorCode, Request, Scope, error_line, parse_line, reply_line};

/// A request line at most, octets.
const LINE: usize = 64 * 1024;
/// Clients at a time; further ones wait in the kernel's queue.
const CLIENTS: usize = 16;
/// A client that says nothing for so long is let go.
const SILENCE: Duration = Duration::from_secs(60);

const STOPPING: &str = "the program is stopping";

/// An order to the program as a whole. With a reply, the answer waits for it.
#[derive(Debug)]
pub enum Order {
    /// Flush and end.
    Stop,
    /// Read the configuration and the files that it names again.
    Reload(oneshot::Sender<admin::Answer>),
    /// Read the certificate files again.
    Certificates(oneshot::Sender<admin::Answer>),
}

/// Listens on the admin socket. The file goes when this is dropped.
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// What the clients talk to.
pub struct Service {
    /// Name of the binary.
    pub name: &'static str,
    /// The servers of the program.
    pub servers: Vec<Handle>,
    /// Where orders go.
    pub orders: UnboundedSender<Order>,
    /// What the program itself adds to `stats`.
    pub readings: Box<dyn Fn() -> Value>,
}

impl AdminSocket {
    /// Opens the socket for the owner alone. The socket of a dead process is taken over, that of a living one is not.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` when a program answers there.
    pub fn bind(path: &Path) -> io::Result<AdminSocket> {
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
            match UnixStream::connect(path) {
                Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(_) => fs::remove_file(path)?,
            }
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(AdminSocket { listener, path: path.into() })
    }

    /// Serves clients without end; within a `LocalSet`.
    pub async fn serve(&self, service: Rc<Service>) {
        let clients = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(place) = clients.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let service = service.clone();
                    tokio::task::spawn_local(async move {
                        client(stream, &service).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin client");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers one client until it goes, falls silent or sends a line without end.
async fn client(stream: tokio::net::UnixStream, service: &Service) {
    let (read, mut write) = stream.into_split();
    let mut lines = tokio::io::BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut lines).take(LINE as u64);
        match tokio::time::timeout(SILENCE, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
        let whole = line.ends_with(b"\n") || line.len() < LINE;
        let reply = if whole {
            match parse_line(&line) {
                Ok(request) => answer(request, service).await,
                Err(reply) => reply,
            }
        } else {
            error_line(&Value::Null, ErrorCode::InvalidRequest, "the line is longer than 65536 octets")
        };
        let written = tokio::time::timeout(SILENCE, write.write_all(reply.as_bytes())).await;
        if !whole || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer(request: Request, service: &Service) -> String {
    let Request { id, method, params } = request;
    let known = admin::method(&method);
    let result = match (method.as_str(), known.map(|known| known.scope)) {
        (_, None) => None,
        ("stats", _) => ask(Command { method: method.clone(), params }, service).await.map(|answer| {
            answer.map(|mut stats| {
                admin::merge(&mut stats, (service.readings)());
                stats
            })
        }),
        (_, Some(Scope::All | Scope::One)) => ask(Command { method: method.clone(), params }, service).await,
        ("rpc.list", _) => Some(Ok(admin::list())),
        ("info", _) => Some(Ok(info(service))),
        ("sockets", _) => Some(Ok(sockets(service))),
        ("tls.reload", _) => Some(order(service, Order::Certificates).await),
        ("reload", _) => Some(order(service, Order::Reload).await),
        // The answer is out before the program ends.
        ("stop", _) => Some(service.orders.send(Order::Stop).map(|()| Value::Bool(true)).map_err(|_| STOPPING.into())),
        _ => None,
    };
    match result {
        Some(Ok(value)) => reply_line(&id, &value),
        Some(Err(why)) if known.is_some_and(|known| known.scope == Scope::Driver) => {
            error_line(&id, ErrorCode::Internal, &why)
        }
        Some(Err(why)) => error_line(&id, ErrorCode::InvalidParams, &why),
        None => error_line(&id, ErrorCode::MethodNotFound, &format!("{method} is no method here, see rpc.list")),
    }
}

async fn ask(command: Command, service: &Service) -> Option<admin::Answer> {
    let mut merged: Option<Value> = None;
    for server in &service.servers {
        match server.command(command.clone()).await {
            Some(Ok(value)) => match &mut merged {
                Some(have) => admin::merge(have, value),
                None => merged = Some(value),
            },
            Some(Err(why)) => return Some(Err(why)),
            None => {}
        }
    }
    merged.map(Ok)
}

fn info(service: &Service) -> Value {
    let workers: usize = service.servers.iter().map(Handle::workers).sum();
    json!({
        "name": service.name,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "roles": service.servers.iter().map(Handle::name).collect::<Vec<_>>(),
        "workers": workers,
    })
}

fn sockets(service: &Service) -> Value {
    let line = |server: &Handle| {
        let name = server.name();
        server
            .listeners()
            .iter()
            .map(move |l| {
                json!({
                    "role": name,
                    "transport": l.transport.uri_param(),
                    "address": l.bind.to_string(),
                    "advertise": l.advertised(),
                })
            })
            .collect::<Vec<_>>()
    };
    service.servers.iter().flat_map(line).collect()
}

async fn order(service: &Service, order: impl FnOnce(oneshot::Sender<admin::Answer>) -> Order) -> admin::Answer {
    let (reply, answer) = oneshot::channel();
    service.orders.send(order(reply)).map_err(|_| STOPPING)?;
    answer.await.unwrap_or_else(|_| Err(STOPPING.into()))
}

/// Asks the program behind an admin socket.
///
/// # Errors
/// One line: nobody answers there, or what the program says.
pub fn ask_socket(path: &Path, method: &str, params: &Value) -> Result<Value, String> {
    let no_answer = |error: io::Error| format!("{}: {error}", path.display());
    let mut stream = UnixStream::connect(path).map_err(no_answer)?;
    stream.set_read_timeout(Some(SILENCE)).map_err(no_answer)?;
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    writeln!(stream, "{request}").map_err(no_answer)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(no_answer)?;
    let mut reply: Value = serde_json::from_str(&line).map_err(|_| format!("{}: no JSON-RPC reply", path.display()))?;
    match reply.get_mut("result").map(Value::take) {
        Some(result) => Ok(result),
        None => Err(reply.pointer("/error/message").and_then(Value::as_str).unwrap_or("no result").to_owned()),
    }
}
