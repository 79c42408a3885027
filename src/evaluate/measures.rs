//! Counts, and what follows from them: precision, recall and F1 with the range each may lie in.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

/// A share that was measured, and its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The share `right / of` with the Wilson score interval; `None` of nothing.
    ///
    /// E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
    /// Statistical Association 22 (1927), 209-212. Unlike the textbook interval it stays within 0 and 1 and says
    /// something at both ends, where most of these shares lie.
    pub fn of_share(right: usize, of: usize) -> Option<Self> {
        if of == 0 {
            return None;
        }
        let (right, of) = (right as f64, of as f64);
        let share = right / of;
        let squared = Z * Z / of;
        let centre = (share + squared / 2.0) / (1.0 + squared);
        let half = Z * (share * (1.0 - share) / of + squared / (4.0 * of)).sqrt() / (1.0 + squared);
        // At 0 and 1 an end of the interval is the share itself; rounding must not push it past.
        Some(Self { value: share, low: (centre - half).clamp(0.0, share), high: (centre + half).clamp(share, 1.0) })
    }

    /// F1 with its interval; `None` where nothing was wanted and nothing found.
    ///
    /// Of the cases that were wanted or found, let `j` be the share of those that were both. F1 is `2j / (1 + j)` and
    /// rises with `j`, so the ends of the Wilson interval of `j` give those of F1. Preferred to resampling, which
    /// shrinks to a point where there are no errors. Like every interval here it takes cases for independent; several
    /// events of one document are so only roughly.
    pub fn of_f1(counts: Counts) -> Option<Self> {
        let f1 = |j: f64| 2.0 * j / (1.0 + j);
        let j = Self::of_share(counts.hit, counts.hit + counts.false_ + counts.missed)?;
        Some(Self { value: f1(j.value), low: f1(j.low), high: f1(j.high) })
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} ({:.3}-{:.3})", self.value, self.low, self.high))
    }
}

/// How many were found, found but not wanted, and wanted but not found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Measures")]
pub struct Counts {
    /// Wanted and found.
    pub hit: usize,
    /// Found and not wanted.
    pub false_: usize,
    /// Wanted and not found.
    pub missed: usize,
}

impl Counts {
    /// How many were wanted.
    pub fn n(self) -> usize {
        self.hit + self.missed
    }

    /// How many of those found were wanted.
    pub fn precision(self) -> Option<Estimate> {
        Estimate::of_share(self.hit, self.hit + self.false_)
    }

    /// How many of those wanted were found.
    pub fn recall(self) -> Option<Estimate> {
        Estimate::of_share(self.hit, self.n())
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(self) -> Option<Estimate> {
        Estimate::of_f1(self)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.hit += other.hit;
        self.false_ += other.false_;
        self.missed += other.missed;
    }
}

/// How often something was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(into = "MeasuredShare")]
pub struct Share {
    /// How often it was.
    pub right: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// Counts one more.
    pub fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }

    /// As a share; `None` of nothing.
    pub fn estimate(self) -> Option<Estimate> {
        Estimate::of_share(self.right, self.of)
    }
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.of += other.of;
    }
}

/// [`Counts`] as JSON shows them.
#[derive(Serialize)]
struct Measures {
    n: usize,
    hit: usize,
    #[serde(rename = "false")]
    false_: usize,
    missed: usize,
    precision: Option<Estimate>,
    recall: Option<Estimate>,
    f1: Option<Estimate>,
}

impl From<Counts> for Measures {
    fn from(counts: Counts) -> Self {
        let Counts { hit, false_, missed } = counts;
        let (precision, recall, f1) = (counts.precision(), counts.recall(), counts.f1());
        Self { n: counts.n(), hit, false_, missed, precision, recall, f1 }
    }
}

/// [`Share`] as JSON shows it.
#[derive(Serialize)]
struct MeasuredShare {
    right: usize,
    of: usize,
    share: Option<Estimate>,
}

impl From<Share> for MeasuredShare {
    fn from(share: Share) -> Self {
        Self { right: share.right, of: share.of, share: share.estimate() }
    }
}

/// The normal deviate that leaves 2.5% on either side.
const Z: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Option<Estimate>, expected: (f64, f64, f64)) {
        let found = found.expect("an estimate");
        for (found, expected) in [(found.value, expected.0), (found.low, expected.1), (found.high, expected.2)] {
            assert!((found - expected).abs() < 0.000_05, "{found} is not {expected}");
        }
    }

    /// The four examples of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3; and an end.
    #[test]
    fn wilson_intervals_are_those_of_the_literature() {
        check(Estimate::of_share(81, 263), (0.3080, 0.2553, 0.3662));
        check(Estimate::of_share(15, 148), (0.1014, 0.0624, 0.1605));
        check(Estimate::of_share(0, 20), (0.0, 0.0, 0.1611));
        check(Estimate::of_share(1, 29), (0.0345, 0.0061, 0.1718));
        check(Estimate::of_share(10, 10), (1.0, 0.7225, 1.0));
        assert_eq!(Estimate::of_share(0, 0), None);
    }

    #[test]
    fn an_interval_holds_its_share() {
        for of in 1..200 {
            for right in 0..=of {
                let found = Estimate::of_share(right, of).expect("of something");
                assert!(0.0 <= found.low && found.low <= found.value, "{right} of {of}: {found:?}");
                assert!(found.value <= found.high && found.high <= 1.0, "{right} of {of}: {found:?}");
            }
        }
    }

    #[test]
    fn f1_is_the_harmonic_mean_and_its_interval_follows_from_the_overlap() {
        let counts = Counts { hit: 81, false_: 100, missed: 82 };
        let (precision, recall) = (81.0 / 181.0, 81.0 / 163.0);
        let expected = 2.0 * precision * recall / (precision + recall);
        // 81 of 263 are both: the first example above.
        check(counts.f1(), (expected, 2.0 * 0.255_289 / 1.255_289, 2.0 * 0.366_210 / 1.366_210));
        assert_eq!(Counts::default().f1(), None);
        check(Counts { hit: 0, false_: 1, missed: 0 }.f1(), (0.0, 0.0, 0.8848));
        check(Counts { hit: 10, ..Counts::default() }.f1(), (1.0, 0.8389, 1.0));
    }

    #[test]
    fn json_shows_counts_and_what_follows_from_them() {
        let json = serde_json::json!(Counts { hit: 1, false_: 0, missed: 1 });
        assert_eq!((&json["n"], &json["false"], &json["precision"]["value"]), (&2.into(), &0.into(), &1.0.into()));
        assert_eq!(json["recall"]["value"], 0.5);
        assert!(serde_json::json!(Share::default())["share"].is_null(), "nothing was measured");
    }
}
