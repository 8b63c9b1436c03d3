//! The client side: requests out, responses in.

use super::branch;
use super::config::MtuRule;
use super::event::{Busy, Event, Gone, Transmit};
use super::id::{self, ClientId, ConnectId, Kind, TransmitId};
use super::invite_client::InviteClient;
use super::layer::Layer;
use super::non_invite_client::NonInviteClient;
use super::output::{Cx, Verdict};
use super::tenant::{Fsm, Side, Tenant};
use super::timer::Timer;
use super::via;
use crate::flow::{Destination, Flow, Target, Transport};
use crate::header::{Header, Via};
use crate::limits::Limits;
use crate::message::{Checked, Message, Request, Response};
use crate::method::Method;
use bytes::Bytes;

/// Octets of our Via that is known beforehand to be enough.
const VIA: usize = 128;

impl Layer {
    /// Sends a request in a transaction of its own: puts our Via with a new branch on top and starts Timer B or F.
    ///
    /// An ACK belongs to no transaction, see [`Layer::send`]; a CANCEL is made by [`Layer::cancel`].
    ///
    /// # Errors
    /// [`Busy`] when a bound is reached.
    pub fn request(
        &mut self,
        now: std::time::Instant,
        request: Request,
        to: impl Into<Destination>,
    ) -> Result<ClientId, Busy> {
        self.request_marked(now, request, to, "")
    }

    /// The same, with something of the user's own at the end of the branch: a proxy's loop hash (RFC 5393 §4.2.1), as a
    /// dot and token characters.
    ///
    /// # Errors
    /// [`Busy`] when a bound is reached.
    pub fn request_marked(
        &mut self,
        now: std::time::Instant,
        request: Request,
        to: impl Into<Destination>,
        mark: &str,
    ) -> Result<ClientId, Busy> {
        self.advance(now);
        let mut to = to.into();
        self.admit(&to, request.size_hint())?;
        let raw = self.table.reserve(Kind::Client).ok_or(Busy)?;
        let method = request.method().clone();
        let mut payload = self.with_via(request, raw, &to, mark);
        let mut datagram = None;
        if let (MtuRule::TcpAbove(most), Destination::Target(target)) = (self.mtu, &to)
            && target.transport == Transport::Udp
            && payload.len() > most
        {
            datagram = Some(Box::new(target.clone()));
            to = Destination::Target(Target { transport: Transport::Tcp, local: None, ..target.clone() });
            payload = self.change_via(&payload, raw, &to).unwrap_or(payload);
        }
        let fsm = match method {
            Method::Invite => Fsm::InviteClient(InviteClient::new(payload)),
            _ => Fsm::NonInviteClient(NonInviteClient::new(payload, false)),
        };
        self.start(raw, fsm, method, to, datagram);
        Ok(ClientId(raw))
    }

    /// Cancels an INVITE (RFC 3261 §9.1): a CANCEL leaves at once if a provisional response is there, else when one
    /// comes. `reason` is the value of a Reason header (RFC 3326). The outcome is the INVITE's final response, or
    /// [`Event::Timeout`] 64*T1 after the CANCEL.
    ///
    /// # Errors
    /// [`Gone`] when the INVITE has its final response, or is none.
    pub fn cancel(&mut self, now: std::time::Instant, id: ClientId, reason: Option<&str>) -> Result<(), Gone> {
        self.advance(now);
        self.table
            .with(id.0, |fsm, cx| match fsm {
                Fsm::InviteClient(fsm) => fsm.cancel(cx, reason),
                _ => Err(Gone),
            })
            .unwrap_or(Err(Gone))
    }

    /// Sends outside of transactions: an ACK to a 2xx, on which our Via is put, or a response that needs no state.
    ///
    /// # Errors
    /// [`Busy`] when a bound is reached.
    pub fn send(
        &mut self,
        now: std::time::Instant,
        message: impl Into<Checked>,
        to: impl Into<Destination>,
    ) -> Result<(), Busy> {
        self.advance(now);
        let (message, to) = (message.into(), to.into());
        self.admit(&to, message.message().size_hint())?;
        let stream = matches!(&to, Destination::Target(target) if target.transport != Transport::Udp);
        let raw = if stream {
            self.table.reserve(Kind::Send).ok_or(Busy)?
        } else {
            id::pack(self.table.serial(), 0, Kind::Send)
        };
        let (payload, method) = match message {
            Checked::Request(request) => {
                let method = request.method().clone();
                self.table.out.stats.req_sent += 1;
                (self.with_via(request, raw, &to, ""), method)
            }
            Checked::Response(response) => {
                let status = response.status();
                self.table.out.stats.rpl_sent += 1;
                self.table.out.stats.completed(status.class());
                (response.to_bytes(), Method::Options)
            }
        };
        if stream {
            self.start(raw, Fsm::Send(payload), method, to, None);
        } else {
            let flow = self.flow_of(&to);
            self.table.out.transmits.push_back(Transmit { id: TransmitId(raw), flow, payload });
        }
        Ok(())
    }

