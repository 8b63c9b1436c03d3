//! The workers as one: started, asked, stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use sip_core::flow::Flow;
use sip_core::limits::Limits;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::backlog::Waiting;
use super::cdr::CdrWriter;
use super::mailbox::Mailbox;
use super::sockets::Sockets;
use super::sources::Sources;
use super::store::StoreWriter;
use super::tls::Tls;
use super::worker::{Mail, Worker};
use crate::admin::{self, Answer, Command, Scope};
use crate::config::Listener;
use crate::machine::{Machine, News};

/// How long streams may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// A message from its first octet, a connect, a TLS handshake; an accepted connection's first message from when it
    /// stands.
    pub message: Duration,
    /// Without a message in either direction.
    pub idle: Duration,
}

/// What the workers need besides sockets and machines.
#[derive(Clone)]
pub struct Options {
    /// Name of the role, for threads and `info`.
    pub name: &'static str,
    /// How long streams may take.
    pub timeouts: Timeouts,
    /// Bounds of messages.
    pub limits: Limits,
    /// Without it there are no TLS connections.
    pub tls: Option<Tls>,
    /// Connections of all workers together.
    pub max_connections: usize,
    /// Connections of one source.
    pub sources: Arc<Sources>,
    /// Hears every message at the sockets.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Options {
    /// Defaults for the role `name`: 10 s for a message, an hour for silence, 10 000 connections, of one source as many.
    pub fn new(name: &'static str) -> Options {
        Options {
            name,
            timeouts: Timeouts { message: Duration::from_secs(10), idle: Duration::from_secs(3600) },
            limits: Limits::default(),
            tls: None,
            max_connections: 10_000,
            sources: Arc::default(),
            tap: None,
        }
    }
}

/// Hears every message where it enters and leaves the process. Called by the workers: must be quick.
pub trait Tap: Send + Sync {
    /// A message came in.
    fn received(&self, flow: &Flow, message: &[u8]);
    /// A message goes out.
    fn sent(&self, flow: &Flow, message: &[u8]);

    /// What it remembers of all workers, for the operator.
    fn recent(&self) -> Option<Value> {
        None
    }
}

/// Where the durable events of the machines go; without a writer they are dropped.
#[derive(Clone, Default)]
pub struct Outputs {
    /// The store.
    pub store: Option<StoreWriter>,
    /// The call detail records.
    pub cdr: Option<CdrWriter>,
}

impl Outputs {
    /// What waits for the disk and what was dropped, as part of the answer to `stats`.
    pub(super) fn to_value(&self) -> Value {
        let store = self.store.as_ref().map(|store| ("store", store.waiting()));
        let cdr = self.cdr.as_ref().map(|cdr| ("cdr", cdr.waiting()));
        let line = |(name, waiting): (&str, Waiting)| {
            (name.to_owned(), json!({ "waiting-bytes": waiting.octets, "dropped": waiting.dropped }))
        };
        store.into_iter().chain(cdr).map(line).collect()
    }
}

/// An answer of one worker; `None`: it does not know the method.
pub(super) type Reply = UnboundedSender<Option<Answer>>;

/// What a worker's thread does from its start to its end.
pub(super) type Life = Box<dyn FnOnce() + Send>;

/// What the workers of one server hear, whatever their machine is.
pub(super) enum Order {
    /// The operator asks.
    Command { command: Command, reply: Reply },
    /// Files were read again.
    Reload(News),
    /// The program stops.
    Stop,
}

/// Brings orders to the workers of one server.
pub(super) trait Post: Send + Sync {
    fn post(&self, worker: usize, order: Order);
    fn workers(&self) -> usize;
}

/// The mailboxes of the workers of one server.
pub(super) struct Boxes<M>(pub(super) Vec<Mailbox<M>>);

impl<M: From<Order> + Send> Post for Boxes<M> {
    fn post(&self, worker: usize, order: Order) {
        if let Some(mailbox) = self.0.get(worker) {
            mailbox.push(order.into());
        }
    }

    fn workers(&self) -> usize {
        self.0.len()
    }
}

/// Running workers.
pub struct Server {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    ended: UnboundedReceiver<usize>,
}

/// Asks and stops a server from any thread.
#[derive(Clone)]
pub struct Handle {
    name: &'static str,
    post: Arc<dyn Post>,
    listeners: Arc<[Listener]>,
}

