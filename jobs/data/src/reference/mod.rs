//! The step `reference-prices`: what CoinGecko says of prices, market capitalisations and dominance, once an hour, into the
//! dataset `reference`: a partition for each coin and one, `GLOBAL`, for the whole market. A fourth opinion for later, hours
//! slow and an average over exchanges: nothing trades on it.
//!
//! An hour that is in the lake is not asked for again. A figure older than [`AGE_MAX_NS`] when we are told it is left out
//! and named: missing is better than old without saying so. No key is sent: what is free without one is enough for this.

pub mod reply;

use crate::DataError;
use crate::step::{code, output_of};
use lake::{Day, Lake, Lineage, Partition, ReferenceRow, Row, TableMeta};
use reply::Figure;
use serde_json::json;
use settings::Home;
use spec::JobSpec;
use spec::jobs::ReferencePrices;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{AssetVersion, StepContext, StepError, StepOutcome};
use venues::adapter::Budget;
use venues::binance::rest::{Rest, RestError};
use venues::limit::{Limiter, Priority};

/// The service.
pub const URL: &str = "https://api.coingecko.com/api/v3";
/// Venue name in the lake.
pub const VENUE: &str = "coingecko";
/// Instrument name of what is told of the whole market; no coin's id has capital letters.
pub const GLOBAL: &str = "GLOBAL";
/// Older figures are left out, ns.
pub const AGE_MAX_NS: i64 = 600 * SECOND_NS;
/// Coins asked for at once, at most: they stand in one address.
pub const COINS_MAX: usize = 50;

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3600 * SECOND_NS;
/// What is granted without a key is not written down; 5 to 15 a minute are seen.
const BUDGET: Budget = Budget { most: 5, window: Duration::from_secs(60) };
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long to stay away after "too many", which comes without saying for how long.
const AWAY: Duration = Duration::from_secs(60);

/// The step `reference-prices`.
///
/// # Errors
/// [`StepError`].
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: ReferencePrices = ctx.input()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    let done = gather(&ctx.home, &job, now_ns).await?;
    for left_out in &done.left_out {
        ctx.log.warn(left_out);
    }
    ctx.log.info(&format!("{} partitions, {} questions", done.outputs.len(), done.asked));
    let summary =
        json!({"hour": job.hour, "asked": done.asked, "partitions": done.outputs.len(), "left_out": done.left_out});
    Ok(StepOutcome { outputs: done.outputs, summary, ..StepOutcome::default() })
}

/// What one hour's asking led to.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Partitions that hold the hour, new or as they were.
    pub outputs: Vec<AssetVersion>,
    /// Questions asked.
    pub asked: u32,
    /// What is missing, and why.
    pub left_out: Vec<String>,
}

/// Asks for what the hour misses in the lake.
///
/// * `now_ns` - our clock, ns since 1970 UTC; it must lie in the hour.
///
/// # Errors
/// [`StepError::Permanent`] for an hour that is not now and coins that cannot be, [`StepError::RateLimited`] when the
/// service or our own budget asks for patience, [`StepError::Transient`] when there is no usable answer.
pub async fn gather(home: &Home, job: &ReferencePrices, now_ns: i64) -> Result<Gathered, StepError> {
    let hour_ns = check(job, now_ns)?;
    let lake = Lake::local(&home.lake()).map_err(DataError::from)?;
    let mut places = Vec::new();
    for name in job.coins.iter().map(String::as_str).chain([GLOBAL]) {
        places.push(Place::find(&lake, name, hour_ns).await?);
    }
    let missing: Vec<String> =
        places.iter().filter(|p| !p.has(hour_ns)).map(|p| p.partition.instrument().to_owned()).collect();
    let (home_of, asked_job) = (home.clone(), job.clone());
    let asked = tokio::task::spawn_blocking(move || ask(&home_of, &asked_job, &missing))
        .await
        .map_err(|e| StepError::Transient(format!("asking failed: {e}")))??;
    let mut done = Gathered { asked: asked.questions, left_out: asked.left_out, ..Gathered::default() };
    for place in places {
        let name = place.partition.instrument();
        let told: Vec<&Figure> = asked.figures.iter().filter(|f| f.about == name).collect();
        let fresh = told.iter().filter(|f| now_ns - f.ts_venue_ns <= AGE_MAX_NS);
        let rows: Vec<ReferenceRow> = fresh.map(|f| f.row(hour_ns, now_ns)).collect();
        if rows.len() < told.len() {
            done.left_out.push(format!("{name}: what is told is older than {} s", AGE_MAX_NS / SECOND_NS));
        }
        done.outputs.extend(place.publish(home, &lake, rows, hour_ns).await?);
    }
    if done.outputs.is_empty() {
        return Err(StepError::Transient(format!("nothing of use was told: {}", done.left_out.join("; "))));
    }
    Ok(done)
}

