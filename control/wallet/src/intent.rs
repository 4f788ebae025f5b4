//! `Intent`: what one money request of the wallet asks, decoded and checked.

use model::{AccountName, Amount, Asset, Kind, Preconditions, Request, Text};

use crate::{
    BodyError, IdempotencyKey,
    body::{Field, Fields},
};

pub(crate) const ACCOUNT: &str =
    "an account's name: 1 to 64 of A-Z a-z 0-9 _ . : @ / -, not beginning with @";
pub(crate) const ASSET: &str = "an asset's name: 1 to 16 of a-z 0-9 _ .";
pub(crate) const AMOUNT: &str = "an amount above zero: a decimal string of minor units, below 2^96";
pub(crate) const REFERENCE: &str = "at most 64 printable ASCII characters";
pub(crate) const NUMBER: &str = "a whole number from 0 to 2^64 - 1";

const FROM: Field = Field { name: "from", expected: ACCOUNT };
const TO: Field = Field { name: "to", expected: ACCOUNT };
const SPENT_FROM: Field = Field { name: "account", expected: "the account's name here or as from, not both" };
const ASSET_NAME: Field = Field { name: "asset", expected: ASSET };
const AMOUNT_MINOR: Field = Field { name: "amount_minor", expected: AMOUNT };
const NONCE: Field = Field { name: "nonce", expected: NUMBER };
const IF_SEQ: Field = Field { name: "if_seq", expected: NUMBER };
const IF_BALANCE: Field =
    Field { name: "if_balance_at_least", expected: "a decimal string of minor units, below 2^96" };
const TEXT: Field = Field { name: "reference", expected: REFERENCE };

/// One decoded money request, not yet tied to a caller and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// `Transfer`, `Mint` or `Burn`.
    pub kind: Kind,
    /// The account that is debited; `@issuance` for `Mint`.
    pub debit: AccountName,
    /// The account that is credited; `@issuance` for `Burn`.
    pub credit: AccountName,
    /// What is counted.
    pub asset: Asset,
    /// How much, above zero.
    pub amount: Amount,
    /// What must hold.
    pub preconditions: Preconditions,
    /// The caller's reference.
    pub reference: Text,
}

impl Intent {
    /// Reads the body of `POST /v1/transfer`.
    ///
    /// # Errors
    /// Names the field and what was expected.
    pub fn transfer(body: &[u8]) -> Result<Self, BodyError> {
        const KNOWN: &[Field; 8] = &[FROM, TO, ASSET_NAME, AMOUNT_MINOR, NONCE, IF_SEQ, IF_BALANCE, TEXT];
        let fields = Fields::parse(body, KNOWN)?;
        let (from, to) = (account(&fields, "from")?, account(&fields, "to")?);
        Self::of(Kind::Transfer, from, to, &fields)
    }

    /// Reads the body of `POST /wallet/spend`: a transfer whose `from` may be named `account`.
    ///
    /// # Errors
    /// As `transfer`; both names at once are refused.
    pub fn spend(body: &[u8]) -> Result<Self, BodyError> {
        const KNOWN: &[Field; 9] =
            &[FROM, SPENT_FROM, TO, ASSET_NAME, AMOUNT_MINOR, NONCE, IF_SEQ, IF_BALANCE, TEXT];
        let fields = Fields::parse(body, KNOWN)?;
        let from = match (fields.value("from"), fields.value("account")) {
            (Some(_), Some(_)) => return Err(fields.wrong("account")),
            (None, Some(_)) => account(&fields, "account")?,
            (_, None) => account(&fields, "from")?,
        };
        Self::of(Kind::Transfer, from, account(&fields, "to")?, &fields)
    }

    /// Reads the body of `POST /v1/issue`.
    ///
    /// # Errors
    /// As `transfer`.
    pub fn issue(body: &[u8]) -> Result<Self, BodyError> {
        const KNOWN: &[Field; 7] = &[TO, ASSET_NAME, AMOUNT_MINOR, NONCE, IF_SEQ, IF_BALANCE, TEXT];
        let fields = Fields::parse(body, KNOWN)?;
        Self::of(Kind::Mint, AccountName::issuance(), account(&fields, "to")?, &fields)
    }

    /// Reads the body of `POST /v1/burn`.
    ///
    /// # Errors
    /// As `transfer`.
    pub fn burn(body: &[u8]) -> Result<Self, BodyError> {
        const KNOWN: &[Field; 7] = &[FROM, ASSET_NAME, AMOUNT_MINOR, NONCE, IF_SEQ, IF_BALANCE, TEXT];
        let fields = Fields::parse(body, KNOWN)?;
        Self::of(Kind::Burn, account(&fields, "from")?, AccountName::issuance(), &fields)
    }

    /// The account that the caller acts for, and that its capability must allow.
    #[must_use]
    pub const fn owner(&self) -> &AccountName {
        if matches!(self.kind, Kind::Mint) { &self.credit } else { &self.debit }
    }

    /// The request of `subject` under `key`.
    #[must_use]
    pub fn request(&self, subject: &str, key: &IdempotencyKey) -> Request {
        Request {
            kind: self.kind,
            debit: self.debit,
            credit: self.credit,
            asset: self.asset,
            amount: self.amount,
            key: key.of_entry(subject, 0),
            preconditions: self.preconditions,
            reference: self.reference,
            idx: 0,
        }
    }

