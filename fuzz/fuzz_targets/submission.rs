//! Random bytes as a full submission: it reads the same in one piece as in pieces of any size.

#![no_main]

use edgar_watch::edgar::filing::{Filing, FilingReader, NotASubmission};
use libfuzzer_sys::fuzz_target;

const MAX_DOCUMENT_BYTES: usize = 4_096;

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Filing, NotASubmission> {
    let mut reader = FilingReader::new(MAX_DOCUMENT_BYTES);
    pieces.for_each(|piece| reader.feed(piece));
    reader.finish()
}

fuzz_target!(|bytes: &[u8]| {
    let size = 1 + bytes.first().map_or(0, |first| usize::from(*first));
    let whole = read(std::iter::once(bytes));
    assert_eq!(whole, read(bytes.chunks(size)));
    if let Ok(filing) = whole {
        assert!(filing.documents.iter().all(|document| document.body.len() <= MAX_DOCUMENT_BYTES));
    }
});
