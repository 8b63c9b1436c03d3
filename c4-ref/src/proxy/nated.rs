//! Whether a phone is behind a NAT.

use nat::detect::is_private;
use sip_core::header::{Header, Via};
use sip_core::uri::Uri;
use sip_core::{Request, Transport};

use crate::source::Source;

/// Whether what the phone says of itself differs from where its request came from: the sent-by of its Via, or a private
/// address in its Contact while it reaches us from a public one.
///
/// The phone's Via is the second where a load balancer put its own on top.
pub(super) fn is_nated(request: &Request, source: &Source, through_balancer: bool) -> bool {
    let mut vias = request.values(Header::Via).skip(usize::from(through_balancer));
    let via = vias.next().and_then(|value| <Via<'_> as sip_core::header::TypedHeader<'_>>::parse(value).ok());
    let Some(via) = via else { return false };
    let elsewhere = via.host_ip().is_none_or(|ip| ip.to_canonical() != source.remote.ip().to_canonical());
    // The port of a stream's client is its own affair.
    let port_differs = source.transport == Transport::Udp && via.port_or_default() != source.remote.port();
    elsewhere || port_differs || (hides_private_contact(request) && !is_private(source.remote.ip()))
}

fn hides_private_contact(request: &Request) -> bool {
    let contact = request.values(Header::Contact).next().and_then(sip_core::header::NameAddr::parse);
    let host = contact.and_then(|contact| Uri::parse(contact.uri)).and_then(|uri| uri.host.ip());
    host.is_some_and(is_private)
}
