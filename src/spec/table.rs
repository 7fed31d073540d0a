//! Walks a TOML document: takes keys one by one, remembers where each entry is, and reports the
//! keys that nobody took.

use crate::spec::{Diagnostic, Diagnostics, Parsed, Severity, SourceFile};
use crate::util::nearest_name::nearest_name;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The messages and spans that were collected while reading one file.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub list: Vec<Diagnostic>,
    /// Byte spans by dotted key, see [`SourceFile::spans`].
    pub spans: BTreeMap<String, Range<usize>>,
}

/// One table that is being read.
pub(super) struct Section<'d, 'i> {
    /// Dotted key; empty for the whole document.
    pub path: String,
    /// Where to point when a key is missing: the table's header.
    pub span: Range<usize>,
    table: &'d DeTable<'i>,
    known: Vec<&'static str>,
}

/// One key and its value.
#[derive(Clone)]
pub(super) struct Entry<'d, 'i> {
    pub path: String,
    pub key: &'d str,
    pub key_span: Range<usize>,
    pub value: &'d DeValue<'i>,
    pub span: Range<usize>,
}

/// One text of a list.
pub(super) struct Item<'d> {
    pub text: &'d str,
    pub span: Range<usize>,
}

/// Reads a whole file: `decode` turns the document into a value and says what is wrong with it.
///
/// With syntax errors nothing is decoded: what the parser recovered may not be what was meant.
pub(super) fn read<T>(
    file_name: &str,
    text: &str,
    decode: impl FnOnce(Section<'_, '_>, &mut Findings) -> T,
) -> Result<Parsed<T>, Diagnostics> {
    if let Some(found) = super::foreign::foreign(file_name, text) {
        return Err(found);
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut findings = Findings::default();
    let mut parsed_value = None;
    if errors.is_empty() {
        let section = Section {
            path: String::new(),
            span: first_line(text),
            table: document.get_ref(),
            known: Vec::new(),
        };
        parsed_value = Some(decode(section, &mut findings));
    } else {
        for error in errors {
            findings.push(syntax_error(text, &error));
        }
    }
    let Findings {
        mut list,
        mut spans,
    } = findings;
    for diagnostic in &mut list {
        diagnostic.span = span_inside(text, &diagnostic.span);
    }
    for span in spans.values_mut() {
        *span = span_inside(text, span);
    }
    list.sort_by(|a, b| {
        (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message))
    });
    list.dedup();
    summarize_the_rest(&mut list);
    let source = SourceFile {
        name: file_name.to_owned(),
        text: text.to_owned(),
        spans,
    };
    match parsed_value {
        Some(value)
            if list
                .iter()
                .all(|diagnostic| diagnostic.severity == Severity::Warning) =>
        {
            Ok(Parsed {
                value,
                source,
                warnings: list,
            })
        }
        _ => Err(Diagnostics { source, list }),
    }
}

/// Most findings of one file that are told one by one: nobody mends more before the next try, and
/// each is rendered with its line.
const MOST_FINDINGS: usize = 100;

/// Keeps the first findings, errors before warnings, and says how many more there are.
fn summarize_the_rest(list: &mut Vec<Diagnostic>) {
    if list.len() <= MOST_FINDINGS {
        return;
    }
    // A stable sort: within one severity they stay in the order of the file.
    list.sort_by_key(|diagnostic| diagnostic.severity == Severity::Warning);
    let findings_left_out = list.split_off(MOST_FINDINGS);
    let errors = findings_left_out
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .count();
    let span = findings_left_out
        .first()
        .map_or(0..0, |first| first.span.clone());
    let message = format!(
        "{errors} more errors and {} more warnings are not shown",
        findings_left_out.len() - errors
    );
    let summary = if errors > 0 {
        Diagnostic::error(span, message)
    } else {
        Diagnostic::warning(span, message)
    };
    list.push(
        summary
            .with_label("the first of them is here")
            .with_hint("mend the others first"),
    );
    list.sort_by_key(|diagnostic| diagnostic.span.start);
}

fn syntax_error(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = span_inside(text, &error.span().unwrap_or(0..0));
    let (message, expected) = error
        .message()
        .split_once(", expected ")
        .unwrap_or((error.message(), "nothing"));
    if message == "duplicate key" {
        let shown_text = shown(&text[span.clone()]);
        return Diagnostic::error(span, format!("`{shown_text}` is given twice"))
            .with_label("again");
    }
    let hint = if expected == "nothing" {
        String::new()
    } else {
        format!("expected {expected}")
    };
    Diagnostic::error(span, message)
        .with_label("not valid TOML")
        .with_hint(hint)
}

/// The first line with something on it: where to point when the document lacks a key.
fn first_line(text: &str) -> Range<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            let indent = line.len() - line.trim_start().len();
            return start + indent..start + indent + content.len();
        }
        start += line.len();
    }
    0..0
}

/// `span` within `text`, on character boundaries.
fn span_inside(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let span_end = text.ceil_char_boundary(span.end.min(text.len()));
    start..span_end.max(start)
}

