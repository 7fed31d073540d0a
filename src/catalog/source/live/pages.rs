//! Lists that come page by page: each page is kept as it comes, so that a list that was
//! interrupted goes on from its last page.

use super::News;
use super::http::{self, Fault, Http};
use jiff::{Timestamp, civil::Date};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Pages older than this may be of another list than those that follow.
const FRESH_HOURS: i64 = 6;

/// No list has so many pages; one that does leads in a circle.
const MOST_PAGES: u32 = 20_000;

/// No page is so large, and no list, in bytes.
const PAGE: usize = 256 << 20;
const LIST: u64 = 2 << 30;

/// How far a list has come.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    first: String,
    /// Pages that are there.
    pages: u32,
    /// Sum over these.
    #[serde(default)]
    bytes: u64,
    /// Where the next one is; none: that was the last.
    next: Option<String>,
    begun: Timestamp,
    day: Option<Date>,
}

/// A whole list.
#[derive(Debug)]
pub(super) struct Pages {
    folder: PathBuf,
    count: u32,
    /// When its first page was given, by the server's clock.
    pub day: Option<Date>,
}

impl Pages {
    /// The pages, from the first; each is read when it is its turn.
    pub fn bodies(&self) -> impl Iterator<Item = Result<Vec<u8>, Fault>> {
        (1..=self.count).map(|page| {
            let path = self.folder.join(format!("{page:05}.json"));
            std::fs::read(&path).map_err(|error| Fault(crate::util::file::named(&path, "read", error).to_string()))
        })
    }

    /// Drops it: it was used.
    pub fn drop(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Gets a list. `next` reads where the page after a page is, and says what is wrong with a page.
pub(super) async fn fetch(
    http: &Http,
    unit: &str,
    first: &Url,
    headers: &HeaderMap,
    next: impl Fn(&[u8]) -> Result<Option<Url>, String>,
) -> Result<Pages, Fault> {
    let name = crate::util::hash::digest(first.as_str().as_bytes());
    let folder = http.cache.join("lists").join(name.trim_start_matches("sha256:").get(..32).unwrap_or("list"));
    let path = folder.join("state.json");
    let old: Option<State> = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let fresh = |state: &State| {
        let hours = crate::util::clock::now().duration_since(state.begun).as_hours();
        state.first == first.as_str() && state.pages > 0 && (0..FRESH_HOURS).contains(&hours)
    };
    let resumed = old.filter(fresh);
    let begin = || State {
        first: first.to_string(),
        pages: 0,
        bytes: 0,
        next: Some(first.to_string()),
        begun: crate::util::clock::now(),
        day: None,
    };
    if let Some(state) = &resumed {
        http.tell(unit, &News::ResumedPages { pages: state.pages });
    }
    let mut seen = BTreeSet::new();
    let mut may_restart = resumed.is_some();
    let mut state = resumed.unwrap_or_else(begin);
    while let Some(url) = state.next.clone() {
        let url = Url::parse(&url).map_err(|error| Fault(format!("the next page is no address: {error}")))?;
        let page = match http.body(unit, &url, headers, PAGE).await {
            // The place where the list was left is known to the server for some time only.
            Err(fault) if may_restart && fault.0.contains(" answers 4") => {
                may_restart = false;
                state = begin();
                continue;
            }
            page => page?,
        };
        may_restart = false;
        let number = state.pages + 1;
        let following =
            next(&page.bytes).map_err(|why| Fault(format!("page {number} of {}: {why}", http::host(&url))))?;
        seen.insert(url.to_string());
        if number >= MOST_PAGES || following.as_ref().is_some_and(|url| seen.contains(url.as_str())) {
            return Err(Fault(format!("the pages of {} lead in a circle", http::host(&url))));
        }
        let bytes = state.bytes + page.bytes.len() as u64;
        if bytes > LIST {
            let _ = std::fs::remove_dir_all(&folder);
            return Err(Fault(format!(
                "{} answers more than {} MiB: no list is so long",
                http::host(&url),
                LIST >> 20
            )));
        }
        http::keep(&folder.join(format!("{number:05}.json")), &page.bytes)?;
        state = State {
            pages: number,
            bytes,
            next: following.map(|url| url.to_string()),
            day: state.day.or(page.day),
            ..state
        };
        let text = serde_json::to_vec(&state).map_err(|error| Fault(error.to_string()))?;
        http::keep(&path, &text)?;
        http.tell(unit, &News::Page { pages: number });
    }
    Ok(Pages { folder, count: state.pages, day: state.day })
}
