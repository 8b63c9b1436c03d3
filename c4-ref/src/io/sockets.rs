//! Binding: every worker has its own socket on every listener's address (SO_REUSEPORT), or one has it alone.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use sip_core::flow::Transport;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listener;

/// What the kernel is asked to hold for us while we are busy, octets.
const BUFFER: usize = 4 << 20;
/// Connections that wait for accept; the kernel may have a lower bound.
const BACKLOG: i32 = 4096;

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct BindError {
    transport: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// The open sockets of all workers.
pub struct Sockets {
    pub(super) listeners: Vec<Listener>,
    pub(super) workers: Vec<WorkerSockets>,
}

#[derive(Default)]
pub(super) struct WorkerSockets {
    pub(super) udp: Vec<(UdpSocket, SocketAddr)>,
    pub(super) streams: Vec<(TcpListener, Listener)>,
    /// What comes in here is no SIP.
    pub(super) plain: Vec<UdpSocket>,
}

impl Sockets {
    /// Opens `listeners` for each of `workers`. Port 0 is replaced by the one that the kernel chose.
    ///
    /// # Errors
    /// The first listener that cannot be opened, and why.
    pub fn bind(listeners: &[Listener], workers: usize) -> Result<Sockets, BindError> {
        Sockets::open(listeners, workers, true)
    }

    /// Opens `listeners` for one worker; no other process can share their ports.
    ///
    /// # Errors
    /// As [`Sockets::bind`].
    pub fn bind_alone(listeners: &[Listener]) -> Result<Sockets, BindError> {
        Sockets::open(listeners, 1, false)
    }

    fn open(listeners: &[Listener], workers: usize, shared: bool) -> Result<Sockets, BindError> {
        let mut sockets = Sockets { listeners: Vec::new(), workers: Vec::new() };
        sockets.workers.resize_with(workers.max(1), WorkerSockets::default);
        for listener in listeners {
            let mut listener = listener.clone();
            for worker in &mut sockets.workers {
                worker.open(&mut listener, shared).map_err(|source| BindError {
                    transport: listener.transport.as_str(),
                    address: listener.bind,
                    source,
                })?;
            }
            sockets.listeners.push(listener);
        }
        Ok(sockets)
    }

    /// Gives a worker a plain socket, which must not block; its number is how many the worker has had before.
    pub fn add_plain(&mut self, worker: usize, socket: UdpSocket) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.plain.push(socket);
        }
    }

    /// The listeners with the addresses they really have.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }
}

impl WorkerSockets {
    fn open(&mut self, listener: &mut Listener, shared: bool) -> io::Result<()> {
        match listener.transport {
            Transport::Udp => {
                let socket = socket(listener.bind, Type::DGRAM, Protocol::UDP, shared)?;
                receive_buffer(&socket);
                let socket = UdpSocket::from(socket);
                listener.bind = socket.local_addr()?;
                self.udp.push((socket, listener.bind));
            }
            Transport::Tcp | Transport::Tls => {
                let socket = socket(listener.bind, Type::STREAM, Protocol::TCP, shared)?;
                socket.listen(BACKLOG)?;
                let socket = TcpListener::from(socket);
                listener.bind = socket.local_addr()?;
                self.streams.push((socket, listener.clone()));
            }
            Transport::Ws | Transport::Wss => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(())
    }
}

/// A socket that does not block, of the family of `address` alone.
pub(super) fn unbound(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol, shared: bool) -> io::Result<Socket> {
    let socket = unbound(address, kind, protocol)?;
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// 4 MiB each way: with the privilege beyond the system's bound, else as much as it allows.
pub(super) fn receive_buffer(socket: &Socket) {
    use rustix::net::sockopt;
    if sockopt::set_socket_recv_buffer_size_force(socket, BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, BUFFER).is_err() {
        let _ = socket.set_send_buffer_size(BUFFER);
    }
}
