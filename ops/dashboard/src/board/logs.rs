//! A run's log as a stream: its last lines, then each new one. Ends when the run has ended and all was said.

use crate::App;
use crate::board::query;
use crate::database::LOOK;
use crate::problem::Problem;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{Stream, unfold};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use store::logs::{self, LogRow};
use store::{Store, StoreError, view};

/// How often new lines are looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// Lines a page begins with.
const LAST_LINES: i64 = 1000;
/// Lines read at a time.
const LINES_MAX: i64 = 2000;
/// Two steps that write at the same time may commit in the other order than they took their numbers. So far back it is
/// looked again; must be well below [`LINES_MAX`].
const BACK: i64 = 500;

/// What to follow.
#[derive(Deserialize)]
pub struct From {
    step: Option<String>,
    after: Option<i64>,
}

/// Where a stream is.
struct Follow {
    run: String,
    step: Option<String>,
    /// Nothing up to here is wanted.
    floor: i64,
    /// Highest number said.
    last: i64,
    /// Numbers said that may be read again.
    said: BTreeSet<i64>,
    over: bool,
    wait: bool,
}

/// `GET runs/{id}/logs`: events `lines` (each with the number of its last line, to go on from), `down`, `end`.
pub async fn follow(
    State(app): State<App>,
    Path(id): Path<String>,
    from: Result<Query<From>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let From { step, after } = query(from)?;
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let begin = |store: Store| async move {
        let run = view::find_run(&store, &id).await?;
        let floor = match resumed.or(after) {
            Some(after) => after,
            None => view::log_before_last(&store, &run, step.as_deref(), LAST_LINES).await?,
        };
        Ok(Follow { run, step, floor, last: floor, said: BTreeSet::new(), over: false, wait: false })
    };
    let follow = app.database.ask(LOOK, begin).await?;
    let stream = unfold((app, follow), |(app, mut follow)| async move {
        if follow.over {
            return None;
        }
        let event = follow.next(&app).await;
        Some((Ok(event), (app, follow)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

impl Follow {
    /// Waits for something to say.
    async fn next(&mut self, app: &App) -> Event {
        loop {
            if std::mem::replace(&mut self.wait, true) {
                tokio::time::sleep(PERIOD).await;
            }
            match app.database.ask(LOOK, |store| self.read(store)).await {
                Ok((rows, active)) => {
                    let new = self.take(rows);
                    if !new.is_empty() {
                        self.wait = false;
                        return Event::default().event("lines").id(self.last.to_string()).data(json!(new).to_string());
                    }
                    if !active {
                        self.over = true;
                        return Event::default().event("end").data("{}");
                    }
                }
                Err(problem) => {
                    let told: Value = json!({"what": problem.what, "do": problem.todo});
                    return Event::default().event("down").data(told.to_string());
                }
            }
        }
    }

    /// Lines from a little before the last one, and whether the run was still active before they were read.
    async fn read(&self, store: Store) -> Result<(Vec<LogRow>, bool), StoreError> {
        let run = view::show_run(&store, &self.run).await?.run;
        let from = self.floor.max(self.last - BACK);
        let rows = logs::read(&store, &self.run, self.step.as_deref(), from, LINES_MAX).await?;
        Ok((rows, matches!(run.state.as_str(), "queued" | "running")))
    }

    /// Those that were not said before.
    fn take(&mut self, rows: Vec<LogRow>) -> Vec<LogRow> {
        let new: Vec<LogRow> = rows.into_iter().filter(|row| self.said.insert(row.id)).collect();
        self.last = new.iter().map(|row| row.id).max().unwrap_or(self.last).max(self.last);
        self.said = self.said.split_off(&(self.last - BACK));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_late_is_said_and_none_is_said_twice() {
        let line = |id| LogRow {
            id,
            step: "a".to_owned(),
            attempt: 1,
            ts: chrono::DateTime::UNIX_EPOCH,
            level: "info".to_owned(),
            message: String::new(),
        };
        let mut follow = Follow {
            run: String::new(),
            step: None,
            floor: 0,
            last: 0,
            said: BTreeSet::new(),
            over: false,
            wait: false,
        };
        let mut said = |ids: &[i64]| {
            let new = follow.take(ids.iter().map(|id| line(*id)).collect());
            (new.iter().map(|row| row.id).collect::<Vec<_>>(), follow.last)
        };
        assert_eq!(said(&[1, 3]), (vec![1, 3], 3));
        assert_eq!(said(&[1, 2, 3]), (vec![2], 3), "2 was committed after 3");
        assert_eq!(said(&[1, 2, 3, 4]), (vec![4], 4));
    }
}
