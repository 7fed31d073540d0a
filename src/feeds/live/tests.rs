//! Sources against a server on this machine that replays answers of the true shape
//! (`fixtures/feeds`), with the rows and the troubles that real ones have.

mod bounds;
mod feeds;
mod server;
mod trouble;

use super::*;
use crate::catalog::{CatalogError, files};
use crate::feeds::ImportReport;
use crate::model::Pattern;
use server::{Answer, Request, Server};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

const HEAD: &str = "format = 1\n\n[sources.old]\ndate = \"2026-01-01\"\nabout = \"the old list\"\n";

/// A small catalog: the places and machines that the feeds speak of, and some older prices.
const FILES: [(&str, &str); 7] = [
    ("catalog.toml", HEAD),
    (
        "places.csv",
        "place,country,location,operator,us_cloud_act,source,parent,class,evidence\n\
         aws:eu-west-1,IE,,,yes,old,,,\naws:us-east-1,US,,,yes,old,,,\nazure:eastus,US,,,yes,old,,,\n\
         azure:westeurope,NL,,,yes,old,,,\ngcp:us-central1,US,,,yes,old,,,\ngcp:us-east1,US,,,yes,old,,,\n\
         nebius:eu-north1,FI,,,no,old,,,\nverda:FIN-03,FI,,,no,old,,,\n",
    ),
    (
        "aws/machines.csv",
        "instance_type,vcpus,memory_gib,accelerator,count,arch\ng4dn.xlarge,4,16,T4,1,x86_64\nm5.large,2,8,,,x86_64\n",
    ),
    (
        "aws/prices.csv",
        "instance_type,on_demand,source,spot,spot_source,region\nm5.large,0.096,old,0.03,,us-east-1\n\
         m5.large,0.2,old,,,eu-west-1\n",
    ),
    (
        "azure/machines.csv",
        "instance_type,vcpus,memory_gib,accelerator,count,arch\nStandard_D2_v3,2,8,,,x86_64\nStandard_D4_v3,4,16,,,x86_64\n",
    ),
    (
        "azure/prices.csv",
        "instance_type,on_demand,source,spot,spot_source,region\nStandard_D2_v3,0.1,old,,,eastus\n",
    ),
    (
        "gcp/machines.csv",
        "instance_type,vcpus,memory_gib,accelerator,count,arch\n2xT4+n1-standard-8,8,30,T4,2,x86_64\n\
         a2-ultragpu-1g,12,170,A100-80GB,1,x86_64\nc3-standard-4,4,16,,,x86_64\nc4a-standard-1,1,4,,,arm64\n\
         e2-medium,2,4,,,x86_64\nn1-standard-8,8,30,,,x86_64\nn2-standard-8,8,32,,,x86_64\n\
         n2-standard-8-lssd,8,32,,,x86_64\nt2d-standard-1,1,4,,,x86_64\ntpu-v3-32,48,340,tpu-v3-32,1,x86_64\n\
         tpu-v3-8,96,340,tpu-v3-8,1,x86_64\ntpu-v5litepod-4,112,192,tpu-v5litepod-4,1,x86_64\n",
    ),
];

/// A folder with the catalog, a folder for answers, and what was told on the way.
struct Bench {
    folder: tempfile::TempDir,
    news: Rc<Told>,
}

#[derive(Default)]
struct Told(RefCell<Vec<String>>);

impl ProgressWatcher for Told {
    fn tell(&self, unit: &str, news: &ProgressNews<'_>) {
        let line = match news {
            ProgressNews::Again { why, .. } => format!("{unit}: {why}; again"),
            ProgressNews::Resumed { at } => format!("{unit}: goes on after {at} bytes"),
            ProgressNews::ResumedPages { pages } => format!("{unit}: goes on after page {pages}"),
            _ => return,
        };
        self.0.borrow_mut().push(line);
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in FILES {
            crate::util::file::write_below(&folder.path().join("catalog"), name, text.as_bytes())
                .unwrap();
        }
        Self {
            folder,
            news: Rc::default(),
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("catalog")
    }

    fn settings(&self, server: &Server) -> UpdateSettings {
        let address = |path: &str| Some(format!("{}{path}", server.address()));
        let endpoints = Endpoints::new(|variable| match variable.name {
            "SKY_AWS_PRICES_URL" => address(""),
            "SKY_AWS_SPOT_ADVISOR_URL" => address("/spot-advisor-data.json"),
            "SKY_AZURE_PRICES_URL" => address("/api/retail/prices"),
            "SKY_GCP_PRICES_URL" => address("/v1/services"),
            "SKY_SKYPILOT_URL" => address("/catalogs"),
            "SKY_SKYPILOT_COMMITS_URL" => address("/commits"),
            _ => None,
        });
        UpdateSettings {
            cache: self.folder.path().join("cache"),
            endpoints: endpoints.unwrap(),
            retries: 2,
            first_wait: Duration::from_millis(1),
            timeout: Duration::from_secs(20),
            largest: u64::MAX,
            gcp_key: Some("secret-key".to_owned()),
            aws_credentials: false,
        }
    }

    fn update(&self, sources: &[&str], settings: &UpdateSettings) -> UpdateOutcome {
        self.try_update(sources, settings).unwrap()
    }

    fn try_update(
        &self,
        sources: &[&str],
        settings: &UpdateSettings,
    ) -> Result<UpdateOutcome, CatalogError> {
        let wanted = SourceSelection {
            clouds: Vec::new(),
            sources: sources.iter().map(|name| (*name).to_owned()).collect(),
            ..SourceSelection::default()
        };
        self.update_of(&wanted, settings)
    }

    fn update_of(
        &self,
        wanted: &SourceSelection,
        settings: &UpdateSettings,
    ) -> Result<UpdateOutcome, CatalogError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(update(wanted, settings, &self.out(), self.news.clone()))
    }

