//! Two sides measured in turns, and the ratio that comes of it.
//!
//! A machine's speed drifts by more than the differences that matter, so single runs are never
//! compared: the sides alternate in short blocks, and each pair of neighbours shares its weather.

/// Runs `blocks` pairs of blocks, each side first in every other pair (`AB BA AB ..`), so that a
/// steady drift favours neither.
///
/// # Errors
/// The first error of a side ends the run.
pub fn alternate<A, B>(
    blocks: usize,
    mut first: impl FnMut() -> anyhow::Result<A>,
    mut second: impl FnMut() -> anyhow::Result<B>,
) -> anyhow::Result<Vec<(A, B)>> {
    let mut pairs = Vec::with_capacity(blocks);
    for pair in 0..blocks {
        if pair % 2 == 0 {
            let a = first()?;
            pairs.push((a, second()?));
        } else {
            let b = second()?;
            pairs.push((first()?, b));
        }
    }
    Ok(pairs)
}

/// The middle of a set of figures and the quartiles around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Spread {
    /// The spread of `values`, `None` of nothing.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |quarter: usize| {
            // Linear between the two neighbours, so that small sets move smoothly.
            let place = last * quarter;
            let (below, rest) = (place / 4, place % 4);
            let above = if rest == 0 { below } else { below + 1 };
            let weight = [0.0, 0.25, 0.5, 0.75][rest];
            values[below] * (1.0 - weight) + values[above] * weight
        };
        Some(Self { low: at(1), median: at(2), high: at(3) })
    }

    /// How `numerators` compare with `denominators`, pair by pair of the same moment: the ratio of
    /// the two medians, between the quartiles of the ratios of the pairs. `None` of nothing, or
    /// where a denominator's median is zero.
    #[must_use]
    pub fn of_ratio(numerators: &[f64], denominators: &[f64]) -> Option<Self> {
        assert_eq!(numerators.len(), denominators.len(), "pairs");
        let above = Spread::of(numerators.iter().copied())?;
        let below = Spread::of(denominators.iter().copied())?;
        let pairs = numerators.iter().zip(denominators).filter(|(_, below)| **below > 0.0);
        let pairs = Spread::of(pairs.map(|(above, below)| above / below))?;
        (below.median > 0.0).then(|| Spread {
            low: pairs.low,
            median: above.median / below.median,
            high: pairs.high,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_take_turns_at_being_first() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(name)
            }
        };
        let pairs = alternate(3, side('a'), side('b')).unwrap();
        assert_eq!(pairs, [('a', 'b'); 3]);
        assert_eq!(order.into_inner(), "abbaab");
        let broken = alternate(3, side_error, side_error);
        assert!(broken.is_err());
    }

    fn side_error() -> anyhow::Result<char> {
        anyhow::bail!("the device is gone")
    }

    #[test]
    fn medians_and_quartiles() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([4.0]), Some(Spread { low: 4.0, median: 4.0, high: 4.0 }));
        let five = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(five, Some(Spread { low: 2.0, median: 3.0, high: 4.0 }));
        let four = Spread::of([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(four, Some(Spread { low: 1.75, median: 2.5, high: 3.25 }));
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_pairs() {
        // The machine slows down threefold in the middle; the ratio of each pair is still near two.
        let ours = [20.0, 22.0, 66.0, 60.0, 20.0];
        let peer = [10.0, 10.0, 30.0, 30.0, 10.0];
        let ratio = Spread::of_ratio(&ours, &peer).unwrap();
        assert_eq!((ratio.low, ratio.high), (2.0, 2.2));
        assert!((ratio.median - 2.2).abs() < 1e-9);
        assert_eq!(Spread::of_ratio(&[1.0], &[0.0]), None);
    }
}
