//! `files/company_tickers.json`: which ticker belongs to which CIK today.
//!
//! The file lists what trades now: a delisted issuer vanishes from it, and its ticker may come back as another's.

use std::collections::HashMap;

use serde::Deserialize;

use super::ids::Cik;

/// The ticker map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickerMap {
    by_ticker: HashMap<String, Listed>,
}

/// One line of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The issuer.
    pub cik: Cik,
    /// Its name, as the map prints it.
    pub name: String,
}

/// The file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum TickerMapError {
    /// Not JSON, or JSON of another shape.
    #[error("expected an object of {{cik_str, ticker, title}}: {0}")]
    Shape(#[from] serde_json::Error),
    /// Well-formed and without a single line, which the real file never is.
    #[error("the ticker map is empty")]
    Empty,
}

#[derive(Deserialize)]
struct Row {
    cik_str: u64,
    ticker: String,
    title: String,
}

impl TickerMap {
    /// Reads the file.
    ///
    /// # Errors
    /// [`TickerMapError`] when it is cut, of another shape or empty.
    pub fn parse(body: &[u8]) -> Result<Self, TickerMapError> {
        let rows: HashMap<String, serde_json::Value> = serde_json::from_slice(body)?;
        let mut by_ticker = HashMap::new();
        let mut fault = TickerMapError::Empty;
        for row in rows.into_values() {
            // A row without its fields costs itself only.
            match serde_json::from_value::<Row>(row) {
                Ok(row) => {
                    if let Some(cik) = Cik::from_number(row.cik_str) {
                        by_ticker.insert(normalise_ticker(&row.ticker), Listed { cik, name: row.title });
                    }
                }
                Err(error) => fault = error.into(),
            }
        }
        if by_ticker.is_empty() { Err(fault) } else { Ok(Self { by_ticker }) }
    }

    /// Looks a ticker up; case and the mark between share classes do not matter.
    pub fn find(&self, ticker: &str) -> Option<&Listed> {
        self.by_ticker.get(&normalise_ticker(ticker))
    }

    /// The known ticker that differs from `ticker` in the fewest letters, when that is one or two.
    pub fn nearest(&self, ticker: &str) -> Option<&str> {
        let wanted = normalise_ticker(ticker);
        crate::suggest::nearest(&wanted, self.by_ticker.keys().map(String::as_str))
    }

    /// Issuers whose name holds every word of `words`, each once with its shortest ticker, by name, `limit` at most.
    pub fn search(&self, words: &str, limit: usize) -> Vec<(String, Listed)> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let holds_all = |listed: &Listed| {
            let name = listed.name.to_lowercase();
            words.iter().all(|word| name.contains(word.as_str()))
        };
        let mut found: HashMap<Cik, (String, Listed)> = HashMap::new();
        for (ticker, listed) in self.by_ticker.iter().filter(|(_, listed)| holds_all(listed)) {
            let best = found.entry(listed.cik).or_insert_with(|| (ticker.clone(), listed.clone()));
            if (ticker.len(), ticker) < (best.0.len(), &best.0) {
                best.0.clone_from(ticker);
            }
        }
        let mut found: Vec<(String, Listed)> = found.into_values().collect();
        found.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        found.truncate(limit);
        found
    }

    /// How many tickers it holds.
    pub fn len(&self) -> usize {
        self.by_ticker.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.by_ticker.is_empty()
    }

    /// One ticker per CIK, the shortest first: the common stock rather than its warrants.
    pub fn by_cik(&self) -> HashMap<Cik, String> {
        let mut found: HashMap<Cik, String> = HashMap::new();
        for (ticker, listed) in &self.by_ticker {
            let best = found.entry(listed.cik).or_insert_with(|| ticker.clone());
            if (ticker.len(), ticker.as_str()) < (best.len(), best.as_str()) {
                best.clone_from(ticker);
            }
        }
        found
    }
}

/// The form tickers are compared in: capitals, share classes behind a dash. `BRK.B`, `brk/b` and `BRK-B` are one.
pub fn normalise_ticker(ticker: &str) -> String {
    ticker.trim().to_ascii_uppercase().replace(['.', '/', ' '], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"{"0":{"cik_str":9990011,"ticker":"TDWL","title":"Tidewell & Moss Inc"},
        "1":{"cik_str":9990012,"ticker":"OAK-B","title":"Oakum Inc"},
        "2":{"cik_str":9990012,"ticker":"OAK-BW","title":"Oakum Inc"}}"#;

    #[test]
    fn a_ticker_is_found_however_its_class_is_marked() {
        let map = TickerMap::parse(MAP.as_bytes()).expect("a map");
        for ticker in ["OAK.B", "oak-b", "OAK/B"] {
            assert_eq!(map.find(ticker).map(|listed| listed.cik.number()), Some(9_990_012), "{ticker}");
        }
        assert_eq!(map.find("OAKB"), None);
    }

    #[test]
    fn the_nearest_ticker_is_suggested() {
        let map = TickerMap::parse(MAP.as_bytes()).expect("a map");
        assert_eq!(map.nearest("TDWLL"), Some("TDWL"));
        assert_eq!(map.nearest("ZZZZZ"), None);
    }

    #[test]
    fn the_shortest_ticker_stands_for_the_issuer() {
        let map = TickerMap::parse(MAP.as_bytes()).expect("a map");
        let cik = Cik::from_number(9_990_012).expect("a CIK");
        assert_eq!(map.by_cik().get(&cik).map(String::as_str), Some("OAK-B"));
    }

    #[test]
    fn a_cut_or_empty_map_is_refused() {
        assert!(TickerMap::parse(&MAP.as_bytes()[..60]).is_err());
        assert_eq!(TickerMap::parse(b"{}").expect_err("empty").to_string(), "the ticker map is empty");
    }
}
