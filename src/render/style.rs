//! How a reader likes dates and times.

use std::str::FromStr;

use chrono::{DateTime, Locale, NaiveDate, Utc};
use chrono_tz::Tz;

/// How dates are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `2 Mar 2007`: no reader mistakes day for month.
    #[default]
    English,
    /// `2007-03-02`
    Iso,
    /// The same order as in English, in another language.
    Locale(Locale),
}

impl FromStr for DateStyle {
    type Err = String;

    /// `en`, `iso`, or a POSIX locale such as `de_DE`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "en" => Ok(Self::English),
            "iso" => Ok(Self::Iso),
            other => Locale::try_from(other).map(Self::Locale).map_err(|_| {
                format!("dates: expected \"en\", \"iso\" or a locale such as \"de_DE\", found \"{text}\"")
            }),
        }
    }
}

impl DateStyle {
    /// Writes a date.
    pub fn print(self, date: NaiveDate) -> String {
        match self {
            Self::English => date.format("%-d %b %Y").to_string(),
            Self::Iso => date.to_string(),
            Self::Locale(locale) => date.format_localized("%-d %b %Y", locale).to_string(),
        }
    }
}

/// How a reader likes dates and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Dates.
    pub dates: DateStyle,
    /// The clock by which times are told.
    pub zone: Tz,
}

impl Default for Style {
    /// English on EDGAR's own clock.
    fn default() -> Self {
        Self { dates: DateStyle::English, zone: chrono_tz::America::New_York }
    }
}

impl Style {
    /// Writes a date.
    pub fn date(self, date: NaiveDate) -> String {
        self.dates.print(date)
    }

    /// `2025-12-12 17:30:03 EST`, on the reader's clock.
    pub fn instant(self, instant: DateTime<Utc>) -> String {
        instant.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_reader() {
        let date = NaiveDate::from_ymd_opt(2026, 3, 2).expect("a date");
        for (style, expected) in
            [("en", "2 Mar 2026"), ("iso", "2026-03-02"), ("de_DE", "2 Mär 2026"), ("fr_FR", "2 mars 2026")]
        {
            assert_eq!(style.parse::<DateStyle>().expect(style).print(date), expected, "{style}");
        }
        assert!("klingon".parse::<DateStyle>().is_err());
        let berlin = Style { zone: chrono_tz::Europe::Berlin, ..Style::default() };
        let noon = "2026-07-01T12:00:00Z".parse().expect("an instant");
        assert_eq!(berlin.instant(noon), "2026-07-01 14:00:00 CEST");
    }
}
