//! `explain`: what a document says, what it only retells, and the sentences that show it.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::NaiveDate;
use clap::Args;
use serde_json::{Value, json};
use tracing::Level;
use url::Url;

use super::{Common, Failure, print, print_json, system_clock};
use crate::classify::{EventStatus, ListingEvent, Phrase, default_alert};
use crate::config::Settings;
use crate::corpus::parse_records;
use crate::edgar::client::{EdgarClient, SubmissionPath};
use crate::edgar::filing::{Document, Filing, FilingReader, MAX_DOCUMENT_BYTES, looks_like_submission};
use crate::edgar::ids::{AccessionNumber, Cik, DocumentType};
use crate::edgar::pace::Priority;
use crate::logging::use_colour;
use crate::passes::{PassError, client_for};
use crate::reading::{DocumentReading, FilingContext, read_document, read_filing};
use crate::render::{Style, event_title};
use crate::store::Store;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// One JSON object for each document, and one that merges a filing's
    #[arg(long)]
    json: bool,

    /// Print the normalised text that positions in `--json` count in
    #[arg(long, conflicts_with = "json")]
    text: bool,

    /// Read corpus records, one JSON object a line, instead of SOURCE
    #[arg(long, value_name = "FILE", requires = "json", conflicts_with = "sources")]
    jsonl: Option<std::path::PathBuf>,

    /// The day the document was filed
    #[arg(long, value_name = "DATE")]
    filed: Option<NaiveDate>,

    /// The form it was filed under
    #[arg(long, value_name = "F")]
    form: Option<String>,

    /// A file, "-", an accession number or a sec.gov URL
    #[arg(value_name = "SOURCE", required_unless_present = "jsonl")]
    sources: Vec<String>,
}

/// What one source turned out to be.
struct Explained {
    /// The name of each document, and the reading.
    documents: Vec<(String, DocumentReading)>,
    /// The merged events of a whole filing, and what could change its reading.
    filing: Option<(Vec<ListingEvent>, Vec<String>)>,
    form: Option<String>,
}

pub(super) async fn run(common: &Common, args: &ExplainArgs) -> Result<(), Failure> {
    if let Some(path) = &args.jsonl {
        return explain_records(path, &common.own_patterns()?);
    }
    let patterns = common.own_patterns()?;
    let context = FilingContext { form: args.form.clone(), filed: args.filed, issuer: None, patterns };
    for source in &args.sources {
        let explained = explain_source(common, source, &context).await?;
        print_explained(&explained, args)?;
    }
    Ok(())
}

async fn explain_source(common: &Common, source: &str, context: &FilingContext) -> Result<Explained, Failure> {
    let unreadable = |error: std::io::Error| Failure::failed(format!("{source}: {error}"));
    if source == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
        return explain_bytes("-", &bytes, context).await;
    }
    if Path::new(source).exists() {
        let bytes = std::fs::read(source).map_err(unreadable)?;
        let name = Path::new(source).file_name().map_or(source.into(), |name| name.to_string_lossy());
        return explain_bytes(&name, &bytes, context).await;
    }
    if let Ok(accession) = source.parse::<AccessionNumber>() {
        return fetch_and_explain(common, accession, None, context).await;
    }
    if let Some((cik, accession)) = parse_address(source) {
        return fetch_and_explain(common, accession, Some(cik), context).await;
    }
    Err(Failure::failed(format!("{source}: no such file, and neither an accession number nor a filing's URL")))
}

/// Reads on a blocking thread: a panic there ends this source with a message, not the program.
async fn explain_bytes(name: &str, bytes: &[u8], context: &FilingContext) -> Result<Explained, Failure> {
    if looks_like_submission(bytes) {
        let mut reader = FilingReader::default();
        reader.feed(bytes);
        let filing = reader.finish().map_err(|error| Failure::failed(format!("{name}: {error}")))?;
        return explain_filing(filing, context).await;
    }
    let document = Document {
        sequence: 1,
        document_type: DocumentType::new(""),
        filename: None,
        body: bytes[..bytes.len().min(MAX_DOCUMENT_BYTES)].to_vec(),
        size_bytes: bytes.len() as u64,
    };
    let (given, form) = (context.clone(), context.form.clone());
    let reading = tokio::task::spawn_blocking(move || read_document(&document, &given))
        .await
        .with_context(|| format!("{name}: reading it failed"))?;
    Ok(Explained { documents: vec![(name.to_owned(), reading)], filing: None, form })
}

