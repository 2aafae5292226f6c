use super::*;

fn in_home(file: &str) -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    std::fs::create_dir_all(home.config()).unwrap();
    std::fs::write(home.config().join("traider.toml"), file).unwrap();
    (dir, home)
}

#[test]
fn later_layers_win_and_each_value_names_its_origin() {
    let (_dir, home) = in_home("[run]\nseed = 11\n");
    let flags = BTreeMap::from([("dashboard.port".to_owned(), serde_json::json!(0))]);
    let loaded = load(&home, None, &flags).unwrap();
    assert_eq!((loaded.config.run.seed, loaded.config.dashboard.port), (11, 0));
    let origin = |key: &str| loaded.origins.iter().find(|o| o.key == key).unwrap().origin.clone();
    assert!(origin("run.seed").ends_with("traider.toml"));
    assert_eq!(origin("dashboard.port"), "flag");
    assert_eq!(origin("engine.risk.order_value_max"), "built-in");
}

#[test]
fn an_unknown_key_names_the_file_and_the_nearest_known_one() {
    let (_dir, home) = in_home("[engine.risk]\norder_value_maxx = \"5\"\n");
    let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(text.contains("engine.risk.order_value_maxx"), "{text}");
    assert!(text.contains("did you mean `order_value_max`?"), "{text}");
    assert!(text.contains("traider.toml"), "{text}");
}

#[test]
fn contradicting_limits_and_unknown_strategies_are_refused() {
    let (_dir, home) = in_home("[engine.risk]\norder_value_max = \"9000\"\n");
    assert!(load(&home, None, &BTreeMap::new()).unwrap_err().to_string().contains("position_value_max"));
    let (_dir, home) = in_home("[run]\nstrategies = [\"flow-imbalanse\"]\n");
    let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(text.contains("did you mean `flow-imbalance`?"), "{text}");
}

fn with_variables(home: &Home, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load_with(home, None, variables.iter().map(|(k, v)| (*k, (*v).to_owned())), &BTreeMap::new())
}

#[test]
fn the_environment_may_give_amounts_without_quotes_and_to_the_last_digit() {
    let (_dir, home) = in_home("");
    let loaded = with_variables(
        &home,
        &[
            ("engine.risk.daily_loss_max", "100"),
            ("engine.risk.order_value_max", "0.1"),
            ("engine.risk.position_value_max", " 12345678901234567.123456789 "),
            ("demo.base_balance", "\"7.50\""),
            ("run.seed", "9"),
        ],
    )
    .unwrap();
    let risk = &loaded.config.engine.risk;
    let texts = [risk.daily_loss_max, risk.order_value_max, risk.position_value_max].map(|d| d.to_string());
    assert_eq!(texts, ["100", "0.1", "12345678901234567.123456789"]);
    assert_eq!((loaded.config.demo.base_balance.to_string().as_str(), loaded.config.run.seed), ("7.50", 9));
    let origin = loaded.origins.iter().find(|o| o.key == "engine.risk.daily_loss_max").unwrap();
    assert_eq!(
        (origin.value.as_str(), origin.origin.as_str()),
        ("100", "environment TRAIDER__ENGINE__RISK__DAILY_LOSS_MAX")
    );
    let text = with_variables(&home, &[("run.seed", "many")]).unwrap_err().to_string();
    assert!(text.contains("`run.seed` in the environment"), "{text}");
}

#[test]
fn a_variable_that_is_no_setting_is_named_as_given_with_the_right_one() {
    let (_dir, home) = in_home("");
    let fails = |key| with_variables(&home, &[(key, "100")]).unwrap_err().to_string();
    let section = fails("risk.daily_loss_max");
    assert!(section.contains("`risk.daily_loss_max` (TRAIDER__RISK__DAILY_LOSS_MAX in"), "{section}");
    assert!(section.contains("`engine.risk.daily_loss_max` (TRAIDER__ENGINE__RISK__DAILY_LOSS_MAX)"), "{section}");
    assert!(
        section.ends_with("the sections are alerts, dashboard, demo, engine.fees, engine.risk, redis, run, webhook"),
        "{section}"
    );
    let letter = fails("engine.risk.daily_los_max");
    assert!(letter.contains("did you mean `engine.risk.daily_loss_max`?"), "{letter}");
    let (_dir, home) = in_home("[risk]\ndaily_loss_max = \"1\"\n");
    let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(text.contains("unknown setting `risk` in"), "{text}");
}

#[test]
fn a_limit_that_makes_no_sense_is_refused_with_its_value_its_place_and_what_is_allowed() {
    let fails = |file: &str| {
        let (_dir, home) = in_home(file);
        load(&home, None, &BTreeMap::new()).unwrap_err().to_string()
    };
    let minus = fails("[engine.risk]\ndaily_loss_max = \"-5\"\n");
    assert!(minus.contains("setting `engine.risk.daily_loss_max` is -5 (from "), "{minus}");
    assert!(minus.contains("traider.toml") && minus.contains("allowed is an amount above 0"), "{minus}");
    assert!(fails("[engine.risk]\ndaily_loss_max = \"0\"\n").contains("is 0 (from"));
    assert!(fails("[engine.risk]\nopen_orders_max = 0\n").contains("a whole number above 0"));
    assert!(fails("[engine.risk]\nprice_collar_bps = 10000\n").contains("from 1 to 9999"));
}

#[test]
fn a_file_that_is_not_toml_is_told_with_line_and_column() {
    let (_dir, home) = in_home("[run]\nseed = = 7\n");
    let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(text.contains("traider.toml` is not TOML at line 2, column 8: "), "{text}");
    assert!(!text.contains("``"), "{text}");
}

#[test]
fn a_wrong_type_names_the_setting() {
    let (_dir, home) = in_home("[run]\nseed = \"many\"\n");
    let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(text.contains("`run.seed`") && text.contains("traider.toml"), "{text}");
}

#[test]
fn the_users_own_strategy_file_wins_over_the_built_in_one() {
    let (_dir, home) = in_home("[run]\nstrategies = [\"flow-imbalance\"]\n");
    let dir = home.config().join("strategies");
    std::fs::create_dir_all(&dir).unwrap();
    let built_in = BUILT_IN_STRATEGIES[1].1;
    std::fs::write(dir.join("flow-imbalance.toml"), built_in.replace("kind =", "kindd =")).unwrap();
    assert!(load(&home, None, &BTreeMap::new()).is_err());
    std::fs::write(dir.join("flow-imbalance.toml"), built_in).unwrap();
    assert_eq!(load(&home, None, &BTreeMap::new()).unwrap().engine_config().unwrap().strategies.len(), 1);
}
