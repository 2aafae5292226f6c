//! The record: Postgres behind one handle. It brings the server up ([`embedded`]), the tables up to date
//! ([`Store::migrate`]), and holds the control plane ([`control`]): what was asked to run, what ran, what came out.
//!
//! apalis carries pointers to steps from here to the workers and nothing else; every state lives in our own tables and
//! changes together with the data it speaks about. Start reading at [`control`].
//!
//! **Absent on purpose:** a cache (the database is asked), and any state outside the database.

pub mod alert;
pub mod assets;
pub mod backfill;
pub mod backup;
pub mod child;
pub mod context;
pub mod control;
pub mod embedded;
pub mod error;
pub mod logs;
pub mod outbox;
pub mod queue;
pub mod retention;
pub mod schedule;
pub mod testing;
pub mod view;
pub mod webhook;

pub use context::{AssetVersion, CancelToken, Progress, StepContext, StepError, StepLog, StepOutcome, TxWrite};
pub use embedded::Cluster;
pub use error::StoreError;
pub use queue::StepPointer;

use settings::Home;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

/// Connections one process holds at most; a worker needs one per running step, one to listen, and a few to spare.
const CONNECTIONS_MAX: u32 = 16;
/// How long a caller waits for a connection before the database counts as unreachable.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Statements here touch a few rows by key. A plan made while a table was nearly empty is kept by its connection and would
/// read the whole table, hash and all, when it has grown; compiling plans takes longer than running them.
const BY_KEY: [(&str, &str); 5] = [
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
];

/// Whoever is stopped in the middle of a transaction (SIGSTOP, a machine that sleeps or is cut off) would keep what it has
/// locked for as long: a run that nobody can sweep, a schedule that stands still. The server ends a transaction that waits
/// this long for its next statement. It is longer than any of ours should, and shorter than a lease.
const IDLE_MAX: (&str, &str) = ("idle_in_transaction_session_timeout", "10s");

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its connections.
    pub pool: PgPool,
}

impl Store {
    /// Connects to `DATABASE_URL` when it is set, else to the home's own cluster, starting that when needed. The tables
    /// are left as they are; see [`Store::migrate`]. The cluster stays up while its value lives; see [`release`].
    ///
    /// # Errors
    /// [`StoreError::NoPostgres`], [`StoreError::Cluster`] or [`StoreError::Unreachable`], all with exit code 5.
    pub async fn open(home: &Home) -> Result<(Store, Option<Cluster>), StoreError> {
        if let Some(url) = database_url() {
            return Ok((Store::connect_url(&url).await?, None));
        }
        let home = home.clone();
        let cluster = blocking(move || Cluster::ensure(&home)).await?;
        Ok((Store::connect_cluster(&cluster).await?, Some(cluster)))
    }

    /// Connects without starting anything.
    ///
    /// # Errors
    /// [`StoreError::NotRunning`] when nothing runs, with what to do; [`StoreError::Unreachable`].
    pub async fn attach(home: &Home) -> Result<Store, StoreError> {
        if let Some(url) = database_url() {
            return Store::connect_url(&url).await;
        }
        let path = home.pg();
        let home = home.clone();
        match blocking(move || Cluster::attach(&home)).await? {
            Some(cluster) => Store::connect_cluster(&cluster).await,
            None => Err(StoreError::NotRunning { path }),
        }
    }

    /// Connects to a cluster that runs.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`].
    pub async fn connect_cluster(cluster: &Cluster) -> Result<Store, StoreError> {
        let options = cluster.connect_options();
        create_database(&options).await?;
        Store::connect(options).await
    }

    async fn connect_url(url: &str) -> Result<Store, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|source| StoreError::Unreachable {
            at: "DATABASE_URL is not a Postgres address".to_owned(),
            source,
        })?;
        Store::connect(options).await
    }

    async fn connect(options: PgConnectOptions) -> Result<Store, StoreError> {
        let at = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let options =
            options.application_name(&format!("traider-{}", std::process::id())).options(BY_KEY).options([IDLE_MAX]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_WAIT)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Unreachable { at, source })?;
        Ok(Store { pool })
    }

    /// Brings the tables up to date: apalis' own and ours. Doing it twice, or from two processes, is harmless.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] when a released migration was changed, or the database belongs to a newer version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        apalis_postgres::PostgresStorage::setup(&self.pool).await.map_err(|e| StoreError::Migrate(Box::new(e)))?;
        let mut ours = sqlx::migrate!("../../sql/migrations");
        ours.create_schemas = Cow::Owned(vec![Cow::Borrowed("traider")]);
        ours.table_name = Cow::Borrowed("traider.migration");
        ours.run(&self.pool).await.map_err(|e| StoreError::Migrate(Box::new(e)))
    }

    /// [`Store::open`] and [`Store::migrate`].
    ///
    /// # Errors
    /// Those of both.
    pub async fn open_migrated(home: &Home) -> Result<(Store, Option<Cluster>), StoreError> {
        let (store, cluster) = Store::open(home).await?;
        match store.migrate().await {
            Ok(()) => Ok((store, cluster)),
            Err(error) => {
                release(store, cluster).await?;
                Err(error)
            }
        }
    }

    /// Closes the connections; what is running on them ends first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Closes the connections and ends our use of the cluster; its last user stops it.
///
/// # Errors
/// When the server does not stop.
pub async fn release(store: Store, cluster: Option<Cluster>) -> Result<(), StoreError> {
    store.close().await;
    match cluster {
        Some(cluster) => blocking(move || cluster.leave()).await,
        None => Ok(()),
    }
}

fn database_url() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.trim().is_empty())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => Err(StoreError::Write(format!("starting or stopping the database failed: {join}"))),
    }
}

/// Makes the private cluster's database if it is not there yet.
async fn create_database(options: &PgConnectOptions) -> Result<(), StoreError> {
    let name = options.get_database().unwrap_or("traider").to_owned();
    let at = || {
        format!("the private database in {}", options.get_socket().map(|s| s.display().to_string()).unwrap_or_default())
    };
    let mut first = options
        .clone()
        .database("postgres")
        .connect()
        .await
        .map_err(|source| StoreError::Unreachable { at: at(), source })?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut first)
        .await?;
    if !there {
        // The name is ours, not a user's. Another process may do the same at this moment: its database is as good.
        match sqlx::query("CREATE DATABASE traider").execute(&mut first).await {
            Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("42P04" | "23505")) => {}
            result => {
                result?;
            }
        }
    }
    first.close().await?;
    Ok(())
}
