//! The cluster itself.

use crate::Case;
use store::testing::TestHome;
use store::{Cluster, view};

pub async fn migrating_again_changes_nothing(case: &Case) {
    let count = "SELECT count(*) FROM traider.migration";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&case.store.pool).await.unwrap();
    case.store.migrate().await.unwrap();
    let after: i64 = sqlx::query_scalar(count).fetch_one(&case.store.pool).await.unwrap();
    assert_eq!((before, before >= 1), (after, true));
}

pub async fn a_second_starter_attaches_and_leaves_the_server_alone(home: &TestHome) {
    let home = home.home.clone();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let home = home.clone();
            std::thread::spawn(move || Cluster::ensure(&home).unwrap().started_by_us)
        })
        .collect();
    assert!(threads.into_iter().all(|t| !t.join().unwrap()));
    assert!(Cluster::attach(&home).unwrap().is_some());
}

pub fn the_last_user_stops_the_server() {
    let dir = tempfile::Builder::new().prefix("traider-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let own = settings::Home::locate(Some(dir.path()));
    let first = Cluster::ensure(&own).unwrap();
    let second = Cluster::ensure(&own).unwrap();
    assert!(first.started_by_us && !second.started_by_us);
    // The one who started it goes first; the other still needs it.
    first.leave().unwrap();
    assert!(Cluster::attach(&own).unwrap().is_some());
    // An onlooker that comes and goes stops nothing.
    drop(Cluster::attach(&own).unwrap());
    assert!(Cluster::attach(&own).unwrap().is_some());
    drop(second);
    assert!(Cluster::attach(&own).unwrap().is_none());
}

pub fn restarting_the_server_keeps_what_was_committed(home: &TestHome, runtime: &tokio::runtime::Runtime) {
    home.cluster().stop().unwrap();
    assert!(Cluster::attach(&home.home).unwrap().is_none());
    let again = Cluster::ensure(&home.home).unwrap();
    assert!(again.started_by_us);
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        assert!(view::list_runs(&store, &view::RunFilter::default()).await.unwrap().len() > 10);
        store.close().await;
    });
}

/// A home may have any name that the file system allows: nothing of it is for a shell or a configuration file to read.
pub fn a_home_with_the_shells_own_characters_in_its_name_works() {
    let dir = tempfile::Builder::new().prefix("traider-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let own = settings::Home::locate(Some(&dir.path().join(r#"a "b" $HOME `c` \d 'e'"#)));
    let cluster = Cluster::ensure(&own).unwrap();
    assert!(cluster.started_by_us && cluster.path().starts_with(own.root()), "{}", cluster.path().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store::Store::connect_cluster(&cluster).await.unwrap();
        let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&store.pool).await.unwrap();
        assert_eq!(one, 1);
        store.close().await;
    });
    cluster.leave().unwrap();
    assert!(Cluster::attach(&own).unwrap().is_none());
}
