//! Faults in words: `at=5s gap symbol=BTC/USD`, one a line, and scripts drawn from a seed.

use super::{Fault, FaultKind};
use crate::dialect::Kind;
use sim::rng::Rng;
use std::str::FromStr;

const SECOND_NS: u64 = 1_000_000_000;

impl FromStr for Fault {
    type Err = String;

    /// Words in any order: the kind, and `at=` (market time since the start), `symbol=`, `channel=`, `for=`, `count=`,
    /// `ms=`, `status=`, `retry-after=` (seconds).
    fn from_str(text: &str) -> Result<Fault, String> {
        let mut kind = None;
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => words.push(pair),
                None if kind.is_none() => kind = Some(word.parse::<FaultKind>()?),
                None => return Err(format!("`{text}` names two kinds of fault; one a line")),
            }
        }
        let kind = kind.ok_or_else(|| format!("`{text}` names no kind of fault; there are {}", FaultKind::names()))?;
        let mut fault = Fault::new(kind, 0);
        for (name, value) in words {
            let bad = |_| format!("`{value}` in `{text}` is no whole number");
            match name {
                "at" => fault.at_ns = duration_ns(value)?,
                "for" => fault.for_ns = duration_ns(value)?,
                "symbol" => fault.symbol = Some(value.to_owned()),
                "channel" => fault.channel = channel(value)?,
                "count" => fault.count = value.parse().map_err(bad)?,
                "ms" => fault.ms = value.parse().map_err(bad)?,
                "status" => fault.status = value.parse().map_err(bad)?,
                "retry-after" => fault.retry_after = Some(value.parse().map_err(bad)?),
                _ => return Err(format!("`{name}` in `{text}` is not known")),
            }
        }
        Ok(fault)
    }
}

fn channel(name: &str) -> Result<Kind, String> {
    Ok(match name {
        "book" => Kind::Book,
        "trade" => Kind::Trade,
        "quote" => Kind::Quote,
        "bar" => Kind::Bar,
        _ => return Err(format!("`{name}` is no channel; there are book, trade, quote, bar")),
    })
}

fn duration_ns(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no time; use a whole number with ms, s or m behind it");
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?);
    let unit = match unit {
        "ms" => 1_000_000,
        "s" => SECOND_NS,
        "m" => 60 * SECOND_NS,
        _ => return Err(bad()),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)
}

/// A whole script: one fault a line, `#` starts a comment.
///
/// # Errors
/// In words, for the first line that is none.
pub fn read(text: &str) -> Result<Vec<Fault>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::parse).collect()
}

/// `count` faults out of `seed`, on average one every `every_ns` of market time, from then on. The same arguments give
/// the same script. Kinds come from `kinds`, symbols from `symbols`.
pub fn draw(seed: u64, count: u32, every_ns: u64, kinds: &[FaultKind], symbols: &[String]) -> Vec<Fault> {
    let mut rng = Rng::new(seed);
    let mut pick = |n: usize| usize::try_from(rng.below(n as u64)).unwrap_or(0);
    let mut at_ns = 0;
    let mut script = Vec::new();
    for _ in 0..count {
        if kinds.is_empty() || symbols.is_empty() {
            break;
        }
        // Half to one and a half times the usual distance.
        at_ns += every_ns / 2 + every_ns / 1000 * pick(1001) as u64;
        let kind = kinds[pick(kinds.len())];
        let mut fault = Fault::new(kind, at_ns);
        if kind.has_symbol() {
            fault.symbol = Some(symbols[pick(symbols.len())].clone());
        }
        if matches!(kind, FaultKind::TooMany | FaultKind::Banned) && pick(2) == 0 {
            fault.retry_after = Some(1);
        }
        script.push(fault);
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_line_by_line() {
        let text = "at=5s gap symbol=BTC/USD # lost\n\n# nothing\nat=1500ms 429 retry-after=3 count=2\nat=1m clock-step ms=-250";
        let script = read(text).unwrap();
        assert_eq!(script.len(), 3);
        assert_eq!((script[0].kind, script[0].at_ns), (FaultKind::Gap, 5 * SECOND_NS));
        assert_eq!(script[0].symbol.as_deref(), Some("BTC/USD"));
        assert_eq!((script[1].at_ns, script[1].retry_after, script[1].count), (1_500_000_000, Some(3), 2));
        assert_eq!((script[2].at_ns, script[2].ms), (60 * SECOND_NS, -250));
    }

    #[test]
    fn what_is_no_fault_is_refused_with_a_reason() {
        for (text, reason) in [
            ("at=5s", "names no kind"),
            ("at=5s explode", "is no kind of fault"),
            ("at=5 gap", "is no time"),
            ("gap reset", "two kinds"),
            ("gap colour=red", "is not known"),
            ("silence channel=news", "is no channel"),
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn one_seed_draws_one_script_and_in_time_every_kind() {
        let symbols = ["A".to_owned(), "B".to_owned()];
        let script = draw(7, 1000, SECOND_NS, FaultKind::ALL, &symbols);
        assert_eq!(script, draw(7, 1000, SECOND_NS, FaultKind::ALL, &symbols));
        assert_ne!(script, draw(8, 1000, SECOND_NS, FaultKind::ALL, &symbols));
        assert!(script.windows(2).all(|w| w[0].at_ns + SECOND_NS / 2 <= w[1].at_ns));
        assert!(FaultKind::ALL.iter().all(|kind| script.iter().any(|f| f.kind == *kind)));
    }
}
