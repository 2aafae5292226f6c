//! Answers kept for a moment: however many pages ask, the database is asked once. An answer carries a tag; who has it
//! already is told so in a few bytes.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer is good for this long, whoever asks.
const FRESH: Duration = Duration::from_secs(1);
/// Answers kept at most; then those that nobody waits for go.
const KEPT_MAX: usize = 256;

#[derive(Clone)]
struct Answer {
    at: Instant,
    tag: String,
    body: Result<Bytes, Problem>,
}

type Place = Arc<tokio::sync::Mutex<Option<Answer>>>;

/// Answers by what was asked.
#[derive(Default)]
pub struct Answers {
    kept: Mutex<HashMap<String, Place>>,
}

impl Answers {
    /// The answer to `key`, made by `make` unless it is fresh; those who ask meanwhile wait for the same.
    pub async fn get<T: Serialize>(
        &self,
        key: &str,
        headers: &HeaderMap,
        make: impl Future<Output = Result<T, Problem>>,
    ) -> Response {
        let place = self.place(key);
        let mut slot = place.lock().await;
        let answer = match &*slot {
            Some(answer) if answer.at.elapsed() < FRESH => answer.clone(),
            _ => slot.insert(Answer::of(make.await)).clone(),
        };
        drop(slot);
        let body = match answer.body {
            Ok(body) => body,
            Err(problem) => return problem.into_response(),
        };
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == answer.tag.as_bytes());
        let tag = (header::ETAG, answer.tag);
        if known {
            return (StatusCode::NOT_MODIFIED, [tag]).into_response();
        }
        ([tag, (header::CONTENT_TYPE, "application/json".to_owned())], body).into_response()
    }

    /// Forgets all: something was changed.
    pub fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn place(&self, key: &str) -> Place {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, place| Arc::strong_count(place) > 1);
        }
        kept.entry(key.to_owned()).or_default().clone()
    }
}

impl Answer {
    fn of<T: Serialize>(made: Result<T, Problem>) -> Answer {
        let body = made.and_then(|value| {
            let unfit = |e: serde_json::Error| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unfit", e.to_string(), "this is a mistake in the page")
            };
            serde_json::to_vec(&value).map(Bytes::from).map_err(unfit)
        });
        let mut hash = DefaultHasher::new();
        body.as_ref().map(Bytes::as_ref).unwrap_or_default().hash(&mut hash);
        Answer { at: Instant::now(), tag: format!("\"{:016x}\"", hash.finish()), body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::cell::Cell;

    #[test]
    fn who_asks_again_is_not_asked_for_and_who_knows_is_told_so() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (answers, asked) = (Answers::default(), Cell::new(0));
            let make = || async { Ok(asked.replace(asked.get() + 1)) };
            let first = answers.get("a", &HeaderMap::new(), make()).await;
            let tag = first.headers()[header::ETAG].clone();
            let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
            assert_eq!(answers.get("a", &again, make()).await.status(), StatusCode::NOT_MODIFIED);
            let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""))]);
            assert_eq!(answers.get("a", &other, make()).await.status(), StatusCode::OK);
            assert_eq!(asked.get(), 1, "three askers, one question");
            answers.forget();
            assert_eq!(answers.get("a", &again, make()).await.status(), StatusCode::OK, "a new answer has a new tag");
            assert_eq!(asked.get(), 2);
        });
    }
}
