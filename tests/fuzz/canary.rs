//! Decoders with planted defects: each is found, or the harness is broken.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::harness::Target;

/// A length byte and as many bytes after it.
fn seeds() -> Vec<Vec<u8>> {
    vec![b"\x03abc".to_vec(), b"\x0812345678".to_vec()]
}

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    /// The length is believed.
    Panic,
    /// Memory is taken for a length before the bytes are there.
    Memory,
    /// A last byte of eight bits is lost on the way back.
    Meaning,
    /// A check is left out.
    Blind,
}

#[derive(Debug)]
enum Refused {
    Empty,
    Length,
}

fn decode(bytes: &[u8], defect: Defect) -> Result<Vec<u8>, Refused> {
    let (len, rest) = bytes.split_first().ok_or(Refused::Empty)?;
    let len = usize::from(*len);
    match defect {
        Defect::Panic => return Ok(rest[..len].to_vec()),
        Defect::Memory => drop(std::hint::black_box(Vec::<u8>::with_capacity(len << 16))),
        Defect::None | Defect::Meaning | Defect::Blind => {}
    }
    if defect != Defect::Blind && rest.len() != len {
        return Err(Refused::Length);
    }
    Ok(rest.to_vec())
}

fn found(defect: Defect) -> bool {
    let target = Target {
        name: "canary",
        times: 1,
        seeds: seeds(),
        repair: None,
        fixed: 64,
        factor: 4,
        refusals: &["Empty", "Length"],
    };
    let run = || {
        target.run(
            |bytes| decode(bytes, defect).map(drop),
            |bytes| {
                let mut back = decode(bytes, Defect::None).unwrap_or_default();
                if defect == Defect::Meaning && back.last() > Some(&0x7f) {
                    back.pop();
                }
                let len = u8::try_from(back.len()).unwrap_or(u8::MAX);
                assert!(defect == Defect::Blind || [&[len], back.as_slice()].concat() == bytes);
            },
        )
    };
    catch_unwind(AssertUnwindSafe(run)).is_err()
}

#[test]
fn planted_defects_are_found() {
    assert!(!found(Defect::None), "a sound decoder passes");
    for defect in [Defect::Panic, Defect::Memory, Defect::Meaning, Defect::Blind] {
        assert!(found(defect), "{defect:?}");
    }
}
