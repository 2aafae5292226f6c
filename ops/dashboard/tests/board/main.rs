//! The board against a real Postgres: what it answers, what it changes, whom it refuses, and how it looks in a browser.

#![expect(clippy::unwrap_used, reason = "tests")]

mod actions;
mod browser;
mod http;
mod looks;
mod reads;
mod refusals;
mod seed;

use dashboard::token::Token;
use dashboard::{App, loopback, web};
use http::Page;
use store::Store;
use store::testing::TestHome;
use tokio::net::TcpListener;

/// One server for all cases, in turn: the last of them stops it.
#[test]
fn board_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (store, page, seeded) = runtime.block_on(async {
        let store = home.store().await.unwrap();
        let seeded = seed::seed(&store).await;
        (store, serve(&home).await, seeded)
    });
    runtime.block_on(async {
        reads::every_list_and_every_page_has_what_was_put_there(&page, &seeded).await;
        reads::an_unchanged_answer_costs_a_few_bytes(&page).await;
        reads::what_is_not_there_is_said_with_what_to_do(&page).await;
        reads::a_log_is_followed_to_its_end(&store, &page, &seeded).await;
        refusals::nobody_else_changes_anything(&store, &page, &seeded).await;
        refusals::looking_changes_nothing(&store, &page, &seeded).await;
        actions::schedules_and_queues_are_held_with_a_reason(&store, &page).await;
        actions::backfills_are_steered(&store, &page, &seeded).await;
        actions::runs_are_retried_and_cancelled(&store, &page, &seeded).await;
        actions::dead_letters_are_given_up_or_run_again(&store, &page, &seeded).await;
    });
    let look = looks::the_board_in_a_browser(&home, &store, &runtime);
    reads::without_its_database_the_board_says_so_and_comes_back(&home, &runtime, store, (&page, look));
}

/// The page of this home.
async fn serve(home: &TestHome) -> Page {
    let token = Token::random().unwrap();
    let listener = TcpListener::bind(loopback([127, 0, 0, 1].into(), 0).unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = web::router(App::start(home.home.clone(), token.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Page { address, token: token.reveal().to_owned() }
}

/// One number out of the database.
async fn number(store: &Store, sql: &'static str, bind: &str) -> i64 {
    sqlx::query_scalar(sql).bind(bind).fetch_one(&store.pool).await.unwrap()
}