impl Server {
    /// Starts a thread for each machine; there must be as many as `sockets` has workers.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll set.
    pub fn start<M>(sockets: Sockets, machines: Vec<M>, options: &Options, outputs: &Outputs) -> io::Result<Server>
    where
        M: Machine + Send + 'static,
    {
        if machines.len() != sockets.workers.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "one machine per worker"));
        }
        let boxes = (0..machines.len()).map(|_| Mailbox::new()).collect::<io::Result<Vec<_>>>()?;
        let boxes = Arc::new(Boxes::<Mail<M::TransmitId>>(boxes));
        let listeners: Arc<[Listener]> = sockets.listeners.into();
        let mut lives = Vec::<Life>::new();
        for (index, (machine, own)) in machines.into_iter().zip(sockets.workers).enumerate() {
            let worker = Worker::new(index, machine, own, listeners.clone(), boxes.clone(), options, outputs)?;
            lives.push(Box::new(|| worker.run()));
        }
        Server::launch(options.name, boxes, listeners, lives)
    }

    /// Starts a thread for each life.
    pub(super) fn launch(
        name: &'static str,
        post: Arc<dyn Post>,
        listeners: Arc<[Listener]>,
        lives: Vec<Life>,
    ) -> io::Result<Server> {
        let (alive, ended) = unbounded_channel();
        let mut server = Server { handle: Handle { name, post, listeners }, threads: Vec::new(), ended };
        for (index, life) in lives.into_iter().enumerate() {
            let guard = Ended(index, alive.clone());
            let name = format!("{name}-{index}");
            server.threads.push(std::thread::Builder::new().name(name).spawn(move || {
                let _guard = guard;
                life();
            })?);
        }
        Ok(server)
    }

    /// The handle to ask it by.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until a worker has ended, which without [`Handle::stop`] is a failure.
    pub async fn ended(&mut self) {
        self.ended.recv().await;
    }

    /// Stops the workers and waits for them; whether all ended in order.
    pub fn stop(self) -> bool {
        self.handle.stop();
        self.threads.into_iter().map(JoinHandle::join).fold(true, |all, ended| all & ended.is_ok())
    }
}

/// Says that a worker's thread is over, by a panic too.
struct Ended(usize, UnboundedSender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.1.send(self.0);
    }
}

/// How long the operator waits for a busy worker.
const PATIENCE: Duration = Duration::from_secs(5);

impl Handle {
    /// The role's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The listeners with the addresses they really have.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The address of the first listener of this transport.
    pub fn address(&self, transport: sip_core::flow::Transport) -> Option<SocketAddr> {
        self.listeners.iter().find(|listener| listener.transport == transport).map(|listener| listener.bind)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.post.workers()
    }

    /// Asks the machines and merges their answers; `None`: none of them knows the method.
    pub async fn command(&self, command: Command) -> Option<Answer> {
        let workers = match admin::method(&command.method).map(|method| method.scope) {
            Some(Scope::One) => 1,
            _ => self.workers(),
        };
        let (reply, mut answers) = unbounded_channel();
        for worker in 0..workers {
            self.post.post(worker, Order::Command { command: command.clone(), reply: reply.clone() });
        }
        drop(reply);
        let mut merged: Option<Answer> = None;
        for _ in 0..workers {
            match tokio::time::timeout(PATIENCE, answers.recv()).await {
                Ok(Some(None)) => {}
                Ok(Some(Some(answer))) => {
                    merged = Some(match (merged, answer) {
                        (Some(Ok(mut have)), Ok(more)) => {
                            admin::merge(&mut have, more);
                            Ok(have)
                        }
                        (Some(Err(why)), _) | (_, Err(why)) => Err(why),
                        (None, Ok(first)) => Ok(first),
                    });
                }
                Ok(None) | Err(_) => return Some(Err("a worker does not answer".into())),
            }
        }
        merged
    }

    /// Hands what was read again to the machines.
    pub fn reload(&self, news: &News) {
        (0..self.workers()).for_each(|worker| self.post.post(worker, Order::Reload(news.clone())));
    }

    /// Tells the workers to stop.
    pub fn stop(&self) {
        (0..self.workers()).for_each(|worker| self.post.post(worker, Order::Stop));
    }
}
