//! Handlers for the tests, behind the same table as the real ones.

use async_trait::async_trait;
use serde_json::json;
use sqlx::PgConnection;
use store::{AssetVersion, StepContext, StepError, StepOutcome, Store, StoreError, TxWrite};
use worker::Handlers;

pub fn table() -> Handlers {
    Handlers::default()
        .with("test-write", write)
        .with("test-hang-once", hang_once)
        .with("test-fail-once", fail_once)
        .with("test-deaf", deaf)
        .with("test-panic", panic)
}

/// A row that counts completions.
pub struct Row {
    run: String,
    step: String,
}

impl Row {
    pub async fn table(store: &Store) {
        sqlx::query("CREATE TABLE public.counted (run text, step text)").execute(&store.pool).await.unwrap();
    }
    pub async fn count(store: &Store, run: &str) -> i64 {
        let count = "SELECT count(*) FROM public.counted WHERE run = $1";
        sqlx::query_scalar(count).bind(run).fetch_one(&store.pool).await.unwrap()
    }
}

#[async_trait]
impl TxWrite for Row {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO public.counted VALUES ($1, $2)").bind(self.run).bind(self.step).execute(tx).await?;
        Ok(())
    }
}

/// Writes a file, a row, an asset and a log line.
async fn write(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let path = ctx.home.root().join(format!("{}-{}.txt", ctx.run_id, ctx.step));
    let text = format!("{} of {}", ctx.step, ctx.partition);
    std::fs::write(&path, &text).map_err(|e| StepError::Transient(e.to_string()))?;
    ctx.log.info(&format!("wrote {}", ctx.step));
    let version = AssetVersion {
        asset: format!("test/{}", ctx.step),
        partition: ctx.partition.clone(),
        sha256: format!("{}-{}", ctx.step, ctx.partition),
        uri: path.display().to_string(),
        rows: 1,
        bytes: i64::try_from(text.len()).unwrap_or(0),
        min_ts_ns: None,
        max_ts_ns: None,
        schema_hash: "text".to_owned(),
    };
    Ok(StepOutcome {
        outputs: vec![version],
        summary: json!({"bytes": text.len()}),
        writes: vec![Box::new(Row { run: ctx.run_id, step: ctx.step })],
        ..StepOutcome::default()
    })
}

/// The first attempt waits until it is told to stop; the next ones write.
async fn hang_once(ctx: StepContext) -> Result<StepOutcome, StepError> {
    if ctx.attempt == 1 {
        ctx.log.info("hanging");
        ctx.cancel.cancelled().await;
        return Err(StepError::Cancelled);
    }
    write(ctx).await
}

async fn fail_once(ctx: StepContext) -> Result<StepOutcome, StepError> {
    if ctx.attempt == 1 {
        return Err(StepError::Transient("the first time".to_owned()));
    }
    write(ctx).await
}

/// Never ends and never listens.
async fn deaf(_: StepContext) -> Result<StepOutcome, StepError> {
    std::future::pending().await
}

async fn panic(_: StepContext) -> Result<StepOutcome, StepError> {
    panic!("as the test asks")
}
