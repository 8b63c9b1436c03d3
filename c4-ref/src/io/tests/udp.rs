//! Datagrams.

use std::net::UdpSocket;

use sip_core::flow::{Flow, Transport};

use super::*;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn ask(socket: &UdpSocket, to: SocketAddr, request: &str) -> String {
    let mut buffer = [0; 2048];
    socket.send_to(request.as_bytes(), to).unwrap();
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, to, "answers come from the listener");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_datagram_is_answered_on_its_flow() {
    let rig = Rig::start(&["udp:127.0.0.1:0", "udp:127.0.0.1:0"], 1, |_| {});
    let socket = socket();
    for listener in rig.server().handle().listeners() {
        assert!(ask(&socket, listener.bind, &options("a", "udp-1")).starts_with("SIP/2.0 200"));
        let (_, flow) = rig.hear_message();
        assert_eq!(flow, Flow::udp(listener.bind, socket.local_addr().unwrap()));
    }
}

#[test]
fn many_datagrams_are_all_answered_by_several_workers() {
    let rig = Rig::start(&["udp:127.0.0.1:0"], 2, |_| {});
    let to = rig.address(Transport::Udp);
    for _ in 0..20 {
        let socket = socket();
        for n in 0..50 {
            socket.send_to(options("a", &format!("many-{n}")).as_bytes(), to).unwrap();
        }
        let mut buffer = [0; 2048];
        for _ in 0..50 {
            socket.recv_from(&mut buffer).unwrap();
        }
    }
    assert_eq!((rig.stat("messages"), rig.stat("io_udp_rx"), rig.stat("io_udp_tx")), (1000, 1000, 1000));
}

#[test]
fn a_message_goes_to_the_shard_that_the_machine_names() {
    let rig = Rig::start(&["udp:127.0.0.1:0"], 3, |_| {});
    let to = rig.address(Transport::Udp);
    for _ in 0..8 {
        // Whichever worker the kernel picks for this port: the message ends at the one that is named.
        let socket = socket();
        for worker in 0..3 {
            assert!(ask(&socket, to, &options(&format!("worker{worker}"), "shard")).starts_with("SIP/2.0 200"));
            assert_eq!(rig.hear_message().0, worker);
        }
    }
}

#[test]
fn rfc5626_keepalives_and_garbage_are_counted_and_survived() {
    let rig = Rig::start(&["udp:127.0.0.1:0"], 1, |_| {});
    let (socket, to) = (socket(), rig.address(Transport::Udp));
    for keepalive in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0\0\0\0"] {
        socket.send_to(keepalive, to).unwrap();
    }
    for garbage in [&b"\xff\xfe\xfd"[..], b"GET / HTTP/1.1\r\n\r\n", b"OPTIONS sip:a@b SIP/2.0\r\nVia"] {
        socket.send_to(garbage, to).unwrap();
    }
    assert!(ask(&socket, to, &options("a", "after")).starts_with("SIP/2.0 200"));
    // A request cut off in its head has a start line: the machine hears of it, and refuses it.
    assert_eq!((rig.stat("io_keepalives"), rig.stat("messages")), (4, 2));
    assert_eq!(rig.stat("io_unparsed"), 2);
}

#[test]
fn a_datagram_for_a_socket_that_is_not_ours_fails() {
    let rig = Rig::start(&["udp:127.0.0.1:0"], 1, |_| {});
    let flow = Flow::udp("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    rig.send(flow, "x", 1);
    assert!(matches!(rig.hear(), Heard::Failed(_, ErrorKind::AddrNotAvailable)));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listener = format!("udp:{address}").parse().unwrap();
    let error = Sockets::bind(&[listener], 1).err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on UDP {address}: ")), "{error}");
}

#[test]
fn the_machine_hears_of_the_stop() {
    let mut rig = Rig::start(&["udp:127.0.0.1:0"], 2, |_| {});
    let server = rig.server.take().unwrap();
    assert!(server.stop());
    let mut stopped = [rig.hear(), rig.hear()];
    stopped.sort_by_key(|heard| format!("{heard:?}"));
    assert_eq!(stopped, [Heard::Stopped(0), Heard::Stopped(1)]);
}

#[test]
fn a_plain_socket_is_the_machines_own() {
    let mut sockets = Sockets::bind(&["udp:127.0.0.1:0".parse().unwrap()], 1).unwrap();
    let plain = [socket(), socket()];
    let [first, second] = plain.each_ref().map(|socket| socket.local_addr().unwrap());
    for socket in plain {
        socket.set_nonblocking(true).unwrap();
        sockets.add_plain(0, socket);
    }
    let rig = Rig::start_on(sockets, 1, |_| {});
    let (peer, mut buffer) = (socket(), [0; 64]);
    // A keepalive of SIP is nothing special here.
    for payload in [&b"\r\n\r\n"[..], b"\x80\0", b""] {
        peer.send_to(payload, first).unwrap();
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (payload, second));
    }
    // A socket that the worker does not have.
    peer.send_to(b"lost", second).unwrap();
    assert!(eventually(|| rig.stat("io_plain_tx_failed") == 1));
    assert_eq!((rig.stat("io_plain_rx"), rig.stat("io_plain_tx"), rig.stat("messages")), (4, 3, 0));
}