/// The beginning of the hour, if it can be asked for.
fn check(job: &ReferencePrices, now_ns: i64) -> Result<i64, StepError> {
    let named = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_' || b == b'.';
        !text.is_empty() && text.bytes().all(plain) && !text.starts_with('.')
    };
    if let Some(bad) = job.coins.iter().chain([&job.currency]).find(|text| !named(text)) {
        let why = format!("`{bad}` is no id of CoinGecko's; they are written in small letters, like bitcoin");
        return Err(StepError::Permanent(why));
    }
    if job.coins.len() > COINS_MAX {
        return Err(StepError::Permanent(format!("{} coins are more than {COINS_MAX}", job.coins.len())));
    }
    let begin = |text: &str| -> Option<i64> {
        let (day, hour) = text.split_once('T')?;
        Some(day.parse::<Day>().ok()?.start_ns() + hour.parse::<i64>().ok()? * HOUR_NS)
    };
    match begin(&job.hour) {
        Some(begin) if (begin..begin + HOUR_NS).contains(&now_ns) => Ok(begin),
        _ => Err(StepError::Permanent(format!(
            "{} is not the hour it is now; only what is told now is free, so what was missed stays missing",
            job.hour
        ))),
    }
}

/// A partition and what it held before anything was asked.
struct Place {
    partition: Partition,
    version: u32,
    rows: Vec<ReferenceRow>,
}

impl Place {
    async fn find(lake: &Lake, instrument: &str, hour_ns: i64) -> Result<Place, DataError> {
        let partition = Partition::new(ReferenceRow::DATASET, VENUE, instrument, Day::of_ns(hour_ns))?;
        let (version, rows) = match lake.manifest(&partition).await? {
            Some(_) => lake.read_rows(&partition).await.map(|(manifest, rows)| (manifest.version, rows))?,
            None => (0, Vec::new()),
        };
        Ok(Place { partition, version, rows })
    }

    fn has(&self, hour_ns: i64) -> bool {
        self.rows.iter().any(|r| r.ts_hour_ns == hour_ns)
    }

    /// Puts the hour's rows beside what is there; without any, says what is there if the hour is.
    async fn publish(
        mut self,
        home: &Home,
        lake: &Lake,
        new: Vec<ReferenceRow>,
        hour_ns: i64,
    ) -> Result<Option<AssetVersion>, DataError> {
        if new.is_empty() && !self.has(hour_ns) {
            return Ok(None);
        }
        self.rows.extend(new);
        self.rows.sort_by(|a, b| (a.ts_hour_ns, &a.measure, &a.unit).cmp(&(b.ts_hour_ns, &b.measure, &b.unit)));
        let mut meta = TableMeta::default();
        // Demanded by the free terms.
        meta.facts.insert("attribution".to_owned(), "Data by CoinGecko, https://www.coingecko.com".to_owned());
        let lineage = Lineage { parents: Vec::new(), code: code(ReferencePrices::NAME) };
        // Whoever was faster has the hour, or another; either way we look again.
        let read = self.version;
        let other = move |newest: &lake::Manifest| newest.version != read;
        let published = lake.publish_rows_unless(&self.partition, &self.rows, &meta, &lineage, &other).await?;
        let conflict = || lake::LakeError::Conflict(self.partition.asset());
        let published = published.ok_or_else(conflict)?;
        Ok(Some(output_of(home, &self.partition, &published.manifest)))
    }
}

