//! A body as HTML for mail programs: tables and inline styles, nothing remote, nothing that asks back. Programs that know
//! style sheets get the colours of a dark screen from one; the others show the inline ones.

use super::body::{Body, Line, Section};

const FONT: &str = "font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#1b1f24";
const MUTED: &str = "font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#57606a";
/// Programs show what follows the subject; without this they would go on with the body.
const HIDDEN: &str = "display:none;max-height:0;max-width:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;\
                      color:#ffffff;opacity:0";
/// What a dark screen changes. The classes stand beside the inline colours, which win without `!important`.
const STYLE: &str = ":root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (prefers-color-scheme:dark){.bg{background:#16191d!important}.fg{color:#e6e9ed!important}\
.mu{color:#a3abb5!important}.qu{background:#3a3110!important;border-color:#d4a106!important}\
.li{color:#8ab4f8!important}.ro{border-color:#3b424b!important}}\
@media (max-width:480px){.pad{padding:12px!important}}";

/// Large providers cut mails off at 102 kB. What would make the HTML larger is left to the text part.
const MOST_BYTES: usize = 80_000;
const LONGEST_PREHEADER: usize = 150;

/// Writes the HTML part: less than 100 kB, whatever there is to say.
pub fn render_html(body: &Body) -> String {
    let sections = render_sections(&body.sections);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"supported-color-schemes\" content=\"light dark\"><title>{headline}</title>\n\
         <style>{STYLE}</style></head>\n\
         <body class=\"bg\" style=\"margin:0;padding:0;background:#ffffff\">\n\
         <div role=\"main\"><div style=\"{HIDDEN}\">{preheader}</div>\n\
         <table role=\"presentation\" class=\"bg\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         style=\"background:#ffffff\"><tr><td class=\"pad\" align=\"center\" style=\"padding:20px\">\n\
         <table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         style=\"width:100%;max-width:600px;text-align:left\">\n\
         <tr><td style=\"padding-bottom:12px\"><h1 class=\"fg\" style=\"{FONT};font-size:18px;line-height:24px;\
         font-weight:bold;margin:0\">{headline}</h1></td></tr>\n{sections}</table>\n</td></tr></table>\n</div></body></html>\n",
        headline = escape(&body.headline),
        preheader = escape(&body.preheader.chars().take(LONGEST_PREHEADER).collect::<String>()),
    )
}

/// All sections, or as many lines as there is room for. The last section says why the mail came and always stands.
fn render_sections(sections: &[Section]) -> String {
    let mut out = String::new();
    let (last, others) = sections.split_last().map_or((None, sections), |(last, others)| (Some(last), others));
    for section in others {
        let mut rendered = render_section(section);
        if out.len() + rendered.len() > MOST_BYTES {
            let mut cut = section.clone();
            while out.len() + rendered.len() > MOST_BYTES && !cut.lines.is_empty() {
                cut.lines.truncate(cut.lines.len() / 2);
                rendered = render_section(&cut);
            }
            if !cut.lines.is_empty() {
                out.push_str(&rendered);
            }
            let more = "There is more than mail programs show: the text part of this mail is complete.";
            let lines = vec![Line::Plain(more.to_owned())];
            out.push_str(&render_section(&Section { title: String::new(), lines }));
            break;
        }
        out.push_str(&rendered);
    }
    out.extend(last.map(render_section));
    out
}

fn render_section(section: &Section) -> String {
    let title = if section.title.is_empty() {
        String::new()
    } else {
        format!(
            "<tr><td class=\"fg\" style=\"{FONT};font-weight:bold;padding:12px 0 4px 0\">{}</td></tr>\n",
            escape(&section.title)
        )
    };
    // Rows stand in a table of their own, so that their columns are theirs.
    let tables: String = section
        .lines
        .chunk_by(|one, other| matches!(one, Line::Row(_)) == matches!(other, Line::Row(_)))
        .map(|lines| {
            let rows: String = lines.iter().map(render_line).collect();
            let role = if matches!(lines.first(), Some(Line::Row(_))) { "" } else { "role=\"presentation\" " };
            format!("<table {role}width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n{rows}</table>")
        })
        .collect();
    format!("{title}<tr><td style=\"padding-bottom:8px\">{tables}</td></tr>\n")
}

