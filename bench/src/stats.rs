//! Medians and percentiles of measured values. Knows nothing of what was measured.

use std::time::Duration;

/// The value below which `share` (0 to 1) of the values lie, by the nearest rank; 0 of none.
#[must_use]
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (0..sorted.len()).find(|rank| (*rank + 1) as f64 >= share * sorted.len() as f64);
    rank.and_then(|rank| sorted.get(rank)).copied().unwrap_or(0.0)
}

/// The value in the middle.
#[must_use]
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// In microseconds.
#[must_use]
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            [median(&values), percentile(&values, 0.99), percentile(&values, 1.0)],
            [50.0, 99.0, 100.0]
        );
        assert_eq!((median(&[7.0]), median(&[])), (7.0, 0.0));
    }
}
