//! From a signal to an order: price, size, judgement, and the record of all three.

use super::Engine;
use super::view::Decision;
use crate::effect::{AuditRecord, Effect};
use crate::orders::limit_price;
use crate::risk::{self, Facts, Size};
use crate::signals::{Intent, Signal};
use domain::event::Level;
use domain::order::{OrderKind, TimeInForce};
use domain::{InstrumentId, Lots, OrderRequest, Side, StrategyId, Ticks};

/// Windows of the rate limits, ns.
const RATE_WINDOWS_NS: [u64; 2] = [1_000_000_000, 60_000_000_000];

impl Engine {
    /// Turns a signal into an order, sends it if risk approves, and notes all of it.
    pub(super) fn act(
        &mut self,
        id: InstrumentId,
        strategy: StrategyId,
        signal: Signal,
        held: Lots,
        out: &mut Vec<Effect>,
    ) {
        self.signals += 1;
        self.stats.signals += 1;
        let Some(market) = self.markets.get(usize::from(id.0)).and_then(Option::as_ref) else { return };
        let top = if market.book.is_live() { market.book.top() } else { None };
        out.push(Effect::Audit(AuditRecord::Signal {
            signal: self.signals,
            strategy,
            instrument: id,
            side: signal.side,
            intent: signal.intent.name(),
            reason: signal.reason,
            features: signal.features.clone(),
            book_id: market.book.last_id(),
            top: top.map(|(bid, ask)| [bid.price, ask.price]),
        }));
        let sent = RATE_WINDOWS_NS.map(|span_ns| self.orders.sent_within(self.now_ns, span_ns));
        let client_id = self.control.next_order_id();
        let Some(facts) = self.facts(id, strategy, signal.side, sent) else { return };
        let (price, size) = self.price_and_size(&facts, &signal, held, top);
        let request = OrderRequest {
            id: client_id,
            instrument: id,
            instrument_version: facts.instrument.version,
            strategy,
            side: signal.side,
            kind: OrderKind::Limit,
            tif: TimeInForce::Ioc,
            price,
            qty: size.qty,
        };
        let mut checks = Vec::new();
        let verdict = risk::review(request, &facts, &self.config.risk, &mut checks);
        let decision = Decision::new(self, &signal, &request, verdict.as_ref().err(), size.by, &checks);
        self.decisions.push(decision);
        out.push(Effect::Audit(AuditRecord::Verdict {
            signal: self.signals,
            request,
            refusal: verdict.as_ref().err().cloned(),
            checks,
            sized_by: size.by,
        }));
        match verdict {
            Ok(approved) => {
                assert_eq!(*approved.request(), request, "what was approved is what was judged");
                self.stats.orders.sent += 1;
                assert!(
                    !self.control.is_halted() || request.side == Side::Sell,
                    "halted, only reducing orders are sent"
                );
                self.orders.insert(self.now_ns, request, self.signals);
                let open = u32::try_from(self.orders.open_count()).unwrap_or(u32::MAX);
                assert!(open <= self.config.risk.open_orders_max, "the number of open orders is bounded");
                out.push(Effect::Send(approved));
            }
            Err(_) => self.stats.orders.denied += 1,
        }
    }

    /// Without prices there is neither price nor size worth speaking of; risk refuses such an order by its book.
    fn price_and_size(
        &self,
        facts: &Facts<'_>,
        signal: &Signal,
        held: Lots,
        top: Option<(Level, Level)>,
    ) -> (Ticks, Size) {
        let limits = &self.config.risk;
        let price = top.and_then(|(bid, ask)| {
            limit_price(signal.side, bid.price, ask.price, signal.slippage_max_bps, limits.price_collar_bps)
        });
        let Some(price) = price else { return (Ticks::default(), Size { qty: Lots::ZERO, by: "no price" }) };
        let size = match signal.intent {
            Intent::Enter => risk::entry(signal.order_value, facts, limits, price),
            Intent::Exit => risk::exit(held, facts, limits, price),
        };
        (price, size)
    }

    fn facts(&self, id: InstrumentId, strategy: StrategyId, side: Side, sent: [u32; 2]) -> Option<Facts<'_>> {
        let account = self.portfolio.account(id)?;
        let book = &self.markets.get(usize::from(id.0))?.as_ref()?.book;
        let instrument = account.instrument();
        Some(Facts {
            instrument,
            halted: self.control.is_halted(),
            loss_halted: self.control.loss_halted.is_some(),
            allowed: self.control.allowed(instrument.venue, id),
            link_up: self.control.orders_up(instrument.venue),
            book_live: book.is_live(),
            book_age_ms: self.now_ns.saturating_sub(book.changed_recv_ns()) / 1_000_000,
            top: book.top().map(|(bid, ask)| (bid.price, ask.price)),
            position: account.position(),
            sellable: account.sellable(),
            open_buys: self.orders.open_leaves(id, Side::Buy),
            open_sells: self.orders.open_leaves(id, Side::Sell),
            day_net: self.portfolio.day_net(instrument.quote),
            loss_base: self.portfolio.loss_base(instrument.quote),
            sent_1s: sent[0],
            sent_60s: sent[1],
            open_orders: u32::try_from(self.orders.open_count()).unwrap_or(u32::MAX),
            duplicate: self.orders.is_busy(strategy, id, Some(side)),
        })
    }
}