fn render_line(line: &Line) -> String {
    match line {
        Line::Fact(label, value) => row(label, &escape(value)),
        Line::Link(label, url) => {
            let url = escape(url);
            row(
                label,
                &format!("<a class=\"li\" href=\"{url}\" style=\"color:#0b57d0;word-break:break-all\">{url}</a>"),
            )
        }
        Line::Action(label, url) => format!(
            "<tr><td colspan=\"2\" class=\"fg\" style=\"{FONT};padding:2px 0\">\
             <a class=\"li\" href=\"{}\" style=\"color:#0b57d0\">{}</a></td></tr>\n",
            escape(url),
            escape(label)
        ),
        Line::Quote(sentence, source) => {
            let source = if source.is_empty() {
                String::new()
            } else {
                format!("<br><span class=\"mu\" style=\"{MUTED};font-size:12px\">{}</span>", escape(source))
            };
            format!(
                "<tr><td colspan=\"2\" class=\"qu fg\" style=\"{FONT};padding:8px 12px;background:#fff3c4;\
                 border-left:4px solid #d4a106\">{}{source}</td></tr>\n\
                 <tr><td colspan=\"2\" style=\"font-size:6px;line-height:6px\">&nbsp;</td></tr>\n",
                escape(sentence)
            )
        }
        Line::Plain(sentence) => {
            format!(
                "<tr><td colspan=\"2\" class=\"fg\" style=\"{FONT};padding:2px 0\">{}</td></tr>\n",
                escape(sentence)
            )
        }
        Line::Row(cells) => {
            let cells: String = cells
                .iter()
                .enumerate()
                .map(|(place, cell)| {
                    // Dates keep to one line; what follows them breaks.
                    let (wrap, class, font) = match place {
                        0 => ("white-space:nowrap;width:1%;font-weight:bold;", "fg", FONT),
                        1 => ("", "fg", FONT),
                        _ => ("", "mu", MUTED),
                    };
                    format!(
                        "<td valign=\"top\" class=\"{class} ro\" style=\"{font};{wrap}padding:4px 12px 4px 0;\
                         border-bottom:1px solid #d0d7de\">{}</td>",
                        escape(cell)
                    )
                })
                .collect();
            format!("<tr>{cells}</tr>\n")
        }
    }
}

fn row(label: &str, value: &str) -> String {
    format!(
        "<tr><td width=\"96\" valign=\"top\" class=\"mu\" style=\"{MUTED};padding:2px 12px 2px 0;white-space:nowrap\">{}\
         </td><td valign=\"top\" class=\"fg\" style=\"{FONT};padding:2px 0\">{value}</td></tr>\n",
        escape(label)
    )
}

/// Text from filings is never markup.
fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mail_is_larger_than_programs_show() {
        let line = || Line::Quote("<&> ".repeat(300), "EX-99.1".to_owned());
        let why = Section {
            title: String::new(),
            lines: vec![Line::Action("Unsubscribe".to_owned(), "https://x".to_owned())],
        };
        for n in [1, 2, 50] {
            let section = Section { title: "Long".to_owned(), lines: (0..400 / n).map(|_| line()).collect() };
            let mut sections = vec![section; n];
            sections.push(why.clone());
            let body = Body { headline: "New".to_owned(), preheader: "x".repeat(10_000), sections };
            let html = render_html(&body);
            assert!((50_000..100_000).contains(&html.len()), "{n}: {}", html.len());
            assert!(html.contains("the text part of this mail is complete") && html.contains("https://x"), "{n}");
        }
    }

    #[test]
    fn text_from_a_filing_is_never_markup() {
        let body = Body {
            headline: "<b>".to_owned(),
            preheader: "<u>".to_owned(),
            sections: vec![Section {
                title: "\"&\"".to_owned(),
                lines: vec![
                    Line::Quote("<script>alert(1)</script>".to_owned(), "<i>".to_owned()),
                    Line::Row(vec!["<em>".to_owned(), "x".to_owned()]),
                ],
            }],
        };
        let html = render_html(&body);
        for tag in ["<script>", "<b>", "<i>", "<u>", "<em>"] {
            assert!(!html.contains(tag), "{html}");
        }
    }
}
