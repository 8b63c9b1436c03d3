//! Calls for a terminal.
use std::fmt::Write;
use std::time::Duration;

use super::calls::Call;
use super::streams::Stream;
use super::trace::{Counts, Trace};
use super::{Step, draw};
use crate::cdr::rfc3339;

/// Columns of a diagram at most; messages from and to others are counted beneath it.
const PARTIES: usize = 12;

/// What of a capture is shown.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only this Call-ID.
    pub call_id: Option<String>,
    /// Registrations and whatever else is no call, too.
    pub all: bool,
}

impl Choice {
    /// Whether a call is shown.
    pub fn takes(&self, call: &Call) -> bool {
        match &self.call_id {
            Some(id) => *call.id == **id,
            None => self.all || call.is_invite,
        }
    }
}

/// The chosen calls of a capture, each with its diagram and its RTP, and a line about the whole.
pub fn render(trace: &Trace, choice: &Choice) -> String {
    let mut out = String::new();
    let mut shown = 0;
    for (number, call) in trace.calls().iter().enumerate().filter(|(_, call)| choice.takes(call)) {
        shown += 1;
        render_call(&mut out, call, &trace.streams(number).collect::<Vec<_>>());
        out.push('\n');
    }
    let _ = writeln!(out, "{shown} of {} dialogs. {}", trace.calls().len(), remarks(&trace.counts()));
    out
}

/// A call with its diagram and its RTP.
pub fn render_call(out: &mut String, call: &Call, streams: &[&Stream]) {
    let start = call.start();
    let _ = writeln!(out, "{}  {}\n{}\n", plain(&call.opening), summary(call), plain(&call.id));
    let mut parties: Vec<&str> = Vec::new();
    for name in call.rows.iter().flat_map(|row| [&row.from, &row.to]) {
        if !parties.contains(&&**name) && parties.len() < PARTIES {
            parties.push(name);
        }
    }
    let place = |name: &str| parties.iter().position(|party| *party == name);
    let step = |row: &super::Row| {
        let (from, to) = (place(&row.from)?, place(&row.to)?);
        Some(Step { at: row.at.saturating_sub(start), from, to, label: row.label.to_string() })
    };
    let steps: Vec<Step> = call.rows.iter().filter_map(step).collect();
    out.push_str(&draw(&parties, &steps));
    let left_out = call.left_out + (call.rows.len() - steps.len()) as u64;
    if left_out > 0 {
        let _ = writeln!(out, "{:>9}{left_out} more messages", "");
    }
    if !streams.is_empty() {
        table(out, streams, start);
    }
}

/// What came over the wire must not command the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

fn summary(call: &Call) -> String {
    let since = |at: &Duration| at.saturating_sub(call.start()).as_secs_f64();
    let mut summary = rfc3339(call.start().as_millis() as u64);
    let _ = match (&call.answered, &call.refused) {
        (Some(at), _) => write!(summary, ", answered after {:.3} s", since(at)),
        (None, Some(status)) => write!(summary, ", refused with {} {}", status.code(), status.reason()),
        (None, None) => Ok(()),
    };
    if let Some((at, by)) = &call.ended {
        let _ = write!(summary, ", ended after {:.3} s by {by}", since(at));
    }
    summary
}

fn table(out: &mut String, streams: &[&Stream], start: Duration) {
    let addresses = streams.iter().flat_map(|stream| [stream.from, stream.to]);
    let width = addresses.map(|address| address.to_string().len()).max().unwrap_or_default();
    let _ = writeln!(
        out,
        "\nRTP    {:<width$}  {:<width$}  SSRC      codec      seconds  packets  lost      %  jitter ms   MOS",
        "from", "to"
    );
    for stream in streams {
        let (at, seconds) = (stream.first.saturating_sub(start), stream.last.saturating_sub(stream.first));
        let _ = writeln!(
            out,
            "{:>6.2} {:<width$}  {:<width$}  {:08x}  {:<9} {:>8.2} {:>8} {:>5} {:>6.2} {:>10.2} {:>5.2}",
            at.as_secs_f64(),
            stream.from.to_string(),
            stream.to.to_string(),
            stream.ssrc,
            plain(&stream.codec),
            seconds.as_secs_f64(),
            stream.packets(),
            stream.lost(),
            stream.loss_percent(),
            stream.jitter_ms(),
            stream.mos().unwrap_or_default(),
        );
    }
}

/// What the reader of the diagrams must know to believe them.
fn remarks(counts: &Counts) -> String {
    let Counts { frames, messages, fragments, links, malformed, cut, encrypted, gaps, left_out, rest } = *counts;
    let mut out = match frames {
        0 => format!("{messages} messages."),
        _ => format!("{messages} messages in {frames} frames."),
    };
    for (count, what) in [
        (fragments, "fragments make no whole IP packet"),
        (links, "frames are of a link type that is not known"),
        (malformed, "datagrams look like SIP and cannot be read"),
        (cut, "messages were not captured whole"),
        (encrypted, "streams are encrypted by TLS"),
        (gaps, "octets of TCP are missing"),
        (left_out, "messages are beyond what is kept"),
        (rest, "octets at the end are no whole frame"),
    ] {
        if count > 0 {
            let _ = write!(out, " {count} {what}.");
        }
    }
    out
}
