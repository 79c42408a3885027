//! The overdue reports a letter is about: those its own clauses name, else those told around it.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::super::matcher::Matcher;
use super::super::phrases::Signal;
use super::super::reports::{
    ANNUAL, QUARTERLY, ReportMention, WEEK_SLACK, guess, is_first_of_form, nearest_known, resolve,
};
use super::super::segment::Zone;
use super::super::timetable::{fell_due_before, is_due_after, late_period, plan_stage};
use super::super::{EventKind, OverdueReport};
use super::groups::{Group, is_letter};
use super::{Assembler, goes_on};

impl Assembler<'_> {
    /// The reports a letter is about: those its own clauses name or point at, else those told around it, of which the one that
    /// fell due shortly before a letter is the one meant.
    pub(super) fn reports(&self, group: &Group, core: &BTreeSet<usize>, thread: &[usize]) -> Vec<OverdueReport> {
        let mut found = self.reports_of_clauses(group, core);
        let none_yet = found.is_empty();
        if none_yet {
            let pointed = self.reports_pointed_at(core, thread);
            if !pointed.is_empty() {
                return self.periods(group, &pointed);
            }
        }
        let body = |i: &usize| self.sentences[*i].zone != Zone::Headline;
        let told = thread.iter().filter(|i| !core.contains(i) && !self.tells_another_day(group, **i)).filter(|i| {
            let s = &self.sentences[**i];
            s.has(Signal::Breach) && (goes_on(&s.text) || s.has(Signal::Notice) || none_yet)
        });
        let told: Vec<(usize, &ReportMention)> = told.flat_map(|i| self.overdue_of(*i)).collect();
        let by_letter = told.iter().any(|(i, _)| goes_on(&self.sentences[*i].text));
        found.extend(told);
        let adds = || core.iter().chain(thread).any(|i| self.sentences[*i].has(Signal::Additional));
        let on_new_report = group.date().is_some_and(|day| is_first_letter(group.kind, day) || adds());
        let mut is_told_around = none_yet && !by_letter && on_new_report;
        if found.iter().all(|(i, r)| self.period_of(*i, r).is_none()) {
            let whole: Vec<_> = core.iter().filter(|i| body(i)).flat_map(|i| self.reports_of(*i)).collect();
            if !whole.is_empty() {
                found = whole;
            }
        }
        if found.is_empty() {
            found = thread.iter().filter(|i| body(i)).flat_map(|i| self.overdue_of(*i)).collect();
            let letter = group.date().filter(|_| is_letter(group.kind));
            let ahead = |(i, r): &(usize, &ReportMention)| {
                self.period_of(*i, r).zip(letter).is_some_and(|(end, letter)| is_due_after(&r.form, end, letter))
            };
            found.retain(|mention| !ahead(mention));
        }
        // A plan refused, or an exception missed, ends the case of all letters told before.
        let ends_case = || {
            let refused = |i: &usize| self.sentences[*i].cues.iter().any(|c| c.name == "determination.plan_refused");
            group.kind == EventKind::StaffDetermination && core.iter().chain(thread).any(refused)
        };
        let on_case = !matches!(group.kind, EventKind::DeficiencyNotice | EventKind::Anticipated);
        if (found.is_empty() && on_case) || ends_case() {
            let on_letters = self.reports_of_letters();
            is_told_around &= on_letters.is_empty();
            found.extend(on_letters);
        }
        if found.is_empty() && group.kind == EventKind::Anticipated {
            found = self.reports_just_before(core);
        }
        if found.is_empty() {
            found = self.reports_before(core);
        }
        let is_bare = |form: &str| form == ANNUAL || form == QUARTERLY;
        if found.iter().any(|(_, r)| !is_bare(&r.form)) {
            found.retain(|(_, r)| !is_bare(&r.form));
        }
        let mut reports = self.periods(group, &found);
        let Some(letter) = group.date().filter(|_| is_letter(group.kind)) else { return reports };
        let is_late = |r: &OverdueReport| r.period_end.is_none_or(|end| !is_due_after(&r.form, end, letter));
        if reports.iter().any(is_late) {
            reports.retain(is_late);
        }
        if !is_told_around {
            return reports;
        }
        let around = self.periods(group, &self.reports_before(core));
        let due = |r: &&OverdueReport| r.period_end.is_some_and(|end| fell_due_before(&r.form, end, letter));
        let mut meant = Vec::new();
        reports.iter().chain(&around).filter(due).for_each(|report| add_report(&mut meant, report.clone()));
        if meant.is_empty() { reports } else { meant }
    }

    /// What the clauses that tell the letter name. A headline speaks of more than the letter: it helps where nothing else does.
    fn reports_of_clauses(&self, group: &Group, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let body = |i: &usize| self.sentences[*i].zone != Zone::Headline;
        let has_body = core.iter().any(body);
        let own = group.acts.iter().map(|a| &self.acts[*a]).filter(|act| !has_body || body(&act.sentence));
        own.flat_map(|act| {
            let within = move |(_, r): &(usize, &ReportMention)| act.clause.contains(&r.start);
            self.reports_of(act.sentence).filter(within)
        })
        .collect()
    }

    /// "Both reports", "such report", "the Delinquent Filings": what a letter points at was named before it.
    fn reports_pointed_at(&self, core: &BTreeSet<usize>, thread: &[usize]) -> Vec<(usize, &ReportMention)> {
        pattern!(
            SEVERAL,
            r"(?i)\b(?:both|these|those|the (?:two|three|four)|all (?:of (?:the|these|those)|two|three|four|these|those))(?: (?:late|delinquent|overdue|missing|outstanding|periodic))? (?:reports|filings|documents)\b"
        );
        pattern!(ONE, r"(?i)\b(?:that|such|said) (?:late |delinquent |overdue |missing )?report\b");
        let body = |i: &usize| self.sentences[*i].zone != Zone::Headline;
        let Some(first) = core.iter().copied().find(body) else { return Vec::new() };
        let goes_on_here = |i: &usize| core.contains(i) || (*i > first && goes_on(&self.sentences[*i].text));
        let said: Vec<usize> = thread.iter().copied().filter(body).filter(goes_on_here).collect();
        let says = |pattern: &Matcher| said.iter().copied().find(|i| pattern.is_match(&self.sentences[*i].text));
        let told = |i: &usize| !self.sentences[*i].reports.is_empty() && body(i);
        let defined = self.defined_reports();
        let named = |term: &str| said.iter().any(|i| self.sentences[*i].text.contains(term));
        if let Some((sentence, _)) = defined.into_iter().find(|(_, term)| named(term)) {
            return self.reports_of(sentence).collect();
        }
        if let Some(at) = says(&SEVERAL) {
            let mut named: Vec<(usize, &ReportMention)> = Vec::new();
            for i in (0..at).rev().filter(told).take(2) {
                named.splice(0..0, self.reports_of(i));
                if named.len() > 1 {
                    return named;
                }
            }
        }
        let one = says(&ONE).and_then(|at| (0..at).rev().find(told));
        one.and_then(|i| self.reports_of(i).last()).into_iter().collect()
    }

    /// Terms that stand for several reports, with the sentence that defines each: `(together, the "Delinquent Filings")`.
    fn defined_reports(&self) -> Vec<(usize, &str)> {
        pattern!(TERM, r#"(?i)\((?:together|collectively),? (?:the )?"([^"]{4,40})"\)"#);
        let named = self.sentences.iter().enumerate().filter(|(_, s)| !s.reports.is_empty());
        named.filter_map(|(i, s)| Some((i, TERM.captures(&s.text)?.get(1)?.as_str()))).collect()
    }

    /// True if a sentence tells a letter, and not one of the group's day.
    fn tells_another_day(&self, group: &Group, sentence: usize) -> bool {
        let days = [group.received, group.dated];
        let mut told = self.sentences[sentence].letter_dates().map(|d| Some(d.mention.date)).peekable();
        told.peek().is_some() && group.date().is_some() && told.all(|day| !days.contains(&day))
    }

    /// The reports of a sentence that are late: not those filed since, nor those a letter is said to leave out.
    fn overdue_of(&self, sentence: usize) -> impl Iterator<Item = (usize, &ReportMention)> {
        pattern!(
            LEFT_OUT,
            r"(?i)\b(?:not (?:\w+ )?(?:mentioned|addressed|referred to|named)|(?:does|did|do) not (?:mention|speak|refer|address|concern|cover|name)|no mention)\b"
        );
        pattern!(POINTS, r"(?i)\b(?:it|them|they|that report|those reports)\b");
        pattern!(
            FILED,
            r"(?i)^[^;]{0,110}?\b(?:(?:which|that) )?(?:was|were|has been|had been|have been)? ?(?:timely |duly )?(?:filed|submitted) (?:with [^,;]{3,40} )?on (?:\w+day,? )?[a-z]{3,9}\.? \d"
        );
        let text = &self.sentences[sentence].text;
        let paragraph = self.sentences[sentence].paragraph;
        let next = self.sentences.get(sentence + 1).filter(|next| next.paragraph == paragraph);
        let is_left_out =
            LEFT_OUT.is_match(text) || next.is_some_and(|n| LEFT_OUT.is_match(&n.text) && POINTS.is_match(&n.text));
        let reports = &self.sentences[sentence].reports;
        let is_filed = move |r: &ReportMention| {
            let until = reports.iter().map(|other| other.start).find(|start| *start > r.start).unwrap_or(text.len());
            let after = &text[r.start..until];
            FILED.is_match(after) && !after.contains("not ")
        };
        self.reports_of(sentence).filter(move |(_, r)| !is_left_out && !is_filed(r))
    }

    /// Mentions of reports with the end of the period of each; the same report is listed once.
    fn periods(&self, group: &Group, found: &[(usize, &ReportMention)]) -> Vec<OverdueReport> {
        // A letter, come or to come, is on a report that fell due lately.
        let expected = is_letter(group.kind) || group.kind == EventKind::Anticipated;
        let day = group.date().or(self.reference.filter(|_| group.kind == EventKind::Anticipated));
        let mut reports: Vec<OverdueReport> = Vec::new();
        for (i, mention) in found {
            let form = self.form_of(&mention.form);
            let by_letter = || day.filter(|_| expected).and_then(|d| late_period(&form, d, self.year_end));
            let is_first = is_first_of_form(mention, self.sentences[*i].range.start, &self.all_reports);
            let told = self.period_of(*i, mention);
            let told = if is_first { by_letter().or(told) } else { told };
            let by_name = || guess(mention, self.reference, self.year_end).filter(|_| expected);
            let guessed = || by_name().or_else(by_letter).map(|end| nearest_known(&form, end, &self.all_reports));
            let period_end = told.or_else(guessed);
            add_report(&mut reports, OverdueReport { form, period_end });
        }
        reports
    }

    /// The form that a report without one has: that of the company's other reports, else the usual one.
    fn form_of(&self, form: &str) -> String {
        let named = |forms: &[&str]| {
            self.sentences.iter().flat_map(|s| s.reports.iter().map(|r| r.form.as_str())).find(|f| forms.contains(f))
        };
        match form {
            ANNUAL => named(&["10-KSB", "20-F", "40-F"]).unwrap_or(if self.is_foreign { "20-F" } else { "10-K" }),
            QUARTERLY => named(&["10-QSB"]).unwrap_or("10-Q"),
            other => other,
        }
        .to_owned()
    }

    fn reports_of(&self, sentence: usize) -> impl Iterator<Item = (usize, &ReportMention)> {
        self.sentences[sentence].reports.iter().map(move |r| (sentence, r))
    }

    /// The end of a report's period; "the Form 10-Q" is the one told last before.
    fn period_of(&self, sentence: usize, report: &ReportMention) -> Option<NaiveDate> {
        resolve(report, self.sentences[sentence].range.start, &self.all_reports, self.year_end)
            .or_else(|| guess(report, self.reference, 12).filter(|_| report.is_named_by_month()))
    }

    /// A determination or decision on the whole case is about the reports of its earlier letters.
    fn reports_of_letters(&self) -> Vec<(usize, &ReportMention)> {
        let letters = self.acts.iter().filter(|a| is_letter(a.kind) && a.date.is_some());
        let sentences: BTreeSet<usize> = letters.map(|a| a.sentence).collect();
        let late = |(i, r): &(usize, &ReportMention)| {
            let sentence = &self.sentences[*i];
            sentence.has(Signal::Breach) || CONCERNS.is_match(&sentence.text[..r.start])
        };
        sentences.iter().flat_map(|i| self.reports_of(*i)).filter(late).collect()
    }

    /// What a company says of a report before it says what it expects for it, in the same paragraph or shortly before.
    fn reports_just_before(&self, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let Some(first) = core.first() else { return Vec::new() };
        let paragraph = self.sentences[*first].paragraph;
        let near = |i: &usize| paragraph - self.sentences[*i].paragraph <= 2;
        let told = (0..*first).rev().take_while(near).find(|i| !self.sentences[*i].reports.is_empty());
        told.map(|i| self.reports_of(i).collect()).unwrap_or_default()
    }

    /// The late report can be told just before the letter: "the Form 10-Q was not filed. Nasdaq wrote on May 2 that...".
    fn reports_before(&self, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let Some(first) = core.iter().find(|i| self.sentences[**i].zone != Zone::Headline) else { return Vec::new() };
        let late = |i: &usize| self.sentences[*i].has(Signal::Breach) && self.overdue_of(*i).next().is_some();
        let nearest = (0..*first).rev().find(late).or_else(|| (*first..self.sentences.len()).find(late));
        nearest.map(|i| self.overdue_of(i).collect()).unwrap_or_default()
    }
}

/// True if a letter of this kind and day is the exchange's first word on a late report: later ones can come months after.
fn is_first_letter(kind: EventKind, letter: NaiveDate) -> bool {
    kind == EventKind::DeficiencyNotice || (kind == EventKind::StaffDetermination && letter < plan_stage())
}

/// Adds a report that is not listed yet; one whose period is told takes the place of one whose period is not.
fn add_report(reports: &mut Vec<OverdueReport>, report: OverdueReport) {
    let known = |r: &OverdueReport| {
        let ends = r.period_end.zip(report.period_end);
        let near = ends.is_some_and(|(one, other)| (one - other).num_days().abs() <= WEEK_SLACK);
        r.form == report.form && (report.period_end.is_none() || near)
    };
    if !reports.iter().any(known) {
        reports.retain(|r| !(r.form == report.form && r.period_end.is_none()));
        reports.push(report);
    }
}

// "A like notice followed with respect to the Form 10-Q".
pattern!(
    CONCERNS,
    r"(?i)\b(?:with (?:respect|regard) to|regarding|relat(?:ing|ed) to|concern(?:ing|ed)|in respect of|as to|about|for) (?:the |its |our |both )?(?:\w+ ){0,3}(?:forms? )?$"
);