impl Figure {
    fn row(&self, ts_hour_ns: i64, ts_recv_ns: i64) -> ReferenceRow {
        ReferenceRow {
            ts_hour_ns,
            ts_venue_ns: self.ts_venue_ns,
            ts_recv_ns,
            measure: self.measure.clone(),
            unit: self.unit.clone(),
            value: self.value.clone(),
        }
    }
}

#[derive(Default)]
struct Asked {
    figures: Vec<Figure>,
    left_out: Vec<String>,
    questions: u32,
}

/// Asks for what is missing, one question for all coins and one for the market. Blocks.
fn ask(home: &Home, job: &ReferencePrices, missing: &[String]) -> Result<Asked, StepError> {
    let mut asked = Asked::default();
    if missing.is_empty() {
        return Ok(asked);
    }
    let service = Service::new(home, job.url.as_deref().unwrap_or(URL))?;
    let coins: Vec<&str> = missing.iter().map(String::as_str).filter(|name| *name != GLOBAL).collect();
    if !coins.is_empty() {
        let path = format!(
            "/simple/price?ids={}&vs_currencies={}&include_market_cap=true&include_24hr_vol=true\
             &include_24hr_change=true&include_last_updated_at=true&precision=full",
            coins.join(","),
            job.currency
        );
        let body = service.get(&path, &mut asked.questions)?;
        let told = reply::prices(&body, &coins, &job.currency).map_err(StepError::Transient)?;
        asked.figures.extend(told.figures);
        asked.left_out.extend(told.left_out);
    }
    if missing.iter().any(|name| name == GLOBAL) {
        let body = service.get("/global", &mut asked.questions)?;
        let told = reply::global(&body, GLOBAL, &job.currency).map_err(StepError::Transient)?;
        asked.figures.extend(told.figures);
        asked.left_out.extend(told.left_out);
    }
    Ok(asked)
}

/// The service, and what it lets be asked from this machine.
struct Service {
    rest: Rest,
    limiter: Limiter,
}

impl Service {
    fn new(home: &Home, url: &str) -> Result<Service, StepError> {
        let rest = Rest::new(url, TIMEOUT).map_err(|e| StepError::Permanent(e.to_string()))?;
        let limiter = Limiter::open(&home.run().join("budgets"), "coingecko-ip", BUDGET);
        Ok(Service { rest, limiter: limiter.map_err(uncounted)? })
    }

    fn get(&self, path: &str, questions: &mut u32) -> Result<String, StepError> {
        let asked = self.limiter.spend(1, Priority::Ask, || self.rest.get(path)).map_err(uncounted)?;
        let answer = asked.map_err(|retry_after| StepError::RateLimited { retry_after })?;
        *questions += 1;
        answer.map_err(|error| self.refused(&error))
    }

    /// What becomes of the step. 403 is the network's guard before the service, and 408 its impatience: both pass.
    fn refused(&self, error: &RestError) -> StepError {
        match error {
            RestError::Venue { status: 429, retry_after, .. } => {
                let retry_after = retry_after.unwrap_or(AWAY).max(AWAY);
                match self.limiter.ban(retry_after) {
                    Ok(()) => StepError::RateLimited { retry_after },
                    Err(error) => uncounted(error),
                }
            }
            RestError::Venue { status: 403 | 408, .. } => StepError::Transient(error.to_string()),
            _ if error.is_transient() => StepError::Transient(error.to_string()),
            _ => StepError::Permanent(error.to_string()),
        }
    }
}

fn uncounted(error: venues::limit::LimitError) -> StepError {
    StepError::Transient(format!("{error}: {}", error.source))
}

#[cfg(test)]
mod tests;
