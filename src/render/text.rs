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
            Line::Fact(label, _) | Line::Link(label, _) => Some(label.chars().count()),
            _ => None,
        });
        let label_width = labels.max().unwrap_or(0);
        for line in &section.lines {
            out.push_str(&render_line(line, label_width));
        }
    }
    out
}

fn render_line(line: &Line, label_width: usize) -> String {
    match line {
        Line::Fact(label, value) => {
            let first = format!("  {label:label_width$}  ");
            let rest = " ".repeat(first.chars().count());
            wrap(value, &first, &rest)
        }
        // An address is never broken: mail programs would lose its end.
        Line::Link(label, url) => format!("  {label:label_width$}  {url}\n"),
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
