//! What Google's errors mean: those that answer a call, and those of operations, which end in
//! failure although the call that began them was answered well.

use super::super::{ErrorKind, ProviderError};
use google_cloud_compute_v1::Error;
use google_cloud_compute_v1::model::Operation;

/// The error of a call; `about` says what it was to do.
pub(super) fn classify(error: &Error, about: &str) -> ProviderError {
    let status_message = error.status().map(|status| status.message.clone());
    // With its details; where it is none of Google's usual kind, as it came.
    let body = match error.status() {
        Some(status) => format!("{status:?}"),
        None => error
            .http_payload()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .unwrap_or_default(),
    };
    let message = status_message
        .filter(|said| !said.is_empty())
        .unwrap_or_else(|| short(&error.to_string()));
    let kind = match error.http_status_code() {
        _ if error.is_authentication() => ErrorKind::Denied,
        Some(status) => of_status(status, &format!("{message} {body}")),
        None if error.is_serialization() || error.is_binding() => ErrorKind::Other,
        None => ErrorKind::Unreachable,
    };
    told(kind, about, &message)
}

/// Why an operation that is over has failed; none: it has not.
pub(super) fn failure(operation: &Operation, about: &str) -> Option<ProviderError> {
    let errors = operation
        .error
        .as_ref()
        .map(|error| error.errors.as_slice())
        .unwrap_or_default();
    if let Some(first) = errors.first() {
        let code = first.code.as_deref().unwrap_or_default();
        let message = first.message.as_deref().unwrap_or_default();
        return Some(told(
            of_code(code, message),
            about,
            &format!("{code}: {}", short(message)),
        ));
    }
    let status = operation
        .http_error_status_code
        .filter(|status| *status >= 400)?;
    let message = operation.http_error_message.clone().unwrap_or_default();
    let kind = of_status(u16::try_from(status).unwrap_or(500), &message);
    Some(told(kind, about, &format!("{status} {message}")))
}

/// The error of a call that was answered with a status, as Google's APIs of JSON do.
pub(super) fn answer(status: u16, text: &str, about: &str) -> ProviderError {
    let error_json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let error_message = error_json["error"]["message"].as_str();
    let message = error_message.map_or_else(
        || format!("it is answered with {status}: {}", short(text)),
        short,
    );
    told(
        of_status(status, &format!("{message} {text}")),
        about,
        &message,
    )
}

/// Why an operation has failed that says so by a code of `google.rpc.Code`.
pub(super) fn of_operation(code: i64, message: &str, about: &str) -> ProviderError {
    let status = match code {
        3 | 9 => 400,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        16 => 401,
        _ => 500,
    };
    let kind = match of_status(status, message) {
        // Used up: operations are not throttled.
        ErrorKind::Throttled if code == 8 => ErrorKind::Stockout,
        kind => kind,
    };
    told(kind, about, &short(message))
}

fn told(kind: ErrorKind, about: &str, words: &str) -> ProviderError {
    let way = match kind {
        ErrorKind::Denied => format!("; {}", way_out(words)),
        ErrorKind::Quota => {
            "; ask for more under IAM & Admin, Quotas, or plan with another type or place"
                .to_owned()
        }
        _ => String::new(),
    };
    ProviderError::new(kind, format!("gcp: cannot {about}: {words}{way}"))
}

fn way_out(words: &str) -> &'static str {
    if words.contains("has not been used in project") || words.contains("SERVICE_DISABLED") {
        match words.contains("TPU") {
            true => "switch it on: `gcloud services enable tpu.googleapis.com`",
            false => "switch it on: `gcloud services enable compute.googleapis.com`",
        }
    } else if words.contains("ermission") {
        "`sky guide gcp` lists the permissions that sky needs"
    } else {
        "sign in with `gcloud auth application-default login`, or name the file of a service account by \
         GOOGLE_APPLICATION_CREDENTIALS"
    }
}

/// How Google says that it has no more of something: of instances, and of TPUs, which may also be
/// taken back while they come up.
const STOCKOUTS: [&str; 5] = [
    "ZONE_RESOURCE_POOL_EXHAUSTED",
    "does not have enough resources",
    "no more capacity",
    "nsufficient reserved capacity",
    "while in state PREEMPTED",
];

/// What a status means, with all that was said.
fn of_status(status: u16, error_words: &str) -> ErrorKind {
    let has_words = |words: &str| error_words.contains(words);
    match status {
        _ if STOCKOUTS.iter().any(|words| has_words(words)) => ErrorKind::Stockout,
        // Of calls, not of machines.
        403 | 429
            if has_words("ateLimitExceeded")
                || has_words("Rate Limit Exceeded")
                || has_words("per minute") =>
        {
            ErrorKind::Throttled
        }
        403 | 429
            if has_words("uotaExceeded")
                || has_words("QUOTA_EXCEEDED")
                || has_words("Quota '")
                || has_words("Quota limit '") =>
        {
            ErrorKind::Quota
        }
        401 | 403 => ErrorKind::Denied,
        429 => ErrorKind::Throttled,
        404 => ErrorKind::NotFound,
        // Another call is at work on it.
        400 | 409 | 412
            if has_words("is not ready")
                || has_words("already being used by")
                || has_words("fingerprint")
                || has_words("while in state") =>
        {
            ErrorKind::Throttled
        }
        408 | 500..=599 => ErrorKind::Unreachable,
        _ => ErrorKind::Other,
    }
}

