//! A topic of the manual for a terminal: wrapped text, headings, lists, code and tables.

use super::table;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::iter::Peekable;

/// Returns Markdown as text of at most `width` columns; code is not wrapped. `bold` makes a heading
/// stand out.
pub fn text(markdown: &str, width: u16, bold: impl Fn(&str) -> String) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).peekable();
    let mut page = Page {
        events,
        width,
        bold,
        text: String::new(),
    };
    while let Some(event) = page.events.next() {
        page.block(event, "");
    }
    page.text.trim_end().to_owned() + "\n"
}

struct Page<'m, Bold> {
    events: Peekable<Parser<'m>>,
    width: u16,
    bold: Bold,
    text: String,
}

impl<Bold: Fn(&str) -> String> Page<'_, Bold> {
    /// Writes the block that begins with this event; `indent` stands before each of its lines.
    fn block(&mut self, event: Event<'_>, indent: &str) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => self.heading(level),
            Event::Start(Tag::Paragraph) => {
                let paragraph_words = self.inline(TagEnd::Paragraph);
                self.wrapped(&paragraph_words, indent, indent);
                self.text.push('\n');
            }
            Event::Start(Tag::CodeBlock(_)) => self.code(indent),
            Event::Start(Tag::List(first)) => self.list(first, indent),
            Event::Start(Tag::Table(_)) => self.table(),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let heading_words = self.inline(TagEnd::Heading(level));
        let heading_words = match level {
            HeadingLevel::H1 => heading_words.to_uppercase(),
            _ => heading_words,
        };
        let heading_words = (self.bold)(&heading_words);
        self.text += &format!("{heading_words}\n\n");
    }

    fn code(&mut self, indent: &str) {
        let mut code = String::new();
        for event in self.events.by_ref() {
            match event {
                Event::Text(text) => code += &text,
                Event::End(TagEnd::CodeBlock) => break,
                _ => {}
            }
        }
        self.blank_line();
        for line in code.lines() {
            let code_line = format!("{indent}    {line}");
            self.text += code_line.trim_end();
            self.text.push('\n');
        }
        self.text.push('\n');
    }

    fn list(&mut self, first_number: Option<u64>, indent: &str) {
        let mut item_number = first_number;
        while let Some(event) = self.events.next() {
            match event {
                Event::Start(Tag::Item) => {
                    let item_mark = match item_number.as_mut() {
                        Some(number) => {
                            *number += 1;
                            format!("{indent}{}. ", *number - 1)
                        }
                        None => format!("{indent}- "),
                    };
                    self.item(&item_mark);
                }
                Event::End(TagEnd::List(_)) => break,
                _ => {}
            }
        }
        self.blank_line();
    }

    /// Ends a block with one blank line.
    fn blank_line(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn item(&mut self, mark: &str) {
        let indent = " ".repeat(mark.len());
        // The text of an item is a paragraph where blank lines are between the items.
        let paragraph = Event::Start(Tag::Paragraph);
        let item_words = match self.events.next_if_eq(&paragraph) {
            Some(_) => self.inline(TagEnd::Paragraph),
            None => self.inline(TagEnd::Item),
        };
        self.wrapped(&item_words, mark, &indent);
        // What stands below the first lines: more lists, code.
        while let Some(event) = self.events.next() {
            match event {
                Event::End(TagEnd::Item) => break,
                event => self.block(event, &indent),
            }
        }
    }

    fn table(&mut self) {
        let (mut header, mut rows) = (Vec::new(), Vec::new());
        let mut table_row = Vec::new();
        while let Some(event) = self.events.next() {
            match event {
                Event::Start(Tag::TableCell) => {
                    let cell = self.inline(TagEnd::TableCell);
                    table_row.push(cell);
                    // The end of the cell.
                    self.events.next();
                }
                Event::End(TagEnd::TableHead) => header = std::mem::take(&mut table_row),
                Event::End(TagEnd::TableRow) => rows.push(std::mem::take(&mut table_row)),
                Event::End(TagEnd::Table) => break,
                _ => {}
            }
        }
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        self.text += &table::text(&header, &rows, Some(self.width));
        self.text.push('\n');
    }

    /// Returns the words up to the end of a block, or up to a block within it. The end itself stays
    /// for items and cells, whose callers look for it.
    fn inline(&mut self, end: TagEnd) -> String {
        let stays_inline = matches!(end, TagEnd::Item | TagEnd::TableCell);
        let mut inline_words = String::new();
        let mut address = String::new();
        loop {
            match self.events.peek() {
                None | Some(Event::Start(Tag::List(_) | Tag::CodeBlock(_) | Tag::Paragraph)) => {
                    break;
                }
                Some(Event::End(found)) if *found == end => {
                    if !stays_inline {
                        self.events.next();
                    }
                    break;
                }
                Some(_) => {}
            }
            match self.events.next() {
                Some(Event::Text(text)) => inline_words += &text,
                Some(Event::Code(text)) => inline_words += &format!("`{text}`"),
                Some(Event::SoftBreak | Event::HardBreak) => inline_words.push(' '),
                Some(Event::Start(Tag::Link { dest_url, .. })) => address = dest_url.to_string(),
                Some(Event::End(TagEnd::Link)) => {
                    inline_words += &format!(" ({})", std::mem::take(&mut address));
                }
                _ => {}
            }
        }
        inline_words
    }

    fn wrapped(&mut self, words: &str, first_indent: &str, other_indent: &str) {
        let options = textwrap::Options::new(usize::from(self.width))
            .initial_indent(first_indent)
            .subsequent_indent(other_indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        self.text += &textwrap::fill(words, options);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_block_is_laid_out() {
        let markdown = "# A title\n\nWords with `code`, a [link](https://example.org/page) and\n\
                        *more* that is too long for one line.\n\n## Below\n\n- one\n- two that goes on and on and on and \
                        on and on and on\n\n  ```console\n  sky plan\n  ```\n\n1. first\n2. second\n\n\
                        | name | what it is |\n| --- | --- |\n| `a` | a thing |\n| `b` | another |\n\n\
                        ```toml\nx = 1\n\ny = \"a very long line of code that must never be wrapped, whatever is\"\n```\n";
        insta::assert_snapshot!(text(markdown, 48, |heading| format!("[{heading}]")));
    }
}
