//! What products let be done. The stream says whether one is online; the flags that narrow that come with the product
//! over HTTP, and in the stream of the Exchange of before. So `online` without any flag is no news: it would undo what the
//! flags said.

use super::instruments;
use crate::adapter::Said;
use crate::poll::{self, Poll};
use crate::wire::{DecodeError, SymbolTable, parse};
use domain::Event;
use domain::event::{Allowed, Status, note};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct StatusEvent<'a> {
    #[serde(borrow, default)]
    products: Vec<Product<'a>>,
}

/// A product, as the stream or an answer tells it.
#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow, alias = "product_id")]
    id: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    trading_disabled: Option<bool>,
    is_disabled: Option<bool>,
    view_only: Option<bool>,
    cancel_only: Option<bool>,
    auction_mode: Option<bool>,
    post_only: Option<bool>,
    limit_only: Option<bool>,
}

impl Product<'_> {
    /// What may be done; where the venue's own word falls between ours, the stricter. `None` for a new word.
    fn allowed(&self) -> Option<Allowed> {
        let any = |flags: &[Option<bool>]| flags.contains(&Some(true));
        match &*self.status {
            "offline" | "delisted" => Some(Allowed::Nothing),
            "online" if any(&[self.trading_disabled, self.is_disabled, self.view_only]) => Some(Allowed::Nothing),
            "online" if any(&[self.cancel_only, self.auction_mode]) => Some(Allowed::CancelOnly),
            "online" if any(&[self.post_only, self.limit_only]) => Some(Allowed::PostOnly),
            "online" => Some(Allowed::All),
            _ => None,
        }
    }

    fn has_flags(&self) -> bool {
        [self.trading_disabled, self.cancel_only, self.post_only, self.limit_only].iter().any(Option::is_some)
    }
}

/// Reads the events of the channel `status`.
pub(super) fn stream(events: &str, table: &SymbolTable, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    let events: Vec<StatusEvent<'_>> = parse("status", events)?;
    for product in events.iter().flat_map(|e| &e.products) {
        // The channel may tell of all products; those we do not follow are no news.
        for i in instruments(table, &product.id) {
            out.push(match product.allowed() {
                Some(Allowed::All) if !product.has_flags() => Said::Alive,
                Some(allowed) => {
                    let (instrument, said) = (Some(i.id), note(&product.status));
                    Said::Event(Event::Status(Status { venue: i.venue, instrument, allowed, said }))
                }
                None => Said::Other("unknown product status"),
            });
        }
    }
    Ok(())
}

/// Reads the answer to the question for one product.
pub(super) fn answer(poll: &Poll, answer: &str, table: &SymbolTable, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    let product: Product<'_> = parse("product", answer)?;
    poll::statuses(poll, table, out, |name| (product.id == name).then(|| (&*product.status, product.allowed())));
    Ok(())
}
