//! The choice of the best response (RFC 3261 §16.7 steps 4, 6 and 7).

use super::event::{BranchRef, By, Cause};
use super::fold::unfold;
use crate::header::Header;
use crate::message::Response;
use crate::status::StatusCode;

/// The best final response of a context so far, and the challenges of those that lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Best {
    pub(super) chosen: Option<Candidate>,
    pub(super) challenges: Vec<(Header, Vec<u8>)>,
}

/// A final response of a branch; no message where the status stands for a timer or a failure.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) status: StatusCode,
    pub(super) response: Option<Response>,
    pub(super) branch: BranchRef,
    pub(super) cause: Cause,
}

impl Candidate {
    pub(super) fn by(&self) -> By {
        match self.cause {
            Cause::Response => By::Callee,
            Cause::Timeout | Cause::Expired => By::Timer,
            Cause::Transport | Cause::NotSent => By::Transport,
        }
    }
}

impl Best {
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.chosen.as_ref().map(|chosen| chosen.status)
    }

    /// The best response's message.
    pub(super) fn response(&self) -> Option<&Response> {
        self.chosen.as_ref()?.response.as_ref()
    }

    /// Forgets a 3xx, because the caller has followed it (RFC 3261 §16.7 step 4).
    pub(super) fn forget_redirection(&mut self) {
        self.chosen.take_if(|chosen| chosen.status.class() == 3);
    }

    /// Whether a 6xx came: nothing else may be tried (RFC 3261 §16.7 step 5).
    pub(super) fn is_global(&self) -> bool {
        self.status().is_some_and(|status| status.class() == 6)
    }

    /// Whether there is a failure that other targets could make good.
    pub(super) fn wants_more(&self) -> bool {
        self.status().is_some() && !self.is_global()
    }

    /// Takes a final response in: it becomes the best one, or only its challenges are kept.
    pub(super) fn add(&mut self, candidate: Candidate) {
        let better = self.chosen.as_ref().is_none_or(|chosen| rank(candidate.status) < rank(chosen.status));
        let loser = if better { self.chosen.replace(candidate) } else { Some(candidate) };
        if let Some(response) = loser.and_then(|loser| loser.response) {
            self.keep_challenges(&response);
        }
    }

    fn keep_challenges(&mut self, response: &Response) {
        if !is_challenge(response.status()) {
            return;
        }
        for name in [Header::WwwAuthenticate, Header::ProxyAuthenticate] {
            self.challenges.extend(response.headers(name).map(|value| (name, unfold(value))));
        }
    }

    /// The best response, with the challenges of the others where it is a challenge itself (step 7).
    pub(super) fn take(&mut self) -> Option<Candidate> {
        let mut chosen = self.chosen.take()?;
        if let Some(response) = chosen.response.as_mut().filter(|_| is_challenge(chosen.status)) {
            for (name, value) in self.challenges.drain(..) {
                // A value without folds that was received can be written again.
                let _ = response.push_back(name, &value);
            }
        }
        Some(chosen)
    }
}

fn is_challenge(status: StatusCode) -> bool {
    matches!(status.code(), 401 | 407)
}

/// The order of final responses, best first (RFC 3261 §16.7 step 6): 6xx before all; then the lowest class; within 4xx
/// those that tell how to try again; last those that only say that a branch came to nothing.
fn rank(status: StatusCode) -> (u8, u8) {
    let class = match status.class() {
        6 => 0,
        class => class,
    };
    let within = match status.code() {
        401 | 407 => 0,
        415 | 420 | 484 => 1,
        408 | 430 | 487 => 3,
        503 => 3, // turns into 500: any other 5xx says more
        _ => 2,
    };
    (class, within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_of(codes: &[u16]) -> Option<u16> {
        let mut best = Best::default();
        for (index, code) in codes.iter().enumerate() {
            let status = StatusCode::new(*code)?;
            let branch = BranchRef { index: index as u16, user: 0 };
            best.add(Candidate { status, response: None, branch, cause: Cause::Response });
        }
        best.status().map(StatusCode::code)
    }

    #[test]
    fn rfc3261_16_7_6_6xx_wins_then_the_lowest_class() {
        assert_eq!(best_of(&[486, 603, 302]), Some(603));
        assert_eq!(best_of(&[500, 486, 302]), Some(302));
        assert_eq!(best_of(&[503, 404]), Some(404));
        assert_eq!(best_of(&[]), None);
    }

    #[test]
    fn rfc3261_16_7_6_within_4xx_those_that_tell_how_to_try_again() {
        for code in [401, 407, 415, 420, 484] {
            assert_eq!(best_of(&[486, code, 404]), Some(code));
        }
        assert_eq!(best_of(&[484, 407]), Some(407));
    }

    #[test]
    fn a_busy_phone_says_more_than_a_silent_or_a_cancelled_one() {
        assert_eq!(best_of(&[408, 486]), Some(486));
        assert_eq!(best_of(&[487, 404]), Some(404));
        assert_eq!(best_of(&[503, 500]), Some(500));
        assert_eq!(best_of(&[408, 500]), Some(408));
    }

    #[test]
    fn of_equals_the_first_stays() {
        assert_eq!(best_of(&[486, 404]), Some(486));
    }
}