    /// Whether there is room for another client transaction, its output, and its octets if it has to connect.
    fn admit(&mut self, to: &Destination, octets: usize) -> Result<(), Busy> {
        let connects = matches!(to, Destination::Target(target) if target.transport.is_reliable());
        if self.table.clients >= self.limits.transactions
            || self.table.out.len() >= self.limits.output
            || (connects && self.table.connecting + octets + VIA > self.limits.connecting)
        {
            self.table.out.stats.busy += 1;
            return Err(Busy);
        }
        Ok(())
    }

    fn start(&mut self, raw: u64, fsm: Fsm, method: Method, to: Destination, datagram: Option<Box<Target>>) {
        let connecting = match &to {
            Destination::Target(target) if target.transport.is_reliable() => fsm.connecting(),
            _ => 0,
        };
        let bound = matches!(to, Destination::Flow(_));
        let side = Side::Client { connecting: connecting as u32, bound, datagram };
        self.table.connecting += connecting;
        self.table.insert(raw, Tenant::new(fsm, method, side));
        self.table.with(raw, |fsm, cx| match fsm {
            Fsm::InviteClient(fsm) => fsm.start(cx),
            Fsm::NonInviteClient(fsm) => fsm.start(cx),
            _ => cx.arm(Timer::Limit, cx.ticks.cancelled),
        });
        match to {
            Destination::Target(target) if target.transport.is_reliable() => {
                self.table.out.events.push_back(Event::Connect { id: ConnectId(raw), target });
            }
            to => self.connected(raw, self.flow_of(&to)),
        }
    }

    fn connected(&mut self, raw: u64, flow: Flow) {
        self.table.bind(raw, &flow);
        self.table.with(raw, |fsm, cx| match fsm {
            Fsm::InviteClient(fsm) => fsm.connected(cx, flow),
            Fsm::NonInviteClient(fsm) => fsm.connected(cx, flow),
            _ => {}
        });
    }

    /// The flow to a UDP target: from the listener that it names, else the first of its family.
    fn flow_of(&self, to: &Destination) -> Flow {
        match to {
            Destination::Flow(flow) => *flow,
            Destination::Target(Target { transport, remote, local, .. }) => {
                let local = local.or_else(|| self.sent_by.local_for(*transport, *remote));
                Flow {
                    transport: *transport,
                    local: local.unwrap_or_else(|| via::unspecified(*remote)),
                    remote: *remote,
                    connection: None,
                }
            }
        }
    }

    /// The request's octets with our Via on top.
    fn with_via(&self, mut request: Request, raw: u64, to: &Destination, mark: &str) -> Bytes {
        request.complete_length();
        // Our own Via is well-formed as long as sent-by is.
        request.to_bytes_with_via(&self.via(raw, to, mark))
    }

    fn via(&self, raw: u64, to: &Destination, mark: &str) -> Vec<u8> {
        let local = match to {
            Destination::Flow(flow) => Some(flow.local),
            Destination::Target(target) => target.local,
        };
        let mut out = Vec::with_capacity(VIA);
        self.sent_by.write(to.transport(), local, to.remote(), &mut out);
        branch::write(&self.keys, self.shard, raw, &mut out);
        out.extend_from_slice(mark.as_bytes());
        out
    }

    /// The same request with the Via of another transport and the same branch.
    fn change_via(&self, payload: &Bytes, raw: u64, to: &Destination) -> Option<Bytes> {
        let limits = Limits { max_message: usize::MAX, ..Limits::default() };
        let mut message = Message::parse(payload.clone(), &limits).ok()?;
        let mark = message.typed::<Via<'_>>()?.ok()?.branch().and_then(branch::mark)?.to_owned();
        message.replace_front_value(Header::Via, self.via(raw, to, &mark)).ok()?;
        Some(message.to_bytes())
    }

