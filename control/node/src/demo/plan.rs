//! What each payer wants, step by step, and what an answer to it must say.
//!
//! Holds: a payer's account is touched by nobody else, so its balance, its sequence and its nonce
//! are known after each answer. Pure: no connection and no clock.

use serde_json::Value;

use super::violation::{Violation, same};

/// Accounts that all payers pay into.
const SHOPS: u64 = 8;
pub(crate) const ASSET: &str = "ron";
/// What a payer issues to itself in each round; more than it can spend in one.
const ISSUED: u64 = 2_000;
/// More than there will ever be.
const TOO_MUCH: u64 = 1 << 62;
/// Steps of a round.
const ROUND: u64 = 20;

/// What a payer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Writes something new.
    Write(Kind),
    /// Asks for its balance.
    Read,
    /// Sends an old request again.
    Repeat,
}

/// What a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// New money for the payer.
    Issue,
    /// To a shop.
    Transfer,
    /// A transfer of more than the payer has: to be refused.
    Overdraw,
}

/// A payer's wish at a step: of 20, one issue, one overdraft, one repeat, two reads, 15 transfers.
/// Each payer is at another place of the round, so that at any moment all kinds are in flight.
pub(crate) fn wish(payer: u16, step: u64) -> Wish {
    if step == 0 {
        return Wish::Write(Kind::Issue);
    }
    match (step + u64::from(payer) * 3) % ROUND {
        0 => Wish::Write(Kind::Issue),
        7 => Wish::Write(Kind::Overdraw),
        10 => Wish::Repeat,
        3 | 13 => Wish::Read,
        _ => Wish::Write(Kind::Transfer),
    }
}

/// The account of a payer.
pub(crate) fn payer_account(payer: u16) -> String {
    format!("payer-{payer}")
}

/// One write, as the payer knows it before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) kind: Kind,
    pub(crate) payer: u16,
    /// Names it among the payer's writes.
    pub(crate) step: u64,
    pub(crate) amount: u64,
    /// The payer's nonce before it.
    pub(crate) nonce: u64,
    /// The payer's balance before it.
    pub(crate) balance: i128,
}

impl Write {
    /// The write of a step.
    pub(crate) fn new(kind: Kind, payer: u16, step: u64, nonce: u64, balance: i128) -> Self {
        let amount = match kind {
            Kind::Issue => ISSUED,
            Kind::Transfer => 1 + (step * 7 + u64::from(payer)) % 100,
            Kind::Overdraw => TOO_MUCH,
        };
        Self { kind, payer, step, amount, nonce, balance }
    }

    /// Its idempotency key.
    pub(crate) fn key(&self) -> String {
        format!("demo-{}-{}", self.payer, self.step)
    }

