//! A body as HTML for mail programs: tables and inline styles, nothing remote, nothing that asks back.

use super::body::{Body, Line, Section};

const FONT: &str = "font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#1b1f24";

/// Writes the HTML part.
pub fn render_html(body: &Body) -> String {
    let sections: String = body.sections.iter().map(render_section).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"color-scheme\" content=\"light\"><title>{headline}</title></head>\n\
         <body style=\"margin:0;padding:0;background:#ffffff\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr>\
         <td align=\"center\" style=\"padding:16px\">\n\
         <table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         style=\"width:100%;max-width:600px;text-align:left\">\n\
         <tr><td style=\"{FONT};font-size:18px;line-height:24px;font-weight:bold;padding-bottom:12px\">{headline}</td></tr>\n\
         {sections}</table>\n</td></tr></table>\n</body></html>\n",
        headline = escape(&body.headline),
    )
}

fn render_section(section: &Section) -> String {
    let title = if section.title.is_empty() {
        String::new()
    } else {
        format!("<tr><td style=\"{FONT};font-weight:bold;padding:12px 0 4px 0\">{}</td></tr>\n", escape(&section.title))
    };
    let rows: String = section.lines.iter().map(render_line).collect();
    format!(
        "{title}<tr><td style=\"padding-bottom:8px\"><table role=\"presentation\" width=\"100%\" cellpadding=\"0\" \
         cellspacing=\"0\" border=\"0\">\n{rows}</table></td></tr>\n"
    )
}

fn render_line(line: &Line) -> String {
    match line {
        Line::Fact(label, value) => row(label, &escape(value)),
        Line::Link(label, url) => {
            let url = escape(url);
            row(label, &format!("<a href=\"{url}\" style=\"color:#0b57d0;word-break:break-all\">{url}</a>"))
        }
        Line::Quote(sentence, source) => {
            let source = if source.is_empty() {
                String::new()
            } else {
                format!("<br><span style=\"color:#57606a;font-size:12px\">{}</span>", escape(source))
            };
            format!(
                "<tr><td colspan=\"2\" style=\"{FONT};padding:8px 12px;background:#fff3c4;border-left:4px solid #d4a106\">\
                 {}{source}</td></tr>\n<tr><td colspan=\"2\" style=\"font-size:6px;line-height:6px\">&nbsp;</td></tr>\n",
                escape(sentence)
            )
        }
        Line::Plain(sentence) => {
            format!("<tr><td colspan=\"2\" style=\"{FONT};padding:2px 0\">{}</td></tr>\n", escape(sentence))
        }
    }
}

fn row(label: &str, value: &str) -> String {
    format!(
        "<tr><td width=\"96\" valign=\"top\" style=\"{FONT};color:#57606a;padding:2px 12px 2px 0;white-space:nowrap\">{}</td>\
         <td valign=\"top\" style=\"{FONT};padding:2px 0\">{value}</td></tr>\n",
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
    fn text_from_a_filing_is_never_markup() {
        let body = Body {
            headline: "<b>".to_owned(),
            sections: vec![Section {
                title: "\"&\"".to_owned(),
                lines: vec![Line::Quote("<script>alert(1)</script>".to_owned(), "<i>".to_owned())],
            }],
        };
        let html = render_html(&body);
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
    }
}