    /// What was told since the last time.
    fn told(&self, server: &Server) -> String {
        self.news
            .0
            .take()
            .join("\n")
            .replace(&server.host(), "HOST")
    }

    /// Every file of the catalog.
    fn bytes(&self) -> BTreeMap<String, String> {
        files::read(&self.out())
            .unwrap()
            .into_iter()
            .map(|file| (file.name, file.text))
            .collect()
    }

    /// `catalog.toml` without the server's port.
    fn head(&self, server: &Server) -> String {
        self.rows("catalog.toml").replace(&server.host(), "HOST")
    }

    /// The rows of a file.
    fn rows(&self, name: &str) -> String {
        std::fs::read_to_string(self.out().join(name)).unwrap()
    }
}

fn feed(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/feeds")
            .join(name),
    )
    .unwrap()
}

/// How each part of an update ended.
fn ends(update: &UpdateOutcome, server: &Server) -> String {
    let line = |outcome: &SourceOutcome| {
        let name = [outcome.source, &outcome.cloud, &outcome.part].join(" ");
        let (day, changes) = (
            outcome
                .day
                .map_or(String::new(), |day| format!(" of {day}")),
            &outcome.changes,
        );
        let end = match &outcome.status {
            SourceStatus::Updated => format!(
                "updated{day}: {} new, {} rose, {} fell, {} same, {} gone",
                changes.new, changes.rose, changes.fell, changes.same, changes.gone
            ),
            SourceStatus::Unchanged => format!("unchanged{day}"),
            SourceStatus::Skipped(why) => format!("skipped: {why}"),
            SourceStatus::Failed(why) => {
                let kept = outcome.kept.clone().unwrap_or_default();
                let newest = kept
                    .newest
                    .map_or(String::new(), |day| format!(" of {day}"));
                format!("failed: {why}; kept {}{newest}", kept.rows)
            }
        };
        format!("{}: {end}", name.trim_end()).replace(&server.host(), "HOST")
    };
    update
        .outcomes
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn left(update: &UpdateOutcome) -> String {
    let mut all = ImportReport::default();
    update
        .outcomes
        .iter()
        .for_each(|outcome| all.add_left_out(&outcome.report));
    all.reasons()
        .iter()
        .map(|(rows, why)| format!("{rows} {why}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A server with all feeds as they should be.
fn good(request: &Request) -> Answer {
    let query = |text: &str| request.path.contains(text);
    let file = |name: &str| Answer::ok(feed(name));
    match request.path.split('?').next().unwrap_or_default() {
        "/api/retail/prices" if query("$skip=1000") => file("azure-2.json"),
        "/api/retail/prices" if query("$skip=2000") => file("azure-3.json"),
        "/api/retail/prices" => file("azure-1.json"),
        "/offers/v1.0/aws/AmazonEC2/current/region_index.json" => file("aws-region_index.json"),
        "/offers/v1.0/aws/AmazonEC2/20261120194712/us-east-1/index.csv" => {
            file("aws-us-east-1.csv")
        }
        "/offers/v1.0/aws/AmazonEC2/20261120194712/eu-west-1/index.csv" => {
            file("aws-eu-west-1.csv")
        }
        "/spot-advisor-data.json" => {
            file("aws-spot-advisor.json").with("Last-Modified", "Wed, 18 Nov 2026 05:00:00 GMT")
        }
        "/v1/services/6F81-5844-456A/skus" if query("pageToken=AHOI%3D%2F2") => file("gcp-2.json"),
        "/v1/services/6F81-5844-456A/skus" => file("gcp-1.json"),
        "/v1/services/E000-3F24-B8AA/skus" => file("gcp-tpu.json"),
        "/catalogs/v8/aws/vms.csv" => file("skypilot-aws.csv").with("ETag", "\"aws-8\""),
        "/catalogs/v7/nebius/vms.csv" => {
            file("skypilot-nebius.csv").with("Last-Modified", "Mon, 02 Nov 2026 05:00:00 GMT")
        }
        "/catalogs/v8/verda/vms.csv" => file("skypilot-verda.csv"),
        "/commits" if query("path=catalogs%2Fv8%2Faws%2Fvms.csv") => Answer::ok(
            r#"[{"sha":"e385a0d","commit":{"committer":{"name":"GitHub","date":"2026-11-19T07:04:31Z"}}}]"#,
        ),
        _ => Answer::status(404),
    }
}
