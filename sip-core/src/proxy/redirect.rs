//! Redirection by the proxy itself (RFC 3261 §16.5, §16.7 step 4): the Contacts of a 3xx become targets.

use super::context::Context;
use super::core::Proxy;
use super::next_hop::{self, NextHop};
use super::targets::Branch;
use crate::flow::Target;
use crate::header::Contact;
use crate::message::Response;
use crate::uri::Uri;

/// What a 3xx redirects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The new Request-URI.
    pub uri: String,
    /// Preference in thousandths; 1000 where none is written.
    pub q: u16,
}

/// The Contacts of a 3xx, as they stand: sip and sips without headers, which must not stand in a Request-URI
/// (RFC 3261 §19.1.1). Whether one of them may be called is the caller's to judge.
pub fn redirects(response: &Response) -> impl Iterator<Item = Redirect> {
    response.typed_all::<Contact<'_>>().filter_map(|contact| {
        let contact = contact.ok()?;
        let address = contact.address()?;
        let usable = address.parsed_uri().is_some_and(|uri| uri.scheme.is_sip() && !uri.has_headers());
        usable.then(|| Redirect { uri: address.uri.to_owned(), q: contact.q().unwrap_or(1000) })
    })
}

impl Proxy {
    /// Turns the Contacts of a 3xx into targets of the same kind as the branch that was redirected. True when at least
    /// one was: the 3xx itself is then no candidate any more.
    pub(super) fn recurse(&self, context: &mut Context, index: usize, response: &Response) -> bool {
        if !context.options.recurse {
            return false;
        }
        let Some(redirected) = context.legs.get_mut(index).and_then(|leg| leg.sent.take()) else { return false };
        let mut targets = Vec::new();
        for Redirect { uri, q } in redirects(response) {
            let full = context.legs.len() + context.queue.len() + targets.len() >= self.config.max_branches;
            let Some(target) = numeric(&uri).filter(|_| !full && !was_tried(context, &uri)) else { continue };
            context.tried.push(uri.as_str().into());
            targets.push(Branch {
                uri: Some(uri),
                q,
                destination: target.into(),
                routes: Vec::new(),
                failover: Vec::new(),
                ..(*redirected).clone()
            });
        }
        let found = !targets.is_empty();
        context.queue.add(targets);
        found
    }
}

fn numeric(uri: &str) -> Option<Target> {
    match next_hop::of_uri_text(uri) {
        Ok(NextHop::Target(target)) => Some(target),
        _ => None,
    }
}

/// RFC 3261 §16.5: no URI is tried twice.
fn was_tried(context: &Context, uri: &str) -> bool {
    let Some(uri) = Uri::parse(uri) else { return true };
    context.tried.iter().filter_map(|tried| Uri::parse(tried)).any(|tried| tried.equivalent(&uri))
}
