//! What cannot be answered, said as JSON: what it is, and what to do about it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use store::StoreError;
use store::error::chain;

/// A refusal or a failure as the page gets it: `{"error": {"code", "what", "do"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable name.
    pub code: &'static str,
    /// What is the matter.
    pub what: String,
    /// What to do about it.
    pub todo: String,
}

impl Problem {
    /// A problem in words.
    pub fn new(status: StatusCode, code: &'static str, what: impl Into<String>, todo: impl Into<String>) -> Problem {
        Problem { status, code, what: what.into(), todo: todo.into() }
    }

    /// The database is not there.
    pub fn down(what: impl Into<String>) -> Problem {
        let todo =
            "nothing: it is asked again until it answers. `traider up` starts it; `traider doctor` says what is wrong";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_down", what, todo)
    }

    /// The request cannot be understood.
    pub fn request(what: impl Into<String>, todo: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", what, todo)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let text = chain(&error);
        // The store's own words end in what to do.
        let said = |status, code, todo: &str| match text.split_once("; ") {
            Some((what, todo)) => Problem::new(status, code, what, todo),
            None => Problem::new(status, code, text.as_str(), todo),
        };
        match error {
            StoreError::NotFound { .. } => said(StatusCode::NOT_FOUND, "not_found", "check the address"),
            StoreError::Conflict { .. } | StoreError::Stale { .. } => {
                said(StatusCode::CONFLICT, "conflict", "look at its state as it is now")
            }
            StoreError::NoPostgres { .. }
            | StoreError::Cluster { .. }
            | StoreError::NotRunning { .. }
            | StoreError::Unreachable { .. } => Problem::down(text),
            StoreError::Sql { .. } | StoreError::Migrate(_) | StoreError::Write(_) => {
                let todo = "another version may have made the tables: `traider doctor`; else the page's log has more";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "database_refused", text, todo)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "what": self.what, "do": self.todo}});
        (self.status, Json(body)).into_response()
    }
}
