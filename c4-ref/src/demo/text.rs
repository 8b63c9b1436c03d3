//! The report for a terminal.
use std::fmt::Write;

use super::house::{CALLEE, CALLER};
use super::report::{PARTIES, Report};
use super::sound;
use crate::ladder;

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for phone in [CALLER, CALLEE] {
        let algorithm = report.algorithm(phone).unwrap_or_else(|| "no digest".into());
        let _ = writeln!(out, "{phone} is registered ({algorithm})");
    }
    for (call, number) in report.calls().iter().zip(1..) {
        let _ = writeln!(out, "\nCall {number}: {CALLER} calls {CALLEE}, {} hangs up\n", call.hung_up_by);
        out.push_str(&ladder::draw(&PARTIES, &report.steps(call)));
        let _ = writeln!(out, "\n{}\nRecord: {}", sound::table(call), call.line.trim_end());
    }
    out.push_str("\nEvery message was captured at both of its ends; phones, relay, ladder and records agree.\n");
    out
}
