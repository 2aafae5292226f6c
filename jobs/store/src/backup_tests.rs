//! Dumps, restores, and backups that are not what they should be.

use super::*;
use crate::StepLog;
use crate::testing::TestHome;
use std::str::FromStr;

fn context(home: &TestHome, store: &Store, run: &str, day: &str) -> StepContext {
    StepContext {
        store: store.clone(),
        home: home.home.clone(),
        run_id: run.to_owned(),
        step: "backup".to_owned(),
        attempt: 1,
        epoch: 1,
        partition: day.to_owned(),
        params: json!({ "day": day }),
        log: StepLog::channel().0,
        cancel: CancelToken::default(),
    }
}

async fn beat(store: &Store, workflow: &str) {
    sqlx::query("INSERT INTO traider.schedule (name, workflow, cron) VALUES ($1, $1, '* * * * *')")
        .bind(workflow)
        .execute(&store.pool)
        .await
        .unwrap();
}

fn schedules(tables: &[Table]) -> i64 {
    tables.iter().find(|t| (t.schema.as_str(), t.name.as_str()) == ("traider", "schedule")).unwrap().rows
}

#[test]
fn a_backup_is_restored_and_compared_and_a_wrong_one_is_found_out() {
    let home = TestHome::start().unwrap();
    home.home.prepare().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        beat(&store, "one").await;
        let day = |day: &str, run: &str| context(&home, &store, run, day);
        let made = run(day("2026-11-20", "01A")).await.unwrap();
        let dump = dump_of(&home.home, "2026-11-20");
        assert_eq!(fs::metadata(&dump).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(sha256_of(&dump).unwrap().0, made.outputs[0].sha256);
        // The same run again, as after a kill before its commit: the dump is kept, whatever came after.
        beat(&store, "two").await;
        let again = run(day("2026-11-20", "01A")).await.unwrap();
        assert_eq!((&again.outputs, &again.summary["made_before"]), (&made.outputs, &json!(true)));
        let checked = run_check(day("2026-11-20", "01A")).await.unwrap();
        assert_eq!(checked.inputs, [(ASSET.to_owned(), made.outputs[0].sha256.clone())]);
        let backup = whole(&home.home, "2026-11-20").await.unwrap().unwrap();
        assert_eq!(schedules(&backup.tables), 1, "as it was when the dump was made");
        assert!(backup.tables.iter().any(|t| t.schema == "apalis" && t.name == "jobs"), "{:?}", backup.tables);
        // Another run of the day: a dump of now.
        run(day("2026-11-20", "01B")).await.unwrap();
        let backup = whole(&home.home, "2026-11-20").await.unwrap().unwrap();
        assert_eq!(schedules(&backup.tables), 2);

        // A manifest that claims another content of one table: the restored one is not that.
        let mut forged = backup.clone();
        forged.tables.iter_mut().find(|t| t.name == "schedule").unwrap().content = "1".to_owned();
        fs::write(manifest_of(&home.home, "2026-11-20"), serde_json::to_vec(&forged).unwrap()).unwrap();
        let error = run_check(day("2026-11-20", "01B")).await.map(|_| ()).unwrap_err();
        let what = "the restored backup is another database: rows of table traider.schedule are others";
        assert_eq!(error, StepError::Permanent(what.to_owned()));
        // A dump whose bytes changed is found before anything is restored.
        let mut bytes = fs::read(&dump).unwrap();
        bytes[100] ^= 1;
        fs::write(&dump, bytes).unwrap();
        let error = run_check(day("2026-11-20", "01B")).await.map(|_| ()).unwrap_err();
        assert!(matches!(&error, StepError::Permanent(what) if what.contains("not what its manifest says")), "{error}");

        // The newest two are kept, and what a killed dump left goes.
        fs::write(folder(&home.home).join(".pg-2026-11-19-01X-1"), "half").unwrap();
        for (n, name) in ["2026-11-21", "2026-11-22"].into_iter().enumerate() {
            let mut ctx = day(name, "01C");
            ctx.params["keep"] = json!(2);
            assert_eq!(run(ctx).await.unwrap().summary["removed"], json!(n), "{name}");
        }
        let left = |start: &str| named(&home.home, start, "").unwrap();
        let names: Vec<String> =
            left("pg-").iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["pg-2026-11-21.dump", "pg-2026-11-21.json", "pg-2026-11-22.dump", "pg-2026-11-22.json"]);
        assert!(left(".").is_empty());

        let ctx = day("2026-11-23", "01D");
        ctx.cancel.cancel();
        assert_eq!(run(ctx).await.map(|_| ()).unwrap_err(), StepError::Cancelled);
        assert!(!dump_of(&home.home, "2026-11-23").exists());
        store.close().await;
    });
}

#[test]
fn a_database_of_somebody_else_is_reached_without_its_password_on_the_command_line() {
    let url = "postgres://me:p%40ss%2Fw@db.example:5433/books?sslmode=require";
    let options = PgConnectOptions::from_str(url).unwrap();
    let command = program(Path::new("/pg"), "pg_dump", &options, password_in(url).as_deref());
    let set = |name: &str| {
        let found = command.as_std().get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        found.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let names = ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGPASSWORD"];
    assert_eq!(names.map(set), ["db.example", "5433", "me", "books", "require", "p@ss/w"]);
    assert_eq!(command.as_std().get_args().count(), 0);
    assert_eq!(password_in("postgres://me@db.example/books"), None);
}

#[test]
fn every_kind_of_difference_is_told() {
    let table = |name: &str, rows, content: &str| Table {
        schema: "s".to_owned(),
        name: name.to_owned(),
        rows,
        content: content.to_owned(),
    };
    let dumped = [table("a", 1, "x"), table("b", 2, "x"), table("c", 3, "x"), table("d", 4, "x")];
    let restored = [table("a", 1, "x"), table("b", 1, "x"), table("c", 3, "y"), table("e", 0, "0")];
    let told = [
        "table s.b has 1 rows, there were 2",
        "rows of table s.c are others",
        "table s.d is missing",
        "table s.e was not there",
    ];
    assert_eq!(differences(&dumped, &restored), told);
}
