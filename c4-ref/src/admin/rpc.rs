//! The lines of JSON-RPC 2.0.

use serde::Deserialize;
use serde_json::{Value, json};

/// A request line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// Comes back in the reply.
    #[serde(default)]
    pub id: Value,
    /// Name of the method.
    pub method: String,
    /// An object, an array or null.
    #[serde(default)]
    pub params: Value,
}

/// Error codes of JSON-RPC 2.0 §5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// No JSON.
    Parse,
    /// JSON, but no request.
    InvalidRequest,
    /// Unknown method.
    MethodNotFound,
    /// The method refuses its parameters.
    InvalidParams,
    /// The program could not answer.
    Internal,
}

impl ErrorCode {
    fn number(self) -> i32 {
        match self {
            ErrorCode::Parse => -32700,
            ErrorCode::InvalidRequest => -32600,
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InvalidParams => -32602,
            ErrorCode::Internal => -32603,
        }
    }
}

/// Reads a request line.
///
/// # Errors
/// The reply line that says what is wrong.
pub fn parse_line(line: &[u8]) -> Result<Request, String> {
    let value: Value =
        serde_json::from_slice(line).map_err(|e| error_line(&Value::Null, ErrorCode::Parse, &e.to_string()))?;
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|e| error_line(&id, ErrorCode::InvalidRequest, &e.to_string()))
}

/// The reply line, with its line feed.
pub fn reply_line(id: &Value, result: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// The reply line of a failure, with its line feed.
pub fn error_line(id: &Value, code: ErrorCode, message: &str) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code.number(), "message": message } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonrpc_5_1_garbage_is_answered_by_its_code() {
        assert!(parse_line(b"\xff\xfe{").unwrap_err().contains("-32700"));
        assert!(parse_line(br#"{"id": 7}"#).unwrap_err().contains("-32600"));
        assert!(parse_line(br#"{"id": 7}"#).unwrap_err().contains("\"id\":7"));
        assert_eq!(parse_line(br#"{"method":"info"}"#).unwrap().method, "info");
    }
}
