//! Messages about files: text in rustc's style, and the JSON of `validate --json`.

use crate::spec::{Diagnostic, Severity, SourceFile};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};
use std::ops::Range;

/// Version of the JSON below.
const FORMAT_VERSION: &str = "1.0";

/// Messages for people, with the lines that they are about; each ends with a newline.
pub fn text(source: &SourceFile, list: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let name = normalize_untrusted_str(&source.name);
    let mut text = String::new();
    for diagnostic in list {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut annotation =
            AnnotationKind::Primary.span(span_inside(&source.text, &diagnostic.span));
        if !diagnostic.label.is_empty() {
            annotation = annotation.label(normalize_untrusted_str(&diagnostic.label));
        }
        let snippet = Snippet::source(source.text.as_str())
            .path(name.as_str())
            .annotation(annotation);
        let mut group = level
            .primary_title(normalize_untrusted_str(&diagnostic.message))
            .element(snippet);
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
        }
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    text
}

/// Messages for programs, in the shape of Terraform's `validate -json`; one object for any
/// number of files.
pub fn json(files: &[(&SourceFile, &[Diagnostic])]) -> Value {
    let count = |severity: Severity| {
        files
            .iter()
            .flat_map(|(_, list)| list.iter())
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    };
    let errors = count(Severity::Error);
    let diagnostics: Vec<Value> = files
        .iter()
        .flat_map(|(source, list)| {
            list.iter()
                .map(|diagnostic| diagnostic_json(source, diagnostic))
        })
        .collect();
    json!({
        "format_version": FORMAT_VERSION,
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": count(Severity::Warning),
        "diagnostics": diagnostics,
    })
}

fn diagnostic_json(source: &SourceFile, diagnostic: &Diagnostic) -> Value {
    let text = source.text.as_str();
    let span = span_inside(text, &diagnostic.span);
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |at| span.end + at);
    let code = text[line_start..line_end].trim_end_matches('\r');
    let detail: Vec<&str> = [
        diagnostic.label.as_str(),
        diagnostic.hint.as_deref().unwrap_or_default(),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect();
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "summary": diagnostic.message,
        "detail": detail.join("; "),
        "range": {
            "filename": source.name,
            "start": position_json(source, span.start),
            "end": position_json(source, span.end),
        },
        "snippet": {
            "context": table_header(&text[..line_start]),
            "code": code,
            "start_line": source.line_column(span.start).0,
            "highlight_start_offset": (span.start - line_start).min(code.len()),
            "highlight_end_offset": (span.end - line_start).min(code.len()),
            "values": [],
        },
    })
}

fn position_json(source: &SourceFile, offset: usize) -> Value {
    let (line, column) = source.line_column(offset);
    json!({ "line": line, "column": column, "byte": offset })
}

/// The last table header before a line: `stages.train`.
fn table_header(text_before: &str) -> Option<&str> {
    let plain_character = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    text_before.lines().rev().find_map(|line| {
        let (name, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
        let stands_alone = rest.trim().is_empty() || rest.trim_start().starts_with('#');
        (stands_alone && !name.is_empty() && name.chars().all(plain_character)).then_some(name)
    })
}

/// `span` within `text`, on character boundaries.
fn span_inside(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let span_end = text.ceil_char_boundary(span.end.min(text.len()));
    start..span_end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceFile {
        SourceFile {
            name: "job.toml".to_owned(),
            text: text.to_owned(),
            ..SourceFile::default()
        }
    }

    fn said(text_of_file: &str, span: Range<usize>) -> String {
        let diagnostic = Diagnostic::error(span, "this is wrong")
            .with_label("here")
            .with_hint("do it right");
        text(&source(text_of_file), &[diagnostic], false)
    }

    #[test]
    fn carets_stand_under_the_text() {
        let tabs_and_width = "[stages.s]\r\n\tgröße = \"日本\" # 🦀\r\nnodes = 1\r\n";
        let start = tabs_and_width.find("\"日").unwrap();
        insta::assert_snapshot!(said(tabs_and_width, start..start + 8), @r#"
        error: this is wrong
         --> job.toml:2:10
          |
        2 |     größe = "日本" # 🦀
          |             ^^^^^^ here
          |
          = help: do it right
        "#);
    }

    #[test]
    fn odd_spans_are_shown_without_a_panic() {
        for text in [
            "",
            "\n",
            "\r\n",
            "a",
            "é",
            "a = 1\n",
            "a = 1\r\nb = 2",
            "\u{feff}a\t\0\u{1b}[31m",
        ] {
            for start in 0..=text.len() + 2 {
                for end in 0..=text.len() + 2 {
                    assert!(
                        said(text, start..end).starts_with("error: this is wrong\n --> job.toml:"),
                        "{text:?}"
                    );
                    assert!(!said(text, start..end).contains('\u{1b}'), "{text:?}");
                    json(&[(&source(text), &[Diagnostic::error(start..end, "wrong")])]);
                }
            }
        }
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        let diagnostic = Diagnostic::warning(0..4, "this is odd");
        let source = source("name = 1\n");
        assert!(text(&source, std::slice::from_ref(&diagnostic), true).contains("\u{1b}["));
        insta::assert_snapshot!(text(&source, &[diagnostic], false), @"
        warning: this is odd
         --> job.toml:1:1
          |
        1 | name = 1
          | ^^^^
        ");
    }

    #[test]
    fn json_has_the_shape_of_terraform() {
        let job = source("name = \"j\"\n[stages.s] # the only one\nnödes = 0\n");
        let policy = source("");
        let start = job.text.find("nödes").unwrap();
        let list = [Diagnostic::error(start..start + 6, "unknown key `nödes`")
            .with_label("not a key")
            .with_hint("nodes")];
        let warnings = [Diagnostic::warning(0..0, "an empty file")];
        insta::assert_json_snapshot!(json(&[(&job, &list), (&policy, &warnings)]));
    }
}
