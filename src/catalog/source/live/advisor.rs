//! AWS's spot advisor feed, public: read by the importer of such files.

use super::super::{Options, interruptions};
use super::{Fault, Http, Job, Yield, file};

pub(super) async fn fetch(http: &Http, job: &Job) -> Result<Yield, Fault> {
    let url = &job.endpoints.spot_advisor;
    let fetched = file::fetch(http, "aws-spot-advisor", url, "advisor", crate::catalog::files::MOST).await?;
    let day = fetched.mark.day.unwrap_or_else(crate::util::clock::today);
    let options = Options {
        cloud: Some("aws".to_owned()),
        dates: vec![day.to_string()],
        url: Some(url.to_string()),
        ..Options::default()
    };
    Ok(Yield::import(interruptions::import, fetched, options, day, Vec::new()))
}
