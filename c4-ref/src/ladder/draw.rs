//! The diagram.
use std::fmt::Write;
use std::time::Duration;

/// One message between two parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the diagram's beginning.
    pub at: Duration,
    /// Index of the party that sent it.
    pub from: usize,
    /// Index of the party that got it; the same for a message to oneself.
    pub to: usize,
    /// What stands on the arrow.
    pub label: String,
}

/// Columns are this far apart at most; a longer label is cut.
const WIDEST: usize = 40;
/// Seconds with milliseconds, and a gap.
const MARGIN: usize = 9;

/// Draws the diagram. Steps are drawn in the order given; those that name no party are left out.
///
/// ```
/// use c4_ref::ladder::{Step, draw};
/// use std::time::Duration;
/// let step = |ms, from, to, label: &str| Step { at: Duration::from_millis(ms), from, to, label: label.into() };
/// let drawn = draw(&["alice", "bob"], &[step(0, 0, 1, "INVITE"), step(12, 1, 0, "200 OK")]);
/// assert_eq!(drawn, "         alice     bob\n  0.000  |-INVITE->|\n  0.012  |<-200 OK-|\n");
/// ```
pub fn draw(parties: &[&str], steps: &[Step]) -> String {
    let steps: Vec<&Step> = steps.iter().filter(|step| step.from < parties.len() && step.to < parties.len()).collect();
    let span = spacing(parties, &steps);
    let mut out = " ".repeat(MARGIN);
    for party in parties {
        let _ = write!(out, "{party:<span$}");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for step in steps {
        let _ = write!(out, "{:>7.3}  ", step.at.as_secs_f64());
        row(&mut out, parties.len(), span, step);
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// Room for the longest label between two neighbours, with the bar and the arrow: `|-INVITE->`.
fn spacing(parties: &[&str], steps: &[&Step]) -> usize {
    let labels = steps.iter().map(|step| step.label.chars().count() + 4);
    let names = parties.iter().map(|party| party.chars().count() + 2);
    labels.chain(names).max().unwrap_or(0).clamp(8, WIDEST)
}

fn row(out: &mut String, parties: usize, span: usize, step: &Step) {
    let (left, right) = (step.from.min(step.to), step.from.max(step.to));
    for column in 0..parties {
        out.push('|');
        if column < left || column > right || (column == right && left != right) {
            out.push_str(&" ".repeat(span - 1));
        } else if left == right {
            let _ = write!(out, "{:<width$}", cut(&format!("* {}", step.label), span - 1), width = span - 1);
        } else if column == left {
            arrow(out, (right - left) * span - 1, step.from > step.to, &step.label);
            // The arrow covers the columns in between.
            for rest in right..parties {
                out.push('|');
                if rest + 1 < parties {
                    out.push_str(&" ".repeat(span - 1));
                }
            }
            return;
        }
    }
}

fn arrow(out: &mut String, width: usize, leftward: bool, label: &str) {
    let label = cut(label, width.saturating_sub(3));
    let fill = width - 1 - label.chars().count();
    let (before, after) = ("-".repeat(fill / 2), "-".repeat(fill - fill / 2));
    let _ = if leftward { write!(out, "<{before}{label}{after}") } else { write!(out, "{before}{label}{after}>") };
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(ms: u64, from: usize, to: usize, label: &str) -> Step {
        Step { at: Duration::from_millis(ms), from, to, label: label.into() }
    }

    #[test]
    fn arrows_go_both_ways_between_neighbours() {
        let steps = [step(0, 0, 1, "INVITE"), step(1, 1, 2, "INVITE"), step(1503, 2, 1, "200 OK")];
        let expected = "\
                 alice     c4-lb     bob\n  \
                 0.000  |-INVITE->|         |\n  \
                 0.001  |         |-INVITE->|\n  \
                 1.503  |         |<-200 OK-|\n";
        let expected = expected.replacen("alice", "         alice", 1);
        assert_eq!(draw(&["alice", "c4-lb", "bob"], &steps), expected);
    }

    #[test]
    fn an_arrow_may_pass_a_party_by() {
        let drawn = draw(&["a", "b", "c"], &[step(0, 0, 2, "ACK"), step(0, 2, 0, "BYE")]);
        let lines: Vec<&str> = drawn.lines().skip(1).collect();
        assert_eq!(lines, ["  0.000  |-----ACK------>|", "  0.000  |<-----BYE------|"]);
    }

    #[test]
    fn a_label_without_room_is_cut_and_unknown_parties_are_left_out() {
        let drawn = draw(&["a", "b"], &[step(0, 0, 1, &"x".repeat(90)), step(0, 0, 7, "lost"), step(5, 1, 1, "self")]);
        assert!(drawn.lines().all(|line| line.chars().count() <= MARGIN + 2 * WIDEST), "{drawn}");
        assert!(drawn.contains("xx~->|") || drawn.contains("xx~>|"), "{drawn}");
        assert!(drawn.contains("* self") && !drawn.contains("lost"), "{drawn}");
    }

    #[test]
    fn every_line_has_a_bar_for_every_party_that_no_arrow_covers() {
        let drawn = draw(&["a", "b", "c", "d"], &[step(0, 1, 2, "x"), step(0, 3, 2, "y"), step(0, 0, 1, "z")]);
        for line in drawn.lines().skip(1) {
            assert_eq!(line.matches('|').count(), 4, "{drawn}");
        }
    }
}
