//! What stands on the arrow of a message.
use sip_core::header::Header;
use sip_core::{Message, Method};

/// The method of the transaction that a message belongs to.
pub fn method(message: &Message) -> &str {
    let cseq = message.header_str(Header::CSeq).unwrap_or_default();
    cseq.rsplit(' ').next().unwrap_or_default()
}

/// The method, or the status with the method where that is not plain.
pub fn label(message: &Message) -> String {
    let Some(status) = message.status() else {
        let method = message.method().map(Method::as_str).unwrap_or_default();
        let credentials = [Header::Authorization, Header::ProxyAuthorization];
        let signed = credentials.into_iter().any(|name| message.header(name).is_some());
        let signed = signed && method != Method::Ack.as_str();
        return format!("{method}{}", if signed { " + digest" } else { "" });
    };
    match status.class() {
        1 => format!("{} {}", status.code(), status.reason()),
        2 => format!("{} {} ({})", status.code(), status.reason(), method(message)),
        _ => format!("{} ({})", status.code(), method(message)),
    }
}
