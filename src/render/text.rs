//! A body as plain text, complete alone and no wider than a terminal.

use super::body::{Body, Line};

const WIDTH: usize = 78;

/// Writes the text part.
pub fn render_text(body: &Body) -> String {
    let mut out = String::new();
    out.push_str(&wrap(&body.headline, "", ""));
    for section in &body.sections {
        out.push('\n');
        if !section.title.is_empty() {
            out.push_str(&section.title);
            out.push('\n');
        }
        let labels = section.lines.iter().filter_map(|line| match line {
            Line::Fact(label, _) | Line::Link(label, _) | Line::Action(label, _) => Some(label.chars().count()),
            _ => None,
        });
        let label_width = labels.max().unwrap_or(0);
        let columns = column_widths(&section.lines);
        for line in &section.lines {
            match line {
                Line::Row(cells) => out.push_str(&render_row(cells, &columns)),
                other => out.push_str(&render_line(other, label_width)),
            }
        }
    }
    out
}

/// The widest cell of each column.
fn column_widths(lines: &[Line]) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        let Line::Row(cells) = line else { continue };
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

/// The first column keeps its width; the others follow each other, since a terminal is narrow.
fn render_row(cells: &[String], widths: &[usize]) -> String {
    let Some((first, rest)) = cells.split_first() else { return String::new() };
    let width = widths.first().copied().unwrap_or(0);
    let start = format!("  {first:width$}  ");
    let indent = " ".repeat(start.chars().count());
    let rest: Vec<String> = match rest {
        [] => Vec::new(),
        [what, more @ ..] => std::iter::once(what.clone()).chain(more.iter().map(|cell| format!("({cell})"))).collect(),
    };
    wrap(&rest.join(" "), &start, &indent)
}

fn render_line(line: &Line, label_width: usize) -> String {
    match line {
        Line::Row(cells) => render_row(cells, &[]),
        Line::Fact(label, value) => {
            let first = format!("  {label:label_width$}  ");
            let rest = " ".repeat(first.chars().count());
            wrap(value, &first, &rest)
        }
        // An address is never broken: mail programs would lose its end.
        Line::Link(label, url) | Line::Action(label, url) => format!("  {label:label_width$}  {url}\n"),
        Line::Quote(sentence, source) => {
            let source = if source.is_empty() { String::new() } else { format!("  [{source}]\n") };
            format!("{}{source}", wrap(sentence, "  > ", "  > "))
        }
        Line::Plain(sentence) => wrap(sentence, "", ""),
    }
}

/// Breaks at blanks; a word longer than a line stands on a line of its own.
fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        let width = line.chars().count() + usize::from(!empty) + word.chars().count();
        if !empty && width > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Section;

    #[test]
    fn labels_align_and_long_values_hang() {
        let body = Body {
            headline: "New: something".to_owned(),
            preheader: String::new(),
            sections: vec![Section {
                title: String::new(),
                lines: vec![
                    Line::Fact("Rule".to_owned(), "word ".repeat(20)),
                    Line::Fact("Issuer".to_owned(), "Oakum".to_owned()),
                ],
            }],
        };
        let text = render_text(&body);
        assert_eq!(
            text,
            "New: something\n\n  Rule    word word word word word word word word word word word word word\n\
             \x20         word word word word word word word\n  Issuer  Oakum\n"
        );
    }
}