    /// A request that was too big for a datagram goes by UDP after all (RFC 3261 §18.1.1). True when it did.
    pub(super) fn fall_back_to_udp(&mut self, raw: u64) -> bool {
        let Some(tenant) = self.table.get_mut(raw) else { return false };
        let Side::Client { datagram, .. } = &mut tenant.side else { return false };
        let Some(target) = datagram.take() else { return false };
        let payload = match &tenant.fsm {
            Fsm::InviteClient(fsm) if fsm.is_connecting() => fsm.payload().clone(),
            Fsm::NonInviteClient(fsm) if fsm.is_connecting() => fsm.payload().clone(),
            _ => return false,
        };
        let to = Destination::Target(*target);
        let Some(payload) = self.change_via(&payload, raw, &to) else { return false };
        match self.table.get_mut(raw).map(|tenant| &mut tenant.fsm) {
            Some(Fsm::InviteClient(fsm)) => fsm.replace(payload),
            Some(Fsm::NonInviteClient(fsm)) => fsm.replace(payload),
            _ => return false,
        }
        self.connected(raw, self.flow_of(&to));
        true
    }

    /// RFC 3261 §17.1.3: by the branch of the topmost Via and the method of CSeq.
    pub(super) fn handle_response(&mut self, mut response: Response, flow: Flow) {
        self.table.out.stats.rpl_received += 1;
        let raw = response.branch().and_then(|branch| branch::read(&self.keys, self.shard, branch));
        let method = response.cseq().method;
        let Some((raw, cancel)) = raw.and_then(|raw| self.client_of(raw, &method)) else {
            self.table.out.stats.stray_responses += 1;
            self.table.out.events.push_back(Event::StrayResponse { response, flow });
            return;
        };
        self.table.with(raw, |fsm, cx| {
            let verdict = match fsm {
                Fsm::InviteClient(fsm) if cancel => {
                    fsm.on_cancel_response(cx, response.status().class());
                    Verdict::Absorb
                }
                Fsm::InviteClient(fsm) => fsm.on_response(cx, &response),
                Fsm::NonInviteClient(fsm) => fsm.on_response(cx, response.status().class()),
                _ => Verdict::Absorb,
            };
            if verdict == Verdict::Pass {
                response.pop_via();
                cx.event(Event::Response { id: ClientId(raw), response, flow });
            }
        });
    }

    /// The transaction of a branch, and whether the response is to its CANCEL.
    fn client_of(&self, raw: u64, method: &Method) -> Option<(u64, bool)> {
        let tenant = self.table.get(raw)?;
        let cancel = tenant.method == Method::Invite && *method == Method::Cancel;
        (cancel || tenant.method == *method).then_some((raw, cancel))
    }
}

/// A timer of a client transaction, or of what waits to be sent.
pub(super) fn on_timer(fsm: &mut Fsm, cx: &mut Cx<'_>, timer: Timer) {
    let timeout = match fsm {
        Fsm::InviteClient(fsm) => fsm.on_timer(cx, timer),
        Fsm::NonInviteClient(fsm) => fsm.on_timer(cx, timer),
        Fsm::Send(payload) => {
            payload.clear();
            false
        }
        Fsm::InviteServer(_) | Fsm::NonInviteServer(_) => false,
    };
    if timeout {
        cx.out.stats.timed_out += 1;
        cx.event(Event::Timeout { id: ClientId(cx.raw) });
    }
}

/// The request could not be sent.
pub(super) fn on_failure(fsm: &mut Fsm, cx: &mut Cx<'_>) {
    let concerned = match fsm {
        Fsm::InviteClient(fsm) => fsm.on_failure(cx),
        Fsm::NonInviteClient(fsm) => fsm.on_failure(cx),
        _ => false,
    };
    if concerned {
        cx.out.stats.transport_failed += 1;
        cx.event(Event::TransportFailed { id: ClientId(cx.raw) });
    }
}

/// The connection of the request is gone.
pub(super) fn on_closed(fsm: &mut Fsm, cx: &mut Cx<'_>, bound: bool) {
    let hopeless = match fsm {
        Fsm::InviteClient(fsm) => !fsm.is_waiting() && (bound || !fsm.is_proceeding()),
        Fsm::NonInviteClient(fsm) => !fsm.is_waiting() && (bound || !fsm.is_proceeding()),
        _ => false,
    };
    if hopeless {
        on_failure(fsm, cx);
    }
}
