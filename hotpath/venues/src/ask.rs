//! Questions over HTTP to one venue, with what a good guest minds: the venue's budget, shared with everybody on this machine
//! who asks from the same address; its word to stay away; and a circuit breaker, so that a venue in trouble is left alone
//! for a while and answers that would come too late are not waited for.

use crate::adapter::{Budget, Request};
use crate::binance::rest::{Rest, RestError};
use crate::limit::{Left, LimitError, Limiter, Priority};
use failsafe::backoff::{self, EqualJittered};
use failsafe::failure_policy::{self, ConsecutiveFailures};
use failsafe::{CircuitBreaker, Config, Error, StateMachine};
use std::path::Path;
use std::time::Duration;
use thiserror::Error as ThisError;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 3;
/// How long it stays open: at first, and at most, each time between half of it and all of it. failsafe 1.3.0 halves whole
/// seconds, so that 1 s would be none.
const OPEN: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(60));
/// How long to stay away when the venue says "too many" and not for how long, and when it says that we are banned.
const AWAY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(120));

/// A question that got no answer.
#[derive(Debug, ThisError)]
pub enum AskError {
    /// The venue's budget is used up, or it told us to stay away; asking again before this makes it worse.
    #[error("the venue's budget allows no question for another {} ms", .0.as_millis())]
    Budget(Duration),
    /// The venue failed so often that it is left alone for a moment.
    #[error("the venue failed {FAILURES} times in a row and is left alone for a moment")]
    Open,
    /// The question was asked.
    #[error(transparent)]
    Failed(#[from] RestError),
    /// It cannot be counted, so it was not asked.
    #[error(transparent)]
    Uncounted(#[from] LimitError),
}

/// Asks one venue.
pub struct Asker {
    rest: Rest,
    limiter: Limiter,
    breaker: StateMachine<ConsecutiveFailures<EqualJittered>, ()>,
}

impl Asker {
    /// Asks the service at `base`, at most `timeout` a question. `budgets` is the folder where everybody on this machine
    /// counts; `scope` names the budget, such as `kraken-ip`.
    ///
    /// # Errors
    /// [`AskError::Failed`] when the address cannot be used, [`AskError::Uncounted`].
    pub fn new(base: &str, timeout: Duration, budgets: &Path, scope: &str, budget: Budget) -> Result<Asker, AskError> {
        let policy = failure_policy::consecutive_failures(FAILURES, backoff::equal_jittered(OPEN.0, OPEN.1));
        Ok(Asker {
            rest: Rest::new(base, timeout)?,
            limiter: Limiter::open(budgets, scope, budget)?,
            breaker: Config::new().failure_policy(policy).build(),
        })
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn ask(&self, request: &Request, priority: Priority) -> Result<String, AskError> {
        if !self.breaker.is_call_permitted() {
            return Err(AskError::Open);
        }
        // A refusal is an answer: only a venue that cannot answer opens the breaker.
        let failed = |error: &RestError| match error {
            RestError::Network { .. } => true,
            RestError::Venue { status, .. } => *status >= 500,
            RestError::Address { .. } | RestError::Decode { .. } => false,
        };
        let call = || self.breaker.call_with(failed, || self.rest.get(&request.path));
        match self.limiter.spend(request.weight, priority, call)?.map_err(AskError::Budget)? {
            Ok(body) => Ok(body),
            Err(Error::Rejected) => Err(AskError::Open),
            Err(Error::Inner(error)) => {
                self.mind(&error)?;
                Err(AskError::Failed(error))
            }
        }
    }

    /// Stays away when the venue says so.
    fn mind(&self, error: &RestError) -> Result<(), LimitError> {
        let RestError::Venue { status, retry_after, .. } = error else { return Ok(()) };
        match status {
            429 => self.limiter.ban(retry_after.unwrap_or(AWAY.0)),
            418 | 403 => self.limiter.ban(retry_after.unwrap_or(AWAY.1)),
            _ => Ok(()),
        }
    }

    /// What is left of the budget.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn left(&self) -> Result<Left, LimitError> {
        self.limiter.left()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Answers each connection with the next of `answers` and hangs up.
    fn serve(answers: &[&str]) -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|a| (*a).to_owned()).collect();
        let server = std::thread::spawn(move || {
            for answer in &answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                lines.find(String::is_empty);
                let text = format!("HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).unwrap();
            }
            answers.len()
        });
        (url, server)
    }

    fn asker(url: &str, dir: &Path) -> Asker {
        let budget = Budget { most: 10, window: Duration::from_secs(3600) };
        Asker::new(url, Duration::from_secs(5), dir, "x-ip", budget).unwrap()
    }

    fn question() -> Request {
        Request { path: "/time".to_owned(), weight: 1 }
    }

    #[test]
    fn a_venue_that_fails_three_times_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (url, server) = serve(&["500 Oh", "503 No", "502 Gone"]);
        let asker = asker(&url, dir.path());
        for _ in 0..3 {
            assert!(matches!(asker.ask(&question(), Priority::Ask), Err(AskError::Failed(_))));
        }
        assert_eq!(server.join().unwrap(), 3);
        assert!(matches!(asker.ask(&question(), Priority::Ask), Err(AskError::Open)), "nobody listens there any more");
        assert_eq!(asker.left().unwrap().used, 3, "what was not asked is not counted");
    }

    #[test]
    fn refusals_open_no_breaker_and_a_ban_holds_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let (url, server) = serve(&["400 Bad", "404 What", "400 Bad", "400 Bad", "418 Banned\r\nRetry-After: 77"]);
        let asker = asker(&url, dir.path());
        for _ in 0..5 {
            assert!(matches!(asker.ask(&question(), Priority::Ask), Err(AskError::Failed(_))));
        }
        assert_eq!(server.join().unwrap(), 5);
        let other = self::asker(&url, dir.path());
        let Err(AskError::Budget(wait)) = other.ask(&question(), Priority::Cancel) else { panic!("it went") };
        assert!(wait > Duration::from_secs(60) && wait <= Duration::from_secs(77), "{wait:?}");
    }

    #[test]
    fn a_used_up_budget_asks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let asker = asker("http://127.0.0.1:9", dir.path());
        let costly = Request { weight: 9, ..question() };
        assert!(matches!(asker.ask(&costly, Priority::Ask), Err(AskError::Budget(_))), "8 of 10 is what it may fill");
    }
}