async fn explain_filing(filing: Filing, context: &FilingContext) -> Result<Explained, Failure> {
    let given = context.clone();
    let reading =
        tokio::task::spawn_blocking(move || read_filing(&filing, &given)).await.context("reading the filing failed")?;
    let form = context.form.clone().or_else(|| reading.header.form.as_ref().map(ToString::to_string));
    let name = |document: &DocumentReading| document.filename.clone().unwrap_or_else(|| document.document_type.clone());
    Ok(Explained {
        documents: reading.documents.into_iter().map(|document| (name(&document), document)).collect(),
        filing: Some((reading.events, reading.caveats)),
        form,
    })
}

/// The folder's CIK and the accession number of an address such as
/// `https://www.sec.gov/Archives/edgar/data/1701756/000173112226000046/x.htm`. Only these numbers are used.
fn parse_address(source: &str) -> Option<(Cik, AccessionNumber)> {
    let url = Url::parse(source).ok()?;
    let parts: Vec<&str> = url.path().split('/').collect();
    let data = parts.windows(3).position(|window| window == ["Archives", "edgar", "data"])?;
    let cik = parts.get(data + 3)?.parse().ok()?;
    let accession = parts.get(data + 4)?.trim_end_matches(".txt").parse().ok()?;
    Some((cik, accession))
}

async fn fetch_and_explain(
    common: &Common,
    accession: AccessionNumber,
    cik: Option<Cik>,
    context: &FilingContext,
) -> Result<Explained, Failure> {
    let settings = common.load_for_store(Some(Level::WARN))?;
    let store = Store::open(&settings.store).await?;
    let filers = store.ciks_of(accession).await?;
    // Filings made by agents lie in no folder of the agent's: without a filer's CIK this is a guess.
    let submitter = Cik::from_i64(accession.as_i64() / 100_000_000);
    let cik = cik
        .or(filers.first().copied())
        .or(submitter)
        .ok_or_else(|| Failure::failed(format!("{accession}: the filer is not known here, give the filing's URL")))?;
    let client = client(&settings, store)?;
    let filing = client.submission(cik, accession, SubmissionPath::Folder).await.map_err(PassError::from)?;
    explain_filing(filing, context).await
}

fn client(settings: &Settings, store: Store) -> Result<EdgarClient, Failure> {
    Ok(client_for(settings, Arc::new(store), Priority::Live, system_clock())?)
}

fn print_explained(explained: &Explained, args: &ExplainArgs) -> Result<(), Failure> {
    if args.text {
        for (_, document) in &explained.documents {
            print(&format!("{}\n", document.text))?;
        }
        return Ok(());
    }
    if args.json {
        for (name, document) in &explained.documents {
            print_json(&document_json(name, explained.form.as_deref(), document))?;
        }
        if let Some((events, caveats)) = &explained.filing {
            print_json(&json!({
                "schema": 1, "id": "filing", "form": explained.form, "document_type": null, "sha256": null,
                "alert": default_alert(events), "events": events, "caveats": caveats,
            }))?;
        }
        return Ok(());
    }
    let paint = Paint { on: use_colour(std::io::stdout().is_terminal()) };
    for (name, document) in &explained.documents {
        print(&describe(name, document, paint))?;
    }
    if let Some((events, caveats)) = &explained.filing {
        print(&describe_filing(events, caveats, paint))?;
    }
    Ok(())
}

fn document_json(name: &str, form: Option<&str>, document: &DocumentReading) -> Value {
    let sha256: String = document.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let document_type = Some(&document.document_type).filter(|name| !name.is_empty());
    let events = &document.reading.events;
    json!({
        "schema": 1, "id": name, "form": form, "document_type": document_type, "sha256": sha256,
        "alert": default_alert(events), "events": events,
        "size_bytes": document.size_bytes, "classified_bytes": document.held_bytes,
    })
}

fn explain_records(path: &Path, patterns: &Arc<[Phrase]>) -> Result<(), Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    for record in parse_records(&path.display().to_string(), &bytes) {
        let record = record.map_err(Failure::failed)?;
        print_json(&document_json(&record.id, record.form.as_deref(), &record.read(patterns)))?;
    }
    Ok(())
}

/// Colour for a terminal, nothing elsewhere.
#[derive(Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn alert(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn evidence(self, text: &str) -> String {
        self.with("33", text)
    }

    fn quiet(self, text: &str) -> String {
        self.with("2", text)
    }
}

