//! The tables of a report as CSV (RFC 4180, UTF-8, header line, LF). Numbers are exact.

use super::model::Report;

/// `trades.csv`.
pub fn trades(report: &Report) -> String {
    let mut out = String::from(
        "at,run_id,seq,venue,symbol,strategy,side,price,qty,value,fee,fee_asset,liquidity,order_id,fill_id,gain\n",
    );
    for t in &report.trades {
        let gain = t.gain.map(|g| g.to_string()).unwrap_or_default();
        let numbers =
            [t.seq.to_string(), t.price.to_string(), t.qty.to_string(), t.value.to_string(), t.fee.to_string()];
        let [seq, price, qty, value, fee] = &numbers;
        line(
            &mut out,
            &[
                &t.at,
                &t.run_id,
                seq,
                &t.venue,
                &t.symbol,
                &t.strategy,
                &t.side,
                price,
                qty,
                value,
                fee,
                &t.fee_asset,
                &t.liquidity,
                &t.order_id,
                &t.fill_id,
                &gain,
            ],
        );
    }
    out
}

/// `orders.csv`.
pub fn orders(report: &Report) -> String {
    let mut out =
        String::from("at,run_id,order_id,symbol,strategy,signal,side,kind,tif,price,qty,filled,state,reason\n");
    for o in &report.orders.rows {
        let numbers = [o.signal.to_string(), o.price.to_string(), o.qty.to_string(), o.filled.to_string()];
        let [signal, price, qty, filled] = &numbers;
        line(
            &mut out,
            &[
                &o.at,
                &o.run_id,
                &o.order_id,
                &o.symbol,
                &o.strategy,
                signal,
                &o.side,
                &o.kind,
                &o.tif,
                price,
                qty,
                filled,
                &o.state,
                &o.reason,
            ],
        );
    }
    out
}

fn line(out: &mut String, fields: &[&str]) {
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if field.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_and_quotes_stay_one_field() {
        let mut out = String::new();
        line(&mut out, &["a", "b,c", "say \"x\"", ""]);
        assert_eq!(out, "a,\"b,c\",\"say \"\"x\"\"\",\n");
    }
}
