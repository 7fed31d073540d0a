//! The text of `sky catalog`, on the fixture of the BERT job.

use super::*;
use crate::catalog::load;
use std::path::Path;

fn bert() -> Result<Catalog, CatalogError> {
    load::directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bert/catalog"))
}

fn listed(args: ListArgs) -> String {
    run(
        &CatalogArgs {
            catalog: None,
            verb: CatalogVerb::List(args),
        },
        bert,
    )
    .unwrap_or_else(|error| error.to_string())
}

fn shown(name: Option<&str>) -> String {
    let args = ShowArgs {
        name: name.map(str::to_owned),
        json: false,
    };
    run(
        &CatalogArgs {
            catalog: None,
            verb: CatalogVerb::Show(args),
        },
        bert,
    )
    .unwrap_or_else(|error| error.to_string())
}

#[test]
fn list() {
    let limited = ListArgs {
        limit: 2,
        ..ListArgs::default()
    };
    let gpu = ListArgs {
        accelerator: Some("v100:4".to_owned()),
        ..ListArgs::default()
    };
    let big = ListArgs {
        min_memory: Some("1 TiB".to_owned()),
        ..ListArgs::default()
    };
    let wrong = [
        ListArgs {
            accelerator: Some("V10".to_owned()),
            ..ListArgs::default()
        },
        ListArgs {
            min_memory: Some("64".to_owned()),
            ..ListArgs::default()
        },
        ListArgs {
            country: vec!["UK".to_owned()],
            ..ListArgs::default()
        },
    ];
    let texts: Vec<String> = [ListArgs::default(), limited, gpu, big]
        .into_iter()
        .chain(wrong)
        .map(listed)
        .collect();
    insta::assert_snapshot!(texts.join("\n---\n"));
}

#[test]
fn list_as_json() {
    let text = listed(ListArgs {
        instance_type: Some("*DC8*".to_owned()),
        json: true,
        ..ListArgs::default()
    });
    insta::assert_snapshot!(text);
}

#[test]
fn show() {
    let names = [
        None,
        Some("azure:eastus"),
        Some("local:here"),
        Some("inf1.xlarge"),
        Some("tpu-v3-8"),
        Some("azure:estus"),
    ];
    insta::assert_snapshot!(names.map(shown).join("\n---\n"));
}

#[test]
fn show_terms_and_risk() {
    let shown = |name: &str, json: bool| {
        let args = ShowArgs {
            name: Some(name.to_owned()),
            json,
        };
        run(
            &CatalogArgs {
                catalog: None,
                verb: CatalogVerb::Show(args),
            },
            load::shipped,
        )
        .unwrap_or_else(|error| error.to_string())
    };
    let texts = [
        shown("aws", false),
        shown("gcp", true),
        shown("azure:northeurope", false),
        shown("p3dn.24xlarge", false),
    ];
    insta::assert_snapshot!(texts.join("\n---\n"));
}