impl Findings {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// The span of an entry, or of its nearest parent that has one.
    pub(super) fn span(&self, key: &str) -> Range<usize> {
        let mut key = key;
        loop {
            if let Some(span) = self.spans.get(key) {
                return span.clone();
            }
            match key.rsplit_once('.') {
                Some((parent, _)) => key = parent,
                None => return 0..0,
            }
        }
    }
}

impl<'d, 'i> Section<'d, 'i> {
    /// The entry at `key`, if it is there; the key counts as known from here on.
    pub(super) fn take(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Entry<'d, 'i>> {
        self.known.push(key);
        let (name, value) = self.table.get_key_value(key)?;
        Some(self.entry(name.get_ref(), name.span(), value, findings))
    }

    /// The entry at `key`; an error when it is missing.
    pub(super) fn require(
        &mut self,
        key: &'static str,
        owner: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<Entry<'d, 'i>> {
        let required_entry = self.take(key, findings);
        if required_entry.is_none() {
            findings.push(
                Diagnostic::error(self.span.clone(), format!("{owner} has no `{key}`"))
                    .with_label(format!("`{key}` is missing"))
                    .with_hint(format!("add `{key} = {example}`")),
            );
        }
        required_entry
    }

    /// The table at `key`, if it is there.
    pub(super) fn take_table(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Section<'d, 'i>> {
        self.take(key, findings)?.section(findings)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// All entries, for tables whose keys are names that people choose; in order of the file.
    pub(super) fn entries(&self, findings: &mut Findings) -> Vec<Entry<'d, 'i>> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(name, value)| self.entry(name.get_ref(), name.span(), value, findings))
            .collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// Reports every key that was not taken, and returns what each probably stands for.
    pub(super) fn finish(self, findings: &mut Findings) -> Vec<Option<&'static str>> {
        let mut unknown_keys = Vec::new();
        for (name, _) in self.table.iter() {
            let key: &str = name.get_ref();
            if self.known.contains(&key) {
                continue;
            }
            let place = if self.path.is_empty() {
                "this file".to_owned()
            } else {
                format!("`{}`", self.path)
            };
            let keys = format!("known keys: {}", self.known.join(", "));
            let meant_key = word_of_other_tools(key)
                .and_then(|meant_key| self.known.iter().copied().find(|known| *known == meant_key))
                .or_else(|| nearest_name(key, self.known.iter().copied()));
            unknown_keys.push(meant_key);
            let hint = match meant_key {
                Some(meant) => format!("did you mean `{meant}`? {keys}"),
                None => keys,
            };
            findings.push(
                Diagnostic::error(
                    name.span(),
                    format!("unknown key `{}` in {place}", shown(key)),
                )
                .with_label("not a key here")
                .with_hint(hint),
            );
        }
        unknown_keys
    }

    fn entry(
        &self,
        key: &'d str,
        key_span: Range<usize>,
        value: &'d toml::Spanned<DeValue<'i>>,
        findings: &mut Findings,
    ) -> Entry<'d, 'i> {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        let span = value.span();
        // A `[table]` spans its header, which has the key in it; `key = value` is both together.
        let entry_span = if span.start >= key_span.end {
            key_span.start..span.end
        } else if span.start <= key_span.start && key_span.end <= span.end {
            span.clone()
        } else {
            key_span.clone()
        };
        findings.spans.insert(path.clone(), entry_span);
        Entry {
            path,
            key,
            key_span,
            value: value.get_ref(),
            span,
        }
    }
}

impl<'d, 'i> Entry<'d, 'i> {
    /// Says that the value is of the wrong type.
    pub(super) fn wrong_type(&self, wanted_type: &str, hint: &str, findings: &mut Findings) {
        let found_type = type_name(self.value);
        findings.push(
            Diagnostic::error(
                self.span.clone(),
                format!("`{}` is {found_type}, not {wanted_type}", shown(self.key)),
            )
            .with_label(format!("expected {wanted_type}"))
            .with_hint(hint),
        );
    }

    /// The value as a table.
    pub(super) fn section(&self, findings: &mut Findings) -> Option<Section<'d, 'i>> {
        match self.value {
            DeValue::Table(table) => Some(Section {
                path: self.path.clone(),
                span: self.whole(findings),
                table,
                known: Vec::new(),
            }),
            _ => {
                self.wrong_type(
                    "a table",
                    &format!("write `[{}]` or `{} = {{ … }}`", self.path, self.key),
                    findings,
                );
                None
            }
        }
    }

    /// The value as a list of tables, such as `[[links]]` are.
    pub(super) fn sections(&self, example: &str, findings: &mut Findings) -> Vec<Section<'d, 'i>> {
        let hint = format!("write it like {example}");
        let DeValue::Array(array) = self.value else {
            self.wrong_type("a list of tables", &hint, findings);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let path = format!("{}.{index}", self.path);
            findings.spans.insert(path.clone(), value.span());
            match value.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section {
                        path,
                        span: value.span(),
                        table,
                        known: Vec::new(),
                    });
                }
                other => {
                    let message = format!("`{}` lists {}, not a table", self.key, type_name(other));
                    let diagnostic =
                        Diagnostic::error(value.span(), message).with_label("expected a table");
                    findings.push(diagnostic.with_hint(&hint));
                }
            }
        }
        sections
    }

    /// The value as text.
    pub(super) fn text(&self, example: &str, findings: &mut Findings) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type(
                    "text",
                    &format!("write it like `{} = \"{example}\"`", self.key),
                    findings,
                );
                None
            }
        }
    }

    /// The value as a list of texts; one text alone is a list of one.
    pub(super) fn texts(&self, example: &str, findings: &mut Findings) -> Vec<Item<'d>> {
        let example = format!("write it like `{} = [\"{example}\"]`", self.key);
        let mut items: Vec<Item<'d>> = Vec::new();
        match self.value {
            DeValue::String(text) => items.push(Item {
                text,
                span: self.span.clone(),
            }),
            DeValue::Array(array) => {
                for value in array.iter() {
                    let span = value.span();
                    let Some(text) = value.get_ref().as_str() else {
                        let found_type = type_name(value.get_ref());
                        let message = format!("`{}` lists {found_type}, not text", self.key);
                        findings.push(
                            Diagnostic::error(span, message)
                                .with_label("expected text")
                                .with_hint(&example),
                        );
                        continue;
                    };
                    if items.iter().any(|item| item.text == text) {
                        let message = format!("`{}` lists `{}` twice", self.key, shown(text));
                        findings.push(Diagnostic::warning(span, message).with_label("again"));
                        continue;
                    }
                    items.push(Item { text, span });
                }
            }
            _ => self.wrong_type("a list of texts", &example, findings),
        }
        for item in &items {
            findings
                .spans
                .insert(format!("{}.{}", self.path, item.text), item.span.clone());
        }
        items
    }

    /// [`Entry::texts`] where an empty list would forbid everything.
    pub(super) fn some_texts(&self, example: &str, findings: &mut Findings) -> Vec<Item<'d>> {
        if matches!(self.value, DeValue::Array(array) if array.is_empty()) {
            findings.push(
                Diagnostic::error(
                    self.span.clone(),
                    format!("`{}` is an empty list", self.key),
                )
                .with_label("nothing would be allowed")
                .with_hint("name at least one, or leave the line out"),
            );
        }
        self.texts(example, findings)
    }

    /// The value as `true` or `false`.
    pub(super) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        let boolean_value = self.value.as_bool();
        if boolean_value.is_none() {
            self.wrong_type(
                "true or false",
                &format!("write `{0} = true` or `{0} = false`", self.key),
                findings,
            );
        }
        boolean_value
    }

    fn whole(&self, findings: &Findings) -> Range<usize> {
        let span = findings
            .spans
            .get(&self.path)
            .cloned()
            .unwrap_or_else(|| self.key_span.clone());
        // What is missing in an inline table is missing in its braces.
        if span.start < self.span.start {
            self.span.clone()
        } else {
            span
        }
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns text that people wrote, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// ``did you mean `x`? known: a, b`` as far as it applies.
pub(super) fn suggestion<'c>(
    word: &str,
    relation: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> String {
    const MOST: usize = 12;
    let meant_word =
        nearest_name(word, candidates.clone()).map(|meant| format!("did you mean `{meant}`?"));
    let all_candidates: Vec<&str> = candidates.into_iter().collect();
    let listed_candidates = (!all_candidates.is_empty()).then(|| {
        let more_mark = if all_candidates.len() > MOST {
            ", …"
        } else {
            ""
        };
        format!(
            "{relation}: {}{more_mark}",
            all_candidates[..all_candidates.len().min(MOST)].join(", ")
        )
    });
    meant_word
        .into_iter()
        .chain(listed_candidates)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The words that other tools have for keys of sky, which are nearer to another key by their letters.
const WORDS_OF_OTHER_TOOLS: [(&str, &[&str]); 12] = [
    (
        "accelerators",
        &["accelerator", "gpu", "gpus", "num_gpus", "tpu"],
    ),
    ("cpus", &["cores", "cpu", "num_cpus", "vcpu", "vcpus"]),
    ("memory", &["mem", "ram"]),
    ("run", &["cmd", "command", "entrypoint", "script"]),
    ("reads", &["input", "inputs"]),
    ("writes", &["output", "outputs"]),
    ("after", &["depends", "depends_on", "dependencies"]),
    ("count", &["array", "copies", "replicas"]),
    ("nodes", &["machines", "num_nodes"]),
    ("duration", &["hours", "runtime", "time"]),
    ("places", &["region", "regions", "zones"]),
    ("env", &["environment", "envs", "variables"]),
];

/// Returns the key of sky that a word of another tool stands for.
fn word_of_other_tools(word: &str) -> Option<&'static str> {
    let stands_for = WORDS_OF_OTHER_TOOLS
        .iter()
        .find(|(_, words)| words.contains(&word));
    stands_for.map(|(key, _)| *key)
}
