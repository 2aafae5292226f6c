//! Names of assets: what steps read and make. Parts with `/` between them; in what is read, `*` stands for one part.

/// Refuses what is no asset name.
///
/// * `stars` - whether `*` may stand for a part.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(name: &str, stars: bool) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '=' | ':');
    for part in name.split('/') {
        match part {
            "*" if stars => {}
            "*" => return Err(format!("`{name}` has a `*`; a step must name what it makes")),
            "" | "." | ".." => return Err(format!("`{name}` has an empty part; write it like candles/kraken")),
            part if part.chars().all(fine) => {}
            _ => return Err(format!("`{name}` is no asset: parts are letters, digits, `.`, `_`, `-`, `=`, `:`")),
        }
    }
    Ok(())
}

/// True when the pattern, part by part, is this name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    pattern.split('/').count() == name.split('/').count()
        && pattern.split('/').zip(name.split('/')).all(|(want, part)| want == "*" || want == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part() {
        assert!(matches("candles/*/2026-11-20", "candles/kraken/2026-11-20"));
        assert!(!matches("candles/*", "candles/kraken/2026-11-20"));
        assert!(!matches("candles/*/2026-11-20", "candles/kraken/2026-11-21"));
        assert!(check("candles/*/d", true).is_ok());
        for wrong in ["candles/*/d", "", "/a", "a/", "a//b", "../a", "a b", "a/k*"] {
            assert!(check(wrong, false).is_err(), "{wrong}");
        }
    }
}
