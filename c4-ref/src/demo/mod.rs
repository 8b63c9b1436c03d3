//! `c4 demo`: load balancer, proxy and two phones in one process on loopback, two calls, and what became of them.
//!
//! The phones are scripted ([`script`]) and everything that they and the roles send is captured at the sockets. The
//! [`report`] is made of that alone, checked against the phones' own journals and the call detail records.

mod house;
pub mod report;
mod script;
mod text;

use clap::ValueEnum;
use serde_json::Value;

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
}

/// Runs the demonstration; what is to be printed.
///
/// # Errors
/// One line that says what went wrong: something did not start, a call did not come about, or what was captured, what the
/// phones say and what the records say do not agree.
pub fn run(args: &Args) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let house = house::House::start(args)?;
    let played = runtime.block_on(script::play(&house, args));
    let capture = house.stop()?;
    let played = played?;
    let report = report::Report::new(capture, played);
    if let Some(disagreement) = report.disagreements().into_iter().next() {
        return Err(Failure::software(format!("demo: {disagreement}")));
    }
    Ok(match args.json {
        true => format!("{:#}\n", Value::Object(report.to_json())),
        false => text::render(&report),
    })
}
