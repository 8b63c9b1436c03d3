//! The admin socket.

use std::os::unix::net::UnixStream;
use std::rc::Rc;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::io::admin::{AdminSocket, Order, Service, ask_socket};

/// Serves an echo server's admin socket while `client` runs in a thread of its own; the orders that came.
fn with_socket(name: &str, client: impl FnOnce(PathBuf) + Send + 'static) -> Vec<Order> {
    let path = scratch(name).join("c4.ctl");
    let rig = Rig::start(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0"], 2, |_| {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (orders, mut ordered) = unbounded_channel();
    let readings = Box::new(|| json!({ "process": { "fds": 7 } }));
    let service = Rc::new(Service { name: "echo", servers: vec![rig.server().handle()], orders, readings });
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let socket = AdminSocket::bind(&path).unwrap();
        let done = tokio::task::spawn_blocking({
            let path = path.clone();
            move || client(path)
        });
        tokio::select! {
            () = socket.serve(service) => {}
            result = done => result.unwrap(),
        }
    });
    assert!(!path.exists(), "the file goes with the socket");
    let mut all = Vec::new();
    while let Ok(order) = ordered.try_recv() {
        all.push(order);
    }
    all
}

#[test]
fn the_methods_describe_themselves_and_answer() {
    let orders = with_socket("admin", |path| {
        let ask = |method: &str| ask_socket(&path, method, &Value::Null);
        let methods = ask("rpc.list").unwrap();
        assert!(methods.as_array().unwrap().iter().any(|m| m["name"] == "stats" && m["help"] != ""));
        assert_eq!(ask("info").unwrap()["workers"], 2);
        assert_eq!(ask("sockets").unwrap().as_array().unwrap().len(), 2);
        assert_eq!(ask("conns").unwrap(), json!([]));
        assert_eq!(ask("stats").unwrap()["messages"], 0);
        assert_eq!(ask("stats").unwrap()["process"]["fds"], 7, "once, not once a worker");
        assert!(ask("no.such").unwrap_err().contains("rpc.list"));
        assert_eq!(ask("stop").unwrap(), true);
    });
    assert!(matches!(orders[..], [Order::Stop]), "{orders:?}");
}

#[test]
fn garbage_is_answered_and_survived() {
    with_socket("admin-garbage", |path| {
        let talk = |octets: &[u8]| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            // The other side may have closed before all was written.
            let _ = stream.write_all(octets);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        };
        assert!(talk(b"\xff\xfe\x00\n").contains("-32700"));
        assert!(talk(b"{}\n").contains("-32600"));
        assert!(talk(b"[1,2,3]\n").contains("-32600"));
        assert!(talk(&[vec![b'['; 60_000], b"\n".to_vec()].concat()).contains("-32700"), "deep nesting");
        assert!(talk(&vec![b'x'; 300_000]).contains("longer than"), "a line without end");
        assert_eq!(talk(b""), "");
        // More clients than are served at a time, and none of them says anything.
        let idle: Vec<UnixStream> = (0..10).map(|_| UnixStream::connect(&path).unwrap()).collect();
        assert_eq!(ask_socket(&path, "info", &Value::Null).unwrap()["name"], "echo");
        drop(idle);
        assert!(talk(b"{\"id\":1,\"method\":\"info\"}\n{\"id\":2,\"method\":\"info\"}\n").lines().count() == 2);
    });
}

#[test]
fn a_dead_programs_socket_is_taken_over_and_a_living_ones_is_not() {
    let dir = scratch("admin-take");
    let path = dir.join("c4.ctl");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _living = AdminSocket::bind(&path).unwrap();
        assert_eq!(AdminSocket::bind(&path).err().unwrap().kind(), ErrorKind::AddrInUse);
    });
    // A file that is no socket is not touched.
    std::fs::write(&path, "mine").unwrap();
    runtime.block_on(async { assert!(AdminSocket::bind(&path).is_err()) });
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn all_that_a_machine_says_when_it_stops_is_written() {
    let file = scratch("last-words").join("cdr.jsonl");
    let (cdr, thread) = crate::io::CdrFile::open(&file).unwrap().into_writer().unwrap();
    let (sender, _heard) = std::sync::mpsc::channel();
    let mut machines = Echo::all(1, &sender);
    machines[0].last_words = 20_000;
    let sockets = Sockets::bind(&["udp:127.0.0.1:0".parse().unwrap()], 1).unwrap();
    let outputs = Outputs { store: None, cdr: Some(cdr) };
    let server = Server::start(sockets, machines, &Options::new("echo"), &outputs).unwrap();
    assert!(server.stop());
    drop(outputs);
    thread.join();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 20_000);
}