fn describe(name: &str, document: &DocumentReading, paint: Paint) -> String {
    let events = &document.reading.events;
    let verdict = if default_alert(events) {
        paint.alert("ALERT")
    } else if events.iter().any(|event| event.status == EventStatus::New) {
        paint.strong("news, but no default alert")
    } else {
        paint.quiet("no news")
    };
    let document_type =
        if document.document_type.is_empty() { String::new() } else { format!("{} ", document.document_type) };
    let mut out = format!("{}: {verdict}\n", paint.strong(&format!("{document_type}{name}")));
    if document.held_bytes < document.size_bytes {
        let _ = writeln!(out, "  {} bytes: only the first {} classified", document.size_bytes, document.held_bytes);
    }
    for event in events {
        out.push_str(&describe_event(event, paint));
    }
    for passed in &document.reading.passed {
        let _ =
            writeln!(out, "  {} {}\n      {}", paint.quiet("passed over:"), passed.reason, paint.quiet(&passed.text));
    }
    out
}

fn describe_event(event: &ListingEvent, paint: Paint) -> String {
    let status = match event.status {
        EventStatus::New => paint.alert("new"),
        EventStatus::History => paint.quiet("history"),
    };
    let mut out = format!("  {status}  {} (confidence {:.2})\n", paint.strong(&event_title(event)), event.confidence);
    let mut fact = |label: &str, value: String| {
        if !value.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(out, "      {label:10} {value}");
        }
    };
    let dates = [("received", event.received), ("dated", event.dated)];
    let dates: Vec<String> =
        dates.into_iter().filter_map(|(word, date)| Some(format!("{word} {}", Style::default().date(date?)))).collect();
    fact("letter", dates.join(", "));
    fact("bases", event.bases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    fact("rules", event.rules.join(", "));
    let reports = event.reports.iter().map(|report| {
        let period = report.period_end.map(|end| format!(" ({})", Style::default().date(end))).unwrap_or_default();
        format!("{}{period}", report.form)
    });
    fact("reports", reports.collect::<Vec<_>>().join(", "));
    for deadline in &event.deadlines {
        let latest = deadline.date_latest.map(|day| format!(" to {day}")).unwrap_or_default();
        let rule = deadline.rule.iter().map(|rule| format!(", rule {rule}"));
        let anchor = deadline.anchor.iter().map(|day| format!(", counted from {day}"));
        let about = deadline.about.iter().map(|about| format!(": {about}"));
        let rest: String = rule.chain(anchor).chain(about).collect();
        let words = json!(deadline);
        let (what, source) = (word(&words["what"]), word(&words["source"]));
        fact("deadline", format!("{what} {}{latest} ({source}{rest})", deadline.date));
    }
    let marks: Vec<&str> = [("additional", event.additional), ("expected", event.expected)]
        .iter()
        .filter(|(_, on)| *on)
        .map(|(mark, _)| *mark)
        .collect();
    fact("marks", marks.join(", "));
    if let Some(hearing) = event.hearing {
        fact("hearing", format!("{}{}", hearing.status, hearing.date.map(|day| format!(" {day}")).unwrap_or_default()));
    }
    fact("next steps", event.next_steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    fact("causes", event.causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    fact("because", event.reason.clone());
    for (label, speaks_for) in [("for", true), ("against", false)] {
        let signals = event.signals.iter().filter(|signal| (signal.weight > 0.0) == speaks_for);
        let signals = signals.map(|signal| format!("{} ({:+.1})", signal.signal, signal.weight));
        fact(label, signals.collect::<Vec<_>>().join("; "));
    }
    if let Some(second) = &event.runner_up {
        fact("or else", format!("{}, {} ({:.2}): {}", second.kind, second.status, second.confidence, second.reason));
    }
    for evidence in &event.evidence {
        let _ = writeln!(
            out,
            "      > {}  {}",
            paint.evidence(&evidence.text),
            paint.quiet(&format!("[{}]", evidence.pattern))
        );
    }
    out
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn describe_filing(events: &[ListingEvent], caveats: &[String], paint: Paint) -> String {
    let n_new = events.iter().filter(|event| event.status == EventStatus::New).count();
    let verdict = if default_alert(events) { paint.alert("ALERT") } else { paint.quiet("no alert") };
    let mut out = format!("{}: {verdict}, {n_new} new, {} retold\n", paint.strong("filing"), events.len() - n_new);
    for caveat in caveats {
        let _ = writeln!(out, "  mind: {caveat}");
    }
    out
}