    fn of<const N: usize>(
        kind: Kind,
        debit: AccountName,
        credit: AccountName,
        fields: &Fields<'_, N>,
    ) -> Result<Self, BodyError> {
        let at_least = fields.optional("if_balance_at_least", |text| Amount::parse(text).ok())?;
        Ok(Self {
            kind,
            debit,
            credit,
            asset: fields.required("asset", |text| Asset::parse(text).ok())?,
            amount: fields.required("amount_minor", amount_above_zero)?,
            preconditions: Preconditions {
                nonce: fields.number("nonce")?,
                if_seq: fields.number("if_seq")?,
                if_balance_at_least: at_least,
            },
            reference: fields.optional("reference", Text::new)?.unwrap_or_default(),
        })
    }
}

/// An account that a caller may name: any but the ledger's own.
pub(crate) fn account<const N: usize>(
    fields: &Fields<'_, N>,
    name: &'static str,
) -> Result<AccountName, BodyError> {
    fields.required(name, |text| AccountName::parse(text).ok().filter(|name| !name.is_owned()))
}

pub(crate) fn amount_above_zero(text: &str) -> Option<Amount> {
    Amount::parse(text).ok().filter(|amount| !amount.is_zero())
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    const BODY: &str =
        r#"{"from":"acc_src","to":"acc_dst","asset":"ron","amount_minor":"250000","nonce":42}"#;

    #[test]
    fn a_transfer_is_read_whole() {
        let body = r#"{"reference":"order-17","if_balance_at_least":"0","if_seq":7,"nonce":42,
            "amount_minor":"250000","asset":"ron","to":"acc_dst","from":"acc_src"}"#;
        let intent = Intent::transfer(body.as_bytes()).unwrap();
        let key = IdempotencyKey::new("k").unwrap();
        let request = intent.request("ann", &key);
        assert_eq!(request.kind, Kind::Transfer);
        assert_eq!((request.debit.as_str(), request.credit.as_str()), ("acc_src", "acc_dst"));
        assert_eq!((request.asset.as_str(), request.amount.units()), ("ron", 250_000));
        let expected =
            Preconditions { nonce: Some(42), if_seq: Some(7), if_balance_at_least: Some(Amount::ZERO) };
        assert_eq!(request.preconditions, expected);
        assert_eq!(request.reference.as_str(), "order-17");
        assert_eq!((request.key, request.idx), (key.of_entry("ann", 0), 0));
        assert_eq!(intent.owner(), request.owner());
    }

    #[test]
    fn each_route_has_its_sides() {
        let issue = Intent::issue(br#"{"to":"a","asset":"ron","amount_minor":"1"}"#).unwrap();
        assert_eq!(
            (issue.kind, issue.debit, issue.owner().as_str()),
            (Kind::Mint, AccountName::issuance(), "a")
        );
        let burn = Intent::burn(br#"{"from":"a","asset":"ron","amount_minor":"1"}"#).unwrap();
        assert_eq!(
            (burn.kind, burn.credit, burn.owner().as_str()),
            (Kind::Burn, AccountName::issuance(), "a")
        );
        let spend = Intent::spend(br#"{"account":"a","to":"b","asset":"ron","amount_minor":"1"}"#).unwrap();
        let same = Intent::spend(br#"{"from":"a","to":"b","asset":"ron","amount_minor":"1"}"#).unwrap();
        assert_eq!(spend, same);
        assert_eq!(spend.kind, Kind::Transfer);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let amount = format!("amount_minor: expected {AMOUNT}");
        let number = "nonce: expected a whole number from 0 to 2^64 - 1".to_string();
        for (from, to, expected) in [
            (r#""250000""#, "250000", amount.clone()),
            (r#""250000""#, "2.5", amount.clone()),
            (r#""250000""#, r#""2.5""#, amount.clone()),
            (r#""250000""#, r#""-1""#, amount.clone()),
            (r#""250000""#, r#""0""#, amount.clone()),
            (r#""250000""#, r#""007""#, amount.clone()),
            (r#""250000""#, r#""1e3""#, amount.clone()),
            (r#""250000""#, r#""79228162514264337593543950336""#, amount.clone()),
            (r#""250000""#, "true", amount.clone()),
            (r#""250000""#, "[1]", amount.clone()),
            (r#""250000""#, r#"{"a":{}}"#, amount),
            (r#""250000""#, "null", "amount_minor: required".to_string()),
            (r#""acc_src""#, r#""@issuance""#, format!("from: expected {ACCOUNT}")),
            (r#""acc_src""#, r#""a b""#, format!("from: expected {ACCOUNT}")),
            (r#""acc_src""#, r#""a\u0000""#, format!("from: expected {ACCOUNT}")),
            (r#""ron""#, r#""RON""#, format!("asset: expected {ASSET}")),
            ("42", "-1", number.clone()),
            ("42", "4.0", number.clone()),
            ("42", r#""42""#, number.clone()),
            ("42", "18446744073709551616", number),
            ("42", "42,\"memo\":1", "memo: no such field".to_string()),
            ("42", "42,\"to\":\"b\"", "to: given twice".to_string()),
            (r#""to":"acc_dst","#, "", "to: required".to_string()),
        ] {
            let body = BODY.replacen(from, to, 1);
            assert_ne!(body, BODY, "{from}");
            assert_eq!(Intent::transfer(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
        }
        let both = br#"{"account":"a","from":"a","to":"b","asset":"ron","amount_minor":"1"}"#;
        assert_eq!(
            Intent::spend(both).unwrap_err().to_string(),
            "account: expected the account's name here or as from, not both"
        );
        let issue = br#"{"from":"a","to":"b","asset":"ron","amount_minor":"1"}"#;
        assert_eq!(Intent::issue(issue).unwrap_err().to_string(), "from: no such field");
        let long = BODY.replacen("42", &format!("42,\"reference\":\"{}\"", "r".repeat(65)), 1);
        assert_eq!(
            Intent::transfer(long.as_bytes()).unwrap_err().to_string(),
            format!("reference: expected {REFERENCE}")
        );
    }
}
