//! What a source has answered, on its way into the catalog.

use super::Fault;
use super::cached_body::CachedBody;
use super::paged_list::PagedList;
use super::price_quotes::PriceQuotes;
use crate::catalog::draft::Draft;
use crate::feeds::ImportOptions;
use crate::feeds::importer::Importer;
use jiff::civil::Date;
use std::path::PathBuf;

/// What a source, or a part of it, has answered.
pub(super) struct SourceAnswer {
    /// The name of the source.
    pub source: &'static str,
    /// The cloud of the figures; empty: of several.
    pub cloud: String,
    /// A region of the cloud; empty: all of them.
    pub part: String,
    /// What the source has answered, or why it has failed.
    pub result: Result<AnswerData, Fault>,
}

impl SourceAnswer {
    pub(super) fn new(
        source: &'static str,
        cloud: &str,
        part: &str,
        result: Result<AnswerData, Fault>,
    ) -> Self {
        Self {
            source,
            cloud: cloud.to_owned(),
            part: part.to_owned(),
            result,
        }
    }
}

/// What is to be laid over the catalog.
pub(super) enum AnswerContent {
    /// Prices.
    PriceQuotes(Box<PriceQuotes>),
    /// A file, and the importer that reads it.
    Import(Importer, PathBuf, Box<ImportOptions>),
    /// A catalog in our own format.
    Own(Box<Draft>),
    /// Nothing: why the source was not asked.
    Skip(String),
}

/// What a source has answered, and what of the cache is used up or confirmed by using it.
pub(super) struct AnswerData {
    /// What is to be laid over the catalog.
    pub content: AnswerContent,
    /// The day of the figures.
    pub day: Option<Date>,
    /// Sentences for the report.
    pub notes: Vec<String>,
    /// Bodies of the cache that were used.
    pub bodies: Vec<CachedBody>,
    /// Lists of the cache that were used.
    pub pages: Vec<PagedList>,
}

impl AnswerData {
    pub(super) fn of(content: AnswerContent) -> Self {
        Self {
            content,
            day: None,
            notes: Vec::new(),
            bodies: Vec::new(),
            pages: Vec::new(),
        }
    }

    pub(super) fn quotes(quotes: PriceQuotes) -> Self {
        Self {
            day: Some(quotes.day),
            ..Self::of(AnswerContent::PriceQuotes(Box::new(quotes)))
        }
    }

    pub(super) fn import(
        importer: Importer,
        fetched: CachedBody,
        options: ImportOptions,
        day: Date,
        notes: Vec<String>,
    ) -> Self {
        let content = AnswerContent::Import(importer, fetched.path.clone(), Box::new(options));
        Self {
            day: Some(day),
            notes,
            bodies: vec![fetched],
            ..Self::of(content)
        }
    }

    pub(super) fn own(draft: Draft, bodies: Vec<CachedBody>) -> Self {
        let day = draft
            .sources
            .values()
            .filter_map(|source| source.date.parse().ok())
            .max();
        Self {
            day,
            bodies,
            ..Self::of(AnswerContent::Own(Box::new(draft)))
        }
    }

    pub(super) fn skip(why: String) -> Self {
        Self::of(AnswerContent::Skip(why))
    }

    pub(super) fn with_pages(mut self, pages: PagedList) -> Self {
        self.pages.push(pages);
        self
    }

    /// Tells the cache that the answer was used: it need not be asked for again.
    pub(super) fn mark_used(&self) -> Result<(), Fault> {
        self.pages.iter().for_each(PagedList::drop);
        self.bodies.iter().try_for_each(CachedBody::approve)
    }
}
