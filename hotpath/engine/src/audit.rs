//! The proof that two runs did the same: every effect as bytes, and a running SHA-256 over them.
//!
//! The layout is that of the journal's codec (little-endian, one tag byte per variant), with text and lists behind a
//! `u32` length and floats by their bits. It is written and never read, so it may change with the build; only runs of
//! one build are compared.

use crate::effect::{AuditRecord, Effect, FeatureValue};
use crate::risk::{Check, Refusal};
use domain::OrderState;
use domain::codec::Wire;
use domain::order::Closed;
use sha2::{Digest, Sha256};

/// Running hash over all effects of a run: `SHA-256(before || bytes of the effects of one step)`. Steps without effects
/// do not count.
#[derive(Clone, Debug, Default)]
pub struct Running {
    hash: [u8; 32],
    count: u64,
    bytes: Vec<u8>,
}

impl Running {
    /// The hash now; zeros before the first effect.
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }
    /// Number of effects so far.
    pub const fn count(&self) -> u64 {
        self.count
    }
    /// Takes in the effects of one step.
    pub fn update(&mut self, effects: &[Effect]) {
        if effects.is_empty() {
            return;
        }
        self.bytes.clear();
        effects.iter().for_each(|e| e.put(&mut self.bytes));
        self.hash = Sha256::new().chain_update(self.hash).chain_update(&self.bytes).finalize().into();
        self.count += effects.len() as u64;
    }
}

impl Effect {
    /// Appends the effect's bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Effect::Send(approved) => tagged(out, 1, approved.request()),
            Effect::Cancel { id, instrument } => {
                tagged(out, 2, id);
                instrument.put(out);
            }
            Effect::Query { id, instrument } => {
                tagged(out, 3, id);
                instrument.put(out);
            }
            Effect::RequestSnapshot { instrument } => tagged(out, 4, instrument),
            Effect::Audit(record) => {
                out.push(5);
                record.put(out);
            }
        }
    }
}

impl AuditRecord {
    /// Appends the record's bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            AuditRecord::Book { instrument, state, reason, last_id } => {
                tagged(out, 1, instrument);
                text(out, state);
                text(out, reason);
                last_id.put(out);
            }
            AuditRecord::Bar { instrument, seconds, open_ns, ohlc, volume, trades } => {
                tagged(out, 2, instrument);
                seconds.put(out);
                open_ns.put(out);
                ohlc.iter().for_each(|p| p.put(out));
                volume.put(out);
                trades.put(out);
            }
            AuditRecord::Signal { signal, strategy, instrument, side, intent, reason, features, book_id, top } => {
                tagged(out, 3, signal);
                strategy.put(out);
                instrument.put(out);
                side.put(out);
                text(out, intent);
                text(out, reason);
                list(out, features, put_feature);
                book_id.put(out);
                option(out, top.as_ref(), |[bid, ask], out| {
                    bid.put(out);
                    ask.put(out);
                });
            }
            AuditRecord::Verdict { signal, request, refusal, checks, sized_by } => {
                tagged(out, 4, signal);
                request.put(out);
                option(out, refusal.as_ref(), put_refusal);
                list(out, checks, put_check);
                text(out, sized_by);
            }
            AuditRecord::Order { id, from, to, news, note, error } => {
                tagged(out, 5, id);
                put_state(*from, out);
                put_state(*to, out);
                text(out, news);
                text(out, note);
                option(out, error.as_ref(), |e, out| text(out, e));
            }
            AuditRecord::Fill { id, instrument, side, fill, position, realized } => {
                tagged(out, 6, id);
                instrument.put(out);
                side.put(out);
                fill.put(out);
                position.put(out);
                realized.put(out);
            }
            AuditRecord::Stranger { id, news } => {
                tagged(out, 7, id);
                news.put(out);
            }
            AuditRecord::Halt { halted, reason } => {
                tagged(out, 8, halted);
                text(out, reason);
            }
            AuditRecord::Venue { venue, instrument, allowed, said } => {
                tagged(out, 9, venue);
                instrument.put(out);
                allowed.put(out);
                text(out, said);
            }
        }
    }
}

fn put_feature(feature: &FeatureValue, out: &mut Vec<u8>) {
    text(out, &feature.id);
    option(out, feature.value.as_ref(), |v, out| v.to_bits().put(out));
}

fn put_check(check: &Check, out: &mut Vec<u8>) {
    text(out, check.name);
    text(out, &check.value);
    text(out, &check.limit);
    check.ok.put(out);
}

fn put_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
    text(out, refusal.name());
    if let Refusal::BookStale { age_ms } = refusal {
        age_ms.put(out);
    }
}

fn put_state(state: OrderState, out: &mut Vec<u8>) {
    match state {
        OrderState::InFlight { leaves } => tagged(out, 1, &leaves),
        OrderState::Live { leaves } => tagged(out, 2, &leaves),
        OrderState::Cancelling { leaves } => tagged(out, 3, &leaves),
        OrderState::Unknown { leaves, not_found } => {
            tagged(out, 4, &leaves);
            not_found.put(out);
        }
        OrderState::Closed(closed) => {
            let how: u8 = match closed {
                Closed::Filled => 1,
                Closed::Cancelled => 2,
                Closed::Expired => 3,
                Closed::Rejected => 4,
                Closed::NeverArrived => 5,
            };
            tagged(out, 5, &how);
        }
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, value: &impl Wire) {
    out.push(tag);
    value.put(out);
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) {
    length(out, items.len());
    items.iter().for_each(|item| put(item, out));
}

fn option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl Fn(&T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

fn length(out: &mut Vec<u8>, n: usize) {
    u32::try_from(n).expect("a record never comes near 2^32 bytes").put(out);
}

#[cfg(test)]
mod tests;
