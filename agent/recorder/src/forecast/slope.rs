//! A slope that single outliers don't change: the median of the slopes of all pairs of points (Theil and
//! Sen), and how many of the pairs agree about its direction (Kendall).

/// A trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    /// Per second.
    pub(super) slope: f64,
    /// The share of pairs of points of which the later one is lower.
    pub(super) falling: f64,
    /// From the first to the last point, in seconds.
    pub(super) span_s: f64,
}

/// The trend of points (seconds, value) in the order of time; `None` for fewer than three.
pub(super) fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    if points.len() < 3 {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (at, (from_s, from)) in points.iter().enumerate() {
        for (to_s, to) in &points[at + 1..] {
            if to_s > from_s {
                slopes.push((to - from) / (to_s - from_s));
            }
        }
    }
    let falling = slopes.iter().filter(|slope| **slope < 0.0).count();
    let span_s = points.last()?.0 - points.first()?.0;
    let falling = falling as f64 / slopes.len().max(1) as f64;
    Some(Trend { slope: median(&mut slopes)?, falling, span_s })
}

/// The median; `None` of nothing.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_do_not_change_the_slope() {
        let mut points: Vec<(f64, f64)> =
            (0..30).map(|n| (f64::from(n), 100.0 - 2.0 * f64::from(n))).collect();
        let clean = trend(&points).expect("there are enough");
        assert!((clean.slope + 2.0).abs() < 1e-9 && clean.falling > 0.999);
        points[7].1 = 1e9;
        points[20].1 = -1e9;
        let outliers = trend(&points).expect("there are enough");
        assert!((outliers.slope + 2.0).abs() < 0.2, "{outliers:?}");
        assert_eq!(trend(&points[..2]), None);
    }
}
