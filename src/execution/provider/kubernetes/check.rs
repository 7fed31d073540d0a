//! What a namespace lets us do, by what the cluster itself says of our rights.

use super::super::check::{Finding, Topic, in_time};
use super::super::{ErrorKind, ProviderError};
use super::access::Site;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{ListParams, PostParams};

/// Verb, group, resource and its part of all that is needed; `sky guide kubernetes` has the same.
const RIGHTS: [(&str, &str, &str, Option<&str>); 9] = [
    ("get", "batch", "jobs", None),
    ("list", "batch", "jobs", None),
    ("create", "batch", "jobs", None),
    ("patch", "batch", "jobs", None),
    ("delete", "batch", "jobs", None),
    ("get", "", "pods", None),
    ("list", "", "pods", None),
    ("delete", "", "pods", None),
    ("create", "", "pods", Some("exec")),
];

/// All that can be seen of a namespace.
pub(super) async fn check(site: &Site) -> Vec<Finding> {
    let about_cluster = format!("cluster {}", site.name);
    let look_at_jobs = async {
        site.ask(site.jobs().await?.list(&ListParams::default().limit(1)))
            .await
    };
    match in_time(look_at_jobs, &about_cluster).await {
        Ok(_) => {}
        Err(error) => {
            let topic = match error.kind {
                ErrorKind::Denied => Topic::Credentials,
                _ => Topic::Reach,
            };
            return vec![Finding::failed(topic, about_cluster, &error)];
        }
    }
    let mut findings = vec![Finding::there(
        Topic::Credentials,
        &*about_cluster,
        "the cluster takes them",
    )];
    let mut lacking_rights = Vec::new();
    for (verb, group, resource, part) in RIGHTS {
        let right_words = part.map_or_else(
            || format!("{verb} {resource}"),
            |part| format!("{verb} {resource}/{part}"),
        );
        match in_time(granted(site, (verb, group, resource, part)), &about_cluster).await {
            Ok(true) => {}
            Ok(false) => lacking_rights.push(right_words),
            // Clusters may keep it to themselves; that says nothing about the rights.
            Err(error) => {
                findings.push(Finding::unknown(
                    Topic::Permission,
                    about_cluster,
                    error.message,
                ));
                return findings;
            }
        }
    }
    findings.extend(Finding::permissions(
        &about_cluster,
        RIGHTS.len(),
        lacking_rights,
    ));
    findings
}

async fn granted(
    site: &Site,
    (verb, group, resource, part): (&str, &str, &str, Option<&str>),
) -> Result<bool, ProviderError> {
    let (reviews, namespace) = site.reviews().await?;
    let wanted_right = ResourceAttributes {
        namespace: Some(namespace),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: part.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(wanted_right),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview {
        spec,
        ..SelfSubjectAccessReview::default()
    };
    let review_answer = site
        .ask(reviews.create(&PostParams::default(), &review))
        .await?;
    Ok(review_answer.status.is_some_and(|status| status.allowed))
}