    /// Its route.
    pub(crate) const fn path(&self) -> &'static str {
        match self.kind {
            Kind::Issue => "/v1/issue",
            Kind::Transfer | Kind::Overdraw => "/v1/transfer",
        }
    }

    /// Who pays; `None` if the ledger issues.
    pub(crate) fn from(&self) -> Option<String> {
        (self.kind != Kind::Issue).then(|| payer_account(self.payer))
    }

    /// Who is paid.
    pub(crate) fn to(&self) -> String {
        match self.kind {
            Kind::Issue => payer_account(self.payer),
            Kind::Transfer | Kind::Overdraw => {
                format!("shop-{}", (self.step + u64::from(self.payer)) % SHOPS)
            }
        }
    }

    /// Its body. Transfers name their nonce.
    pub(crate) fn body(&self) -> String {
        let Self { amount, .. } = self;
        let to = self.to();
        match self.from() {
            None => format!(r#"{{"to":"{to}","asset":"{ASSET}","amount_minor":"{amount}"}}"#),
            Some(from) => format!(
                r#"{{"from":"{from}","to":"{to}","asset":"{ASSET}","amount_minor":"{amount}","nonce":{}}}"#,
                self.nonce + 1
            ),
        }
    }

    /// The payer's nonce after it.
    pub(crate) const fn nonce_after(&self) -> u64 {
        match self.kind {
            Kind::Transfer => self.nonce + 1,
            Kind::Issue | Kind::Overdraw => self.nonce,
        }
    }

    /// What it moves, if it is accepted.
    pub(crate) const fn moved(&self) -> Option<u64> {
        match self.kind {
            Kind::Issue | Kind::Transfer => Some(self.amount),
            Kind::Overdraw => None,
        }
    }

    /// The entry that keeps the answer, if the answer says what it must.
    pub(crate) fn judge(&self, status: u16, body: &[u8]) -> Result<u64, Violation> {
        let of = |what: &str| format!("{what} in the answer to {}", self.key());
        let told = String::from_utf8_lossy(body);
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let expected_status = if self.moved().is_some() { 200 } else { 409 };
        if status != expected_status {
            return Err(Violation::new(of("status"), expected_status, format_args!("{status} {told}")));
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        if self.moved().is_none() {
            same(of("code"), &"insufficient_funds".to_owned(), &text("code"))?;
            same(of("available"), &self.balance.to_string(), &text("available"))?;
        } else {
            let op = if self.kind == Kind::Issue { "issue" } else { "transfer" };
            same(of("op"), &op.to_owned(), &text("op"))?;
            same(of("from"), &self.from().unwrap_or_default(), &text("from"))?;
            same(of("to"), &self.to(), &text("to"))?;
            same(of("asset"), &ASSET.to_owned(), &text("asset"))?;
            same(of("amount_minor"), &self.amount.to_string(), &text("amount_minor"))?;
            same(of("idem"), &self.key(), &text("idem"))?;
            same(of("nonce"), &Some(self.nonce_after()), &answer["nonce"].as_u64())?;
        }
        answer["seq"].as_u64().ok_or_else(|| Violation::new(of("seq"), "a number", told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_payer_overdraws_by_accident() {
        for payer in 0..=255 {
            let mut balance = 0_i128;
            for step in 0..10 * ROUND {
                let Wish::Write(kind) = wish(payer, step) else { continue };
                let write = Write::new(kind, payer, step, 0, balance);
                match kind {
                    Kind::Issue => balance += i128::from(write.amount),
                    Kind::Transfer => balance -= i128::from(write.amount),
                    Kind::Overdraw => assert!(i128::from(write.amount) > balance),
                }
                assert!(balance >= 0, "payer {payer} at step {step}");
            }
        }
    }

    #[test]
    fn an_answer_about_something_else_is_a_violation() {
        let transfer = Write::new(Kind::Transfer, 1, 2, 4, 900);
        let good = r#"{"txid":"tx_1","op":"transfer","from":"payer-1","to":"shop-3","asset":"ron","amount_minor":"16","nonce":5,"idem":"demo-1-2","seq":31}"#;
        assert_eq!(transfer.judge(200, good.as_bytes()), Ok(31));
        assert!(transfer.judge(202, good.as_bytes()).is_err());
        for (from, to) in [
            ("payer-1", "payer-2"),
            ("shop-3", "shop-4"),
            ("\"ron\"", "\"usd\""),
            ("\"16\"", "\"17\""),
            ("\"nonce\":5", "\"nonce\":6"),
            ("demo-1-2", "demo-1-3"),
            ("\"transfer\"", "\"burn\""),
            ("\"seq\":31", "\"seq\":\"31\""),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert!(transfer.judge(200, changed.as_bytes()).is_err(), "{changed}");
        }
        let overdraw = Write::new(Kind::Overdraw, 1, 7, 4, 900);
        let refused = r#"{"code":"insufficient_funds","available":"900","seq":32}"#;
        assert_eq!(overdraw.judge(409, refused.as_bytes()), Ok(32));
        assert!(overdraw.judge(200, refused.as_bytes()).is_err());
        assert!(overdraw.judge(409, refused.replace("900", "901").as_bytes()).is_err());
    }
}
