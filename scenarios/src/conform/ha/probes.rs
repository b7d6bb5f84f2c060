//! When the client made its requests. The recording has those whose result differed from that before; the
//! others followed one another, each when the one before had ended, but no faster than one in 100 ms.

use super::observed::{Answer, Request};
use sim_core::engine::{Span, Time};

/// Longest time that the client waits for an answer.
pub const PATIENCE: Span = Span::from_millis(400);
/// Least time from request to request.
const PACE: Span = Span::from_millis(100);

/// When requests began, from the recorded ones until `end`. With `odd` there is one more in the first time
/// in which they were served.
pub fn starts(recorded: &[Request], odd: bool, end: Time) -> Vec<Time> {
    paced(recorded, PACE, odd, end)
}

/// The same with another least time from request to request.
pub fn paced(recorded: &[Request], pace: Span, odd: bool, end: Time) -> Vec<Time> {
    let mut more = odd;
    let mut starts = Vec::new();
    for (n, request) in recorded.iter().enumerate() {
        let step = if request.answer == Answer::TimedOut { PATIENCE.max(pace) } else { pace };
        let until = recorded.get(n + 1).map_or(end, |next| next.at);
        let mut at = request.at;
        starts.push(at);
        if request.answer.is_served() && core::mem::take(&mut more) {
            starts.push(at + Span::from_nanos(pace.as_nanos() / 2));
        }
        // the next recorded request began when the one before it had ended
        while at + step + step <= until {
            at += step;
            starts.push(at);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_dense_as_their_results_allow() {
        let ms = |n: u64| Time::from_nanos(n * 1_000_000);
        let request = |at, answer| Request { at: ms(at), answer };
        let recorded = [
            request(0, Answer::TimedOut),
            request(1250, Answer::Served("rs1".into())),
            request(1470, Answer::Refused),
        ];
        let all = starts(&recorded, false, ms(1800));
        let wanted = [0, 400, 800, 1250, 1350, 1470, 1570, 1670].map(ms);
        assert_eq!(all, wanted);
        let odd = [0, 400, 800, 1250, 1300, 1350, 1470, 1570, 1670].map(ms);
        assert_eq!(starts(&recorded, true, ms(1800)), odd);
    }
}
