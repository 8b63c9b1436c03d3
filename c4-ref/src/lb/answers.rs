//! Answers of our own, without state: they go back on the flow of the request, and the same request gets the same one.

use std::fmt::Write as _;

use nat::reply::ReplyToken;
use sip_core::message::{Checked, Defect, Message, Request, Response};
use sip_core::{Method, StatusCode};

use super::Lb;
use super::arrival::Arrival;
use super::stats::Counter;
use crate::source::Named;

/// What our To tags begin with (RFC 3261 §8.2.7: computed from the request, so that retransmissions get the same).
const TAG: &str = "c4lb-";

impl Lb {
    /// Answers a request; an ACK never is.
    pub(super) fn answer(&mut self, arrival: &Arrival, request: &Request, status: StatusCode) {
        if *request.method() == Method::Ack {
            return;
        }
        if status != StatusCode::OK {
            let (method, call_id, to) = (request.method().as_str(), request.call_id(), Named(request.uri()));
            let source = arrival.flow.remote;
            tracing::debug!(status = status.code(), method, call_id, %to, %source, "refused");
        }
        let response = self.answer_of(request, status);
        let back = self.way_back(arrival, request.via());
        self.answer_back(&back, response);
    }

    /// An answer with a To tag.
    pub(super) fn answer_of(&mut self, request: &Request, status: StatusCode) -> Response {
        let mut response = request.response(status);
        self.tag(&mut response, request);
        response
    }

    pub(super) fn tag(&mut self, response: &mut Response, request: &Request) {
        let tag = self.own_tag(request.call_id(), request.from_tag(), request.cseq().seq);
        self.set_tag(response, tag);
    }

    fn set_tag(&mut self, response: &mut Response, tag: u64) {
        self.text.clear();
        _ = write!(self.text, "{TAG}{tag:016x}");
        _ = response.set_to_tag(&self.text);
    }

    pub(super) fn answer_back(&mut self, back: &ReplyToken, response: Response) {
        let Ok(flow) = self.of_reply(back) else { return self.stats.bump(Counter::LostResponses) };
        self.stats.bump(Counter::Answered);
        self.transmit(flow, response.to_bytes());
    }

    /// Answers what cannot be taken as a request, if that can and may be answered.
    pub(super) fn answer_defect(&mut self, arrival: &Arrival, defect: &Defect) {
        let Some(response) = defect.response() else { return self.stats.bump(Counter::Malformed) };
        self.stats.bump(Counter::MalformedAnswered);
        let response = match response.check() {
            Ok(Checked::Response(mut response)) => {
                let tag = self.own_tag(response.call_id(), response.from_tag(), response.cseq().seq);
                self.set_tag(&mut response, tag);
                response.into_message()
            }
            // What is wrong is in what every response copies: it goes back as it came.
            Ok(Checked::Request(_)) => return,
            Err(defect) => defect.into_message(),
        };
        self.answer_raw(arrival, &response);
    }

    fn answer_raw(&mut self, arrival: &Arrival, response: &Message) {
        let via = response.typed().and_then(Result::ok);
        let Ok(flow) = self.of_reply(&self.way_back(arrival, via)) else { return };
        self.stats.bump(Counter::Answered);
        self.transmit(flow, response.to_bytes());
    }

    /// Whether an ACK belongs to an answer of ours, and so ends here.
    pub(super) fn is_own_ack(&self, request: &Request) -> bool {
        if *request.method() != Method::Ack {
            return false;
        }
        let ours = request.to_tag().and_then(|tag| tag.strip_prefix(TAG));
        let tag = || self.own_tag(request.call_id(), request.from_tag(), request.cseq().seq);
        ours.is_some_and(|said| u64::from_str_radix(said, 16) == Ok(tag()))
    }

    fn own_tag(&self, call_id: &str, from_tag: Option<&str>, seq: u32) -> u64 {
        let from_tag = from_tag.unwrap_or_default().as_bytes();
        self.secrets.tag.hash(&[call_id.as_bytes(), from_tag, &seq.to_le_bytes()])
    }
}