/// What the code of a failed operation means.
fn of_code(code: &str, message: &str) -> ErrorKind {
    match code {
        "ZONE_RESOURCE_POOL_EXHAUSTED"
        | "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
        | "RESOURCE_POOL_EXHAUSTED"
        | "STOCKOUT" => ErrorKind::Stockout,
        "QUOTA_EXCEEDED" => ErrorKind::Quota,
        "RATE_LIMIT_EXCEEDED" | "RESOURCE_IN_USE" | "RESOURCE_NOT_READY" | "CONDITION_NOT_MET" => {
            ErrorKind::Throttled
        }
        "PERMISSIONS_ERROR" | "FORBIDDEN" => ErrorKind::Denied,
        "RESOURCE_NOT_FOUND" => ErrorKind::NotFound,
        "INTERNAL_ERROR" | "TIMEOUT" => ErrorKind::Unreachable,
        _ if code.starts_with("RESOURCE_IN_USE") || code.starts_with("resourceInUse") => {
            ErrorKind::Throttled
        }
        _ if message.contains("does not have enough resources") => ErrorKind::Stockout,
        _ => ErrorKind::Other,
    }
}

/// One line of bounded length.
fn short(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(400)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for (code, kind) in [
            ("ZONE_RESOURCE_POOL_EXHAUSTED", ErrorKind::Stockout),
            (
                "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
                ErrorKind::Stockout,
            ),
            ("QUOTA_EXCEEDED", ErrorKind::Quota),
            ("PERMISSIONS_ERROR", ErrorKind::Denied),
            ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", ErrorKind::Throttled),
            ("INTERNAL_ERROR", ErrorKind::Unreachable),
            ("INVALID_FIELD", ErrorKind::Other),
        ] {
            assert_eq!(of_code(code, ""), kind, "{code}");
        }
    }

    #[test]
    fn limits_of_calls_are_no_limits_of_machines() {
        assert_eq!(
            of_status(403, "\"reason\": \"rateLimitExceeded\""),
            ErrorKind::Throttled
        );
        assert_eq!(
            of_status(
                403,
                "Quota exceeded for quota metric 'Queries', 'Queries per minute'"
            ),
            ErrorKind::Throttled
        );
        assert_eq!(
            of_status(
                403,
                "Quota 'CPUS' exceeded. Limit: 8.0 in region us-central1."
            ),
            ErrorKind::Quota
        );
        assert_eq!(
            of_status(403, "Required 'compute.instances.create' permission"),
            ErrorKind::Denied
        );
        assert_eq!(of_status(503, "backend"), ErrorKind::Unreachable);
    }

    #[test]
    fn operations_of_tpus_are_told_apart() {
        let full =
            "There is no more capacity in the zone \"us-central1-b\"; you can try in another zone";
        let quota = "Quota limit 'TPUV3sPreemptiblePerProjectPerZoneForTPUAPI' has been exceeded. Limit: 0 in zone x.";
        for (code, message, kind) in [
            (8, full, ErrorKind::Stockout),
            (8, quota, ErrorKind::Quota),
            (8, "Resources are exhausted", ErrorKind::Stockout),
            (
                9,
                "Insufficient reserved capacity. Contact customer support",
                ErrorKind::Stockout,
            ),
            (
                3,
                "update is not supported while in state PREEMPTED",
                ErrorKind::Stockout,
            ),
            (
                3,
                "update is not supported while in state CREATING",
                ErrorKind::Throttled,
            ),
            (3, "invalid runtime version", ErrorKind::Other),
            (7, "Permission 'tpu.nodes.create' denied", ErrorKind::Denied),
            (13, "internal", ErrorKind::Unreachable),
        ] {
            assert_eq!(
                of_operation(code, message, "x").kind,
                kind,
                "{code} {message}"
            );
        }
        let error = answer(
            429,
            &format!(
                "{{\"error\": {{\"code\": 429, \"message\": \"{}\"}}}}",
                "Quota limit 'A'"
            ),
            "x",
        );
        assert!(
            error.kind == ErrorKind::Quota && error.message.contains("cannot x: Quota limit 'A'"),
            "{error}"
        );
        assert!(answer(502, "<html>", "x").message.contains("502: <html>"));
    }

    #[test]
    fn who_is_denied_learns_the_way_out() {
        assert!(
            way_out("Required 'compute.instances.create' permission").contains("`sky guide gcp`")
        );
        assert!(
            way_out("Compute Engine API has not been used in project 1")
                .contains("gcloud services enable")
        );
        assert!(way_out("Invalid Credentials").contains("gcloud auth"));
    }
}
