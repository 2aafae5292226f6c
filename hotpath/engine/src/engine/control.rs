//! Sessions, connections, the operator, and the stopping of entries.

use super::Engine;
use super::market::find;
use crate::effect::{AuditRecord, Effect};
use crate::risk;
use domain::event::{Allowed, Channel, Link, Note, OperatorCommand, Session, Status, note};
use domain::{Asset, ClientOrderId, InstrumentId, Side, Venue};
use std::collections::{BTreeMap, BTreeSet};

/// What allows or forbids new orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub(super) session: Option<Session>,
    sequence: u32,
    /// Why entries are stopped, if they are.
    pub(super) halt: Option<Note>,
    /// Entries are stopped by a loss in this quote asset until the operator resumes.
    pub(super) loss_halted: Option<Asset>,
    /// Venues to which no orders can be sent. Until somebody says otherwise they can: a backtest has no connections.
    orders_down: BTreeSet<Venue>,
    /// Venues, and single markets of them, that take less than all orders.
    restricted: BTreeMap<(Venue, Option<InstrumentId>), Allowed>,
}

impl Control {
    /// True while entries are stopped for another reason than a loss. Before the first session nothing may be sent.
    pub(super) const fn is_halted(&self) -> bool {
        self.halt.is_some() || self.session.is_none()
    }

    /// True when orders can be sent to `venue`.
    pub(super) fn orders_up(&self, venue: Venue) -> bool {
        !self.orders_down.contains(&venue)
    }

    /// True when orders can be sent to every venue.
    pub(super) fn all_orders_up(&self) -> bool {
        self.orders_down.is_empty()
    }

    /// What `venue` takes for `instrument` now: the stricter of what it says of itself and of the market.
    pub(super) fn allowed(&self, venue: Venue, instrument: InstrumentId) -> Allowed {
        let of = |market| self.restricted.get(&(venue, market)).copied().unwrap_or(Allowed::All);
        of(None).max(of(Some(instrument)))
    }

    /// The next order id; used up whether or not the order is sent (I-02).
    pub(super) fn next_order_id(&mut self) -> ClientOrderId {
        self.sequence = self.sequence.checked_add(1).expect("an epoch has fewer than 2^32 orders");
        let (home, epoch) = self.session.as_ref().map_or((0, 0), |s| (s.home, s.epoch));
        ClientOrderId { home, epoch, sequence: self.sequence }
    }
}

impl Engine {
    /// A session begins. Every further one is a restart: what was open is unknown until the venue is asked, and no book
    /// is believed. Halts stay.
    pub(super) fn on_session(&mut self, session: &Session, out: &mut Vec<Effect>) {
        let before = self.control.session.replace(session.clone());
        let same_ids = before.as_ref().is_some_and(|b| (b.home, b.epoch) == (session.home, session.epoch));
        if !same_ids {
            self.control.sequence = 0;
        }
        if before.is_none() {
            return;
        }
        self.control.orders_down.clear();
        self.control.restricted.clear();
        for at in 0..self.markets.len() {
            let id = InstrumentId(u16::try_from(at).expect("instruments are bounded"));
            if let Some(market) = find(&mut self.markets, id) {
                let news = market.book.chill();
                self.on_news(id, news, out);
            }
        }
        assert!(self.markets.iter().flatten().all(|m| !m.book.is_live()), "after a restart no book is believed");
        self.lose_sight("session", out);
        self.orders.ask_all();
        self.ask_due(out);
    }

    pub(super) fn on_link(&mut self, link: Link, out: &mut Vec<Effect>) {
        match link.channel {
            Channel::Market => {
                for at in 0..self.markets.len() {
                    let id = InstrumentId(u16::try_from(at).expect("instruments are bounded"));
                    if self.portfolio.account(id).is_some_and(|a| a.instrument().venue == link.venue)
                        && let Some(market) = find(&mut self.markets, id)
                    {
                        let news = market.book.on_link(self.now_ns, link.up);
                        self.on_news(id, news, out);
                    }
                }
            }
            Channel::Orders => {
                if link.up {
                    self.control.orders_down.remove(&link.venue);
                    self.orders.ask_all();
                    self.ask_due(out);
                } else {
                    self.control.orders_down.insert(link.venue);
                    self.lose_sight("link_down", out);
                }
            }
        }
    }

    /// The venue takes more or fewer kinds of orders than before.
    pub(super) fn on_status(&mut self, status: &Status, out: &mut Vec<Effect>) {
        let key = (status.venue, status.instrument);
        let before = match status.allowed {
            Allowed::All => self.control.restricted.remove(&key),
            less => self.control.restricted.insert(key, less),
        };
        if before.unwrap_or(Allowed::All) != status.allowed {
            out.push(Effect::Audit(AuditRecord::Venue {
                venue: status.venue,
                instrument: status.instrument,
                allowed: status.allowed,
                said: status.said,
            }));
        }
    }

    pub(super) fn on_operator(&mut self, command: OperatorCommand, out: &mut Vec<Effect>) {
        match command {
            OperatorCommand::Halt { reason } => {
                self.halt(&reason, out);
                // What is on its way in would be new risk too.
                self.cancel_open(|order| order.request.side == Side::Buy, out);
            }
            OperatorCommand::Resume { reason } => {
                self.control.halt = None;
                if let Some(quote) = self.control.loss_halted.take() {
                    self.accept_loss(quote);
                }
                out.push(Effect::Audit(AuditRecord::Halt { halted: false, reason }));
            }
            OperatorCommand::CancelAll => self.cancel_open(|_| true, out),
        }
    }

    /// Stops entries until the operator resumes. Orders that reduce a position stay allowed: a stop that would also
    /// forbid the way out would keep the risk it is meant to end.
    pub(super) fn halt(&mut self, reason: &str, out: &mut Vec<Effect>) {
        let reason = note(reason);
        self.control.halt = Some(reason);
        out.push(Effect::Audit(AuditRecord::Halt { halted: true, reason }));
        assert!(self.control.is_halted(), "a halt holds until resumed");
    }

    /// Stops entries when the day's loss has reached its limit.
    pub(super) fn check_loss(&mut self, out: &mut Vec<Effect>) {
        if self.control.loss_halted.is_some() {
            return;
        }
        if let Some(quote) = self.portfolio.quotes().find(|quote| self.has_lost(*quote)) {
            self.control.loss_halted = Some(quote);
            let (net, base) = (self.portfolio.day_net(quote), self.portfolio.loss_base(quote));
            let max = self.config.risk.daily_loss_max;
            let from = if base.is_zero() { String::new() } else { format!(" below {base}") };
            let reason = note(&format!("daily loss limit: {net} {quote}, limit {max}{from}"));
            out.push(Effect::Audit(AuditRecord::Halt { halted: true, reason }));
        }
    }

    /// True when the day's loss in `quote` has reached its limit.
    fn has_lost(&self, quote: Asset) -> bool {
        let floor = risk::loss_floor(self.portfolio.loss_base(quote), self.config.risk.daily_loss_max);
        floor.is_none_or(|floor| self.portfolio.day_net(quote) <= floor)
    }

    /// The operator resumed after a loss in `halted`: one more daily loss is allowed from here, there and wherever the
    /// limit was reached meanwhile, or entries would stop again at once. Others keep what is left of their allowance.
    fn accept_loss(&mut self, halted: Asset) {
        let quotes: Vec<Asset> = self.portfolio.quotes().filter(|q| *q == halted || self.has_lost(*q)).collect();
        for quote in quotes {
            self.portfolio.grant_loss(quote);
        }
    }
}
