//! Lists that come page by page: each page is kept as it comes, so that a list that was
//! interrupted goes on from its last page.

use super::ProgressNews;
use super::http_client::{self, Fault, HttpClient};
use crate::util::file_changes;
use jiff::{Timestamp, civil::Date};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Pages older than this may be of another list than those that follow.
const FRESH_HOURS: i64 = 6;

/// No list has so many pages; one that does leads in a circle.
const MAX_PAGES: u32 = 20_000;

/// No page is so large, and no list, in bytes.
const MAX_PAGE_BYTES: usize = 256 << 20;
const MAX_LIST_BYTES: u64 = 2 << 30;

/// How far a list has come.
#[derive(Debug, Serialize, Deserialize)]
struct ListState {
    first: String,
    /// Pages that are there.
    pages: u32,
    /// Bytes of these pages.
    #[serde(default)]
    bytes: u64,
    /// The address of the next page; none: that was the last.
    next: Option<String>,
    begun: Timestamp,
    day: Option<Date>,
}

impl ListState {
    /// The state of a list of which no page is there.
    fn begin(first_page: &Url) -> Self {
        Self {
            first: first_page.to_string(),
            pages: 0,
            bytes: 0,
            next: Some(first_page.to_string()),
            begun: crate::util::clock::now(),
            day: None,
        }
    }

    /// Whether the pages that are there are of the same list and new enough to go on with.
    fn is_fresh(&self, first_page: &Url) -> bool {
        let hours = crate::util::clock::now()
            .duration_since(self.begun)
            .as_hours();
        self.first == first_page.as_str() && self.pages > 0 && (0..FRESH_HOURS).contains(&hours)
    }
}

/// A whole list.
#[derive(Debug)]
pub(super) struct PagedList {
    folder: PathBuf,
    count: u32,
    /// When its first page was given, by the server's clock.
    pub day: Option<Date>,
}

impl PagedList {
    /// The pages, from the first; each is read when it is its turn.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Result<Vec<u8>, Fault>> {
        (1..=self.count).map(|page| {
            let path = self.folder.join(format!("{page:05}.json"));
            std::fs::read(&path)
                .map_err(|error| Fault(crate::util::file::named(&path, "read", error).to_string()))
        })
    }

    /// Drops the pages from the cache: they were used.
    pub(super) fn drop(&self) {
        let _ = file_changes::remove_dir_all(&self.folder);
    }
}

/// The cache's folder for a list, by the address of its first page.
fn folder_of(http: &HttpClient, first_page: &Url) -> PathBuf {
    let digest = crate::util::hash::digest(first_page.as_str().as_bytes());
    let name = digest.trim_start_matches("sha256:").get(..32);
    http.cache.join("lists").join(name.unwrap_or("list"))
}

fn read_state(path: &Path) -> Option<ListState> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Gets a list. `next` reads where the page after a page is, and says what is wrong with a page.
pub(super) async fn fetch(
    http: &HttpClient,
    unit: &str,
    first_page: &Url,
    headers: &HeaderMap,
    next_page: impl Fn(&[u8]) -> Result<Option<Url>, Fault>,
) -> Result<PagedList, Fault> {
    let folder = folder_of(http, first_page);
    let path = folder.join("state.json");
    let resumed = read_state(&path).filter(|state| state.is_fresh(first_page));
    if let Some(state) = &resumed {
        http.tell(unit, &ProgressNews::ResumedPages { pages: state.pages });
    }
    let mut seen_pages = BTreeSet::new();
    let mut may_restart = resumed.is_some();
    let mut list_state = resumed.unwrap_or_else(|| ListState::begin(first_page));
    while let Some(url) = list_state.next.clone() {
        let url = Url::parse(&url)
            .map_err(|error| Fault(format!("the next page is not an address: {error}")))?;
        let page = match http.body(unit, &url, headers, MAX_PAGE_BYTES).await {
            // The place where the list was left is known to the server for some time only.
            Err(fault) if may_restart && fault.0.contains(" answers 4") => {
                may_restart = false;
                list_state = ListState::begin(first_page);
                continue;
            }
            page => page?,
        };
        may_restart = false;
        let page_number = list_state.pages + 1;
        let following = next_page(&page.bytes).map_err(|Fault(why)| {
            let host = http_client::host_of(&url);
            Fault(format!("page {page_number} of {host}: {why}"))
        })?;
        seen_pages.insert(url.to_string());
        let leads_back = |url: &Url| seen_pages.contains(url.as_str());
        if page_number >= MAX_PAGES || following.as_ref().is_some_and(leads_back) {
            let host = http_client::host_of(&url);
            return Err(Fault(format!("the pages of {host} lead in a circle")));
        }
        let bytes = list_state.bytes + page.bytes.len() as u64;
        let most_bytes = http.most(MAX_LIST_BYTES);
        if bytes > most_bytes {
            let _ = file_changes::remove_dir_all(&folder);
            let (host, most) = (http_client::host_of(&url), most_bytes >> 20);
            return Err(Fault(format!(
                "{host} answers more than {most} MiB: no list is so long"
            )));
        }
        http_client::write_to_cache(&folder.join(format!("{page_number:05}.json")), &page.bytes)?;
        list_state = ListState {
            pages: page_number,
            bytes,
            next: following.map(|url| url.to_string()),
            day: list_state.day.or(page.day),
            ..list_state
        };
        let text = serde_json::to_vec(&list_state).map_err(|error| Fault(error.to_string()))?;
        http_client::write_to_cache(&path, &text)?;
        http.tell(unit, &ProgressNews::Page { pages: page_number });
    }
    Ok(PagedList {
        folder,
        count: list_state.pages,
        day: list_state.day,
    })
}
