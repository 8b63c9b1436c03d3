//! How the parameters of credentials and challenges are written (RFC 7616 §3.3, §3.4).

use crate::header::grammar::is_token;

/// Appends `, name="value"` (without the comma where nothing was written since the scheme), escaped.
pub(super) fn write_quoted(out: &mut Vec<u8>, name: &str, value: &str) {
    write_name(out, name);
    out.push(b'"');
    for octet in value.bytes() {
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            // What could end the line is left out.
            b'\r' | b'\n' | 0 => {}
            _ => out.push(octet),
        }
    }
    out.push(b'"');
}

/// Appends `, name=value`. What is no token character is left out.
pub(super) fn write_token(out: &mut Vec<u8>, name: &str, value: &str) {
    write_name(out, name);
    out.extend(value.bytes().filter(|c| is_token(*c)));
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    if !out.ends_with(b"Digest ") {
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}
