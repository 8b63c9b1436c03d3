//! `c4 demo`: load balancer, proxy, media relay and two phones in one process on loopback, two calls with sound, and what
//! became of them.
//!
//! The phones are scripted (`script`) and everything that they and the roles send is captured at the sockets. The
//! [`report`] is made of that alone, checked against the phones' own journals and the call detail records.

mod house;
mod relay;
pub mod report;
mod script;
mod sound;
mod text;

use clap::ValueEnum;
use serde_json::Value;

use crate::io::Captured;
use crate::io::program::Failure;

/// What `c4 demo` is asked for.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Args {
    /// Everything as JSON: what each phone sent and received, and the records
    #[arg(long)]
    pub json: bool,
    /// What the phones use
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    /// Breaks something on purpose: the program must notice
    #[arg(long = "break", value_enum, value_name = "WHAT")]
    pub broken: Option<Broken>,
}

/// A transport of the phones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Datagrams.
    #[default]
    Udp,
    /// TCP connections.
    Tcp,
    /// TLS connections, with a certificate made on the spot.
    Tls,
}

impl From<Transport> for sip_core::flow::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Broken {
    /// The caller has a wrong password.
    Auth,
    /// The load balancer loses the keys of its route tokens after the phones have registered.
    Route,
    /// The media relay stops after the phones have registered.
    Relay,
    /// The callee's phone is silent.
    Audio,
}

/// Runs the demonstration; what is to be printed.
///
/// # Errors
/// One line that says what went wrong: something did not start, a call did not come about, or what was captured, what the
/// phones say and what the records say do not agree.
pub fn run(args: &Args) -> Result<String, Failure> {
    let (captured, played) = perform(args)?;
    let report = report::Report::new(captured, played);
    if !args.json
        && let Some(disagreement) = report.disagreements().into_iter().next()
    {
        return Err(Failure::software(format!("demo: {disagreement}")));
    }
    Ok(match args.json {
        true => format!("{:#}\n", Value::Object(report.to_json())),
        false => text::render(&report),
    })
}

/// Plays the script: what was captured, and what the phones and the records say.
fn perform(args: &Args) -> Result<(Vec<Captured>, script::Played), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let house = house::House::start(args)?;
    let played = runtime.block_on(script::play(&house, args));
    let captured = house.stop()?;
    Ok((captured, played?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use report::Report;

    /// What is wrong with a performance that was tampered with.
    fn after(
        (captured, played): &(Vec<Captured>, script::Played),
        tamper: impl FnOnce(&mut Vec<Captured>, &mut script::Played),
    ) -> Vec<String> {
        let (mut captured, mut played) = (captured.clone(), played.clone());
        tamper(&mut captured, &mut played);
        Report::new(captured, played).disagreements()
    }

    #[test]
    fn what_does_not_agree_is_noticed() {
        let performance = perform(&Args::default()).unwrap();
        let wrong = after(&performance, |_, _| {});
        assert!(wrong.is_empty(), "{wrong:?}");
        let bye = |captured: &Captured| captured.octets.starts_with(b"BYE ");
        let lost = after(&performance, |captured, _| {
            let at = captured.iter().position(bye).unwrap();
            captured.remove(at);
        });
        assert!(lost.iter().any(|why| why.starts_with("call 1: BYE")), "{lost:?}");
        let changed = after(&performance, |captured, _| {
            let at = captured.iter().position(|message| bye(message) && message.who == house::CALLER).unwrap();
            captured[at].octets = Bytes::from_static(b"BYE sip:x SIP/2.0\r\n\r\n");
        });
        assert!(changed.iter().any(|why| why.contains("journal of alice")), "{changed:?}");
        let strange = after(&performance, |captured, _| captured[0].who = "nobody");
        assert!(strange.iter().any(|why| why.contains("nobody in the house")), "{strange:?}");
        for (field, value) in [
            ("call_id", json!("x")),
            ("status", json!(486)),
            ("released_by", json!("callee")),
            ("called", json!("alice")),
            ("duration_ms", json!(0)),
            ("duration_ms", json!(60_000)),
        ] {
            let wrong = after(&performance, |_, played| played.calls[0].record[field] = value.clone());
            assert_eq!(wrong.len(), 1, "{field} {value}: {wrong:?}");
        }
        for (field, value) in [
            ("packets_sent", json!(3)),
            ("packets_received", json!(3)),
            ("octets_received", json!(3)),
            ("lost", json!(1)),
            ("tone", json!({ "hz": 600, "found": false, "blocks": 75, "heard": 9 })),
        ] {
            let wrong = after(&performance, |_, played| played.calls[1].sounds[0][field] = value.clone());
            assert_eq!(wrong.len(), 1, "{field} {value}: {wrong:?}");
            assert!(wrong[0].starts_with("call 2: ") && wrong[0].contains("alice"), "{wrong:?}");
        }
        let relay = |path: &str, value: Value| {
            after(&performance, |_, played| *played.calls[1].relay.pointer_mut(path).unwrap() = value)
        };
        let wrong = relay("/totals/RTP/packets", json!(7));
        assert!(wrong.len() == 1 && wrong[0].starts_with("call 2: the relay counts Some(7) packets"), "{wrong:?}");
        assert_eq!(relay("/totals/RTP/bytes", json!(7)).len(), 1);
        assert_eq!(relay("/totals/RTP/errors", json!(1)).len(), 1);
        assert_eq!(relay("/tags", json!({})), ["call 2: the relay does not know alice by the record's from_tag"]);
        let tag = performance.1.calls[1].record["to_tag"].as_str().unwrap();
        let stream = format!("/tags/{tag}/medias/0/streams/0");
        let wrong = relay(&format!("{stream}/stats/packets"), json!(7));
        assert!(wrong.len() == 1 && wrong[0].starts_with("call 2: bob sent"), "{wrong:?}");
        let wrong = relay(&format!("{stream}/local port"), json!(7));
        assert!(wrong.len() == 1 && wrong[0].contains("the relay waits for it at Some(\"127.0.0.1:7\")"), "{wrong:?}");
        assert_eq!(relay("", Value::Null), ["call 2: the relay knows nothing of the call"]);
        let mute = after(&performance, |_, played| played.calls[0].sounds[1] = json!(null));
        assert_eq!(
            mute,
            ["call 1: bob sent null packets of sound, alice received 75"]
                .map(|line| { line.replace("75", &performance.1.calls[0].sounds[0]["packets_received"].to_string()) })
        );
        let silent = after(&performance, |_, played| _ = played.journals[1].1.pop());
        assert_eq!(silent, ["the journal of bob and what was captured at its socket do not agree"]);
    }
}
