//! What Azure's errors mean: those that answer a call, and those of operations, which end in
//! failure although the call that began them was answered well.

use super::super::{ErrorKind, ProviderError};
use azure_core::error::ErrorKind as Kind;
use serde_json::Value;

/// What helps whoever is not signed in.
pub(super) const SIGN_IN: &str =
    "sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";

/// The error of a call; `about` says what it was to do.
pub(super) fn classify(error: &azure_core::Error, about: &str) -> ProviderError {
    if matches!(error.kind(), Kind::Credential) {
        return told(ErrorKind::Denied, about, &short(&chain(error)));
    }
    match error.as_http_error() {
        Some(answer) => {
            let code = answer.error_code().unwrap_or_default();
            let message = answer.error_message().unwrap_or_default();
            let status = u16::from(answer.status());
            let kind = of_code(code, message).unwrap_or_else(|| of_status(status));
            let error_words = if code.is_empty() {
                format!("status {status}")
            } else {
                code.to_owned()
            };
            told(kind, about, &words(&error_words, message))
        }
        None => {
            let kind = if matches!(error.kind(), Kind::Io) {
                ErrorKind::Unreachable
            } else {
                ErrorKind::Other
            };
            told(kind, about, &short(&chain(error)))
        }
    }
}

/// Why something that was begun has failed.
pub(super) fn failure(error: &Value, about: &str) -> ProviderError {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    // What says more is inside.
    let inner_error = error["details"]
        .as_array()
        .and_then(|details| details.first());
    let told_by = |value: &Value| {
        let (code, message) = (text(value, "code"), text(value, "message"));
        of_code(&code, &message).map(|kind| told(kind, about, &words(&code, &message)))
    };
    told_by(error)
        .or_else(|| inner_error.and_then(told_by))
        .unwrap_or_else(|| {
            let (code, message) = (text(error, "code"), text(error, "message"));
            told(
                ErrorKind::Other,
                about,
                &words(if code.is_empty() { "it failed" } else { &code }, &message),
            )
        })
}

fn words(code: &str, message: &str) -> String {
    if message.is_empty() {
        code.to_owned()
    } else {
        format!("{code}: {}", short(message))
    }
}

fn told(kind: ErrorKind, about: &str, words: &str) -> ProviderError {
    let way = match kind {
        ErrorKind::Denied => format!("; {}", way_out(words)),
        ErrorKind::Quota => {
            "; ask for more under Quotas in the portal, or plan with another type or place"
                .to_owned()
        }
        _ => String::new(),
    };
    ProviderError::new(kind, format!("azure: cannot {about}: {words}{way}"))
}

fn way_out(words: &str) -> &'static str {
    let has_words = |part: &str| words.contains(part);
    if has_words("SubscriptionRegist") || has_words("SubscriptionNotRegistered") {
        "switch it on: `az provider register --namespace Microsoft.Compute`, and the same for Microsoft.Network"
    } else if has_words("SubscriptionNotFound") {
        "is AZURE_SUBSCRIPTION_ID right?"
    } else if has_words("AuthorizationFailed")
        || has_words("Policy")
        || has_words("ReadOnly")
        || has_words("ScopeLocked")
    {
        "`sky guide azure` lists the permissions that sky needs"
    } else {
        SIGN_IN
    }
}

/// What a code means, with what is said to it; none: the status says more.
fn of_code(code: &str, message: &str) -> Option<ErrorKind> {
    let says_words = |words: &str| message.to_ascii_lowercase().contains(words);
    Some(match code {
        "SkuNotAvailable"
        | "LocationNotAvailableForResourceType"
        | "NotAvailableForSubscription" => ErrorKind::Stockout,
        // AllocationFailed and ZonalAllocationFailed; OverconstrainedAllocationRequest and its kin.
        _ if code.ends_with("AllocationFailed") || code.starts_with("Overconstrained") => {
            ErrorKind::Stockout
        }
        // AzureSpotIsNotSupportedForThisOffer and the like; a price of the plan that is too low by
        // now.
        _ if code.contains("Spot") || says_words("max price") => ErrorKind::Stockout,
        _ if code.contains("Throttled") || code == "TooManyRequests" => ErrorKind::Throttled,
        "OperationNotAllowed" if says_words("quota") || says_words("limit") => ErrorKind::Quota,
        _ if code.contains("Quota") || code.ends_with("LimitReached") => ErrorKind::Quota,
        "AuthorizationFailed"
        | "LinkedAuthorizationFailed"
        | "RequestDisallowedByPolicy"
        | "ScopeLocked"
        | "ReadOnlyDisabledSubscription"
        | "SubscriptionNotFound"
        | "SubscriptionNotRegistered"
        | "MissingSubscriptionRegistration" => ErrorKind::Denied,
        _ if code.contains("AuthenticationToken") || code.starts_with("AuthenticationFailed") => {
            ErrorKind::Denied
        }
        // Another call is at work on it.
        "AnotherOperationInProgress"
        | "CanceledAndSupersededDueToAnotherOperation"
        | "OperationPreempted"
        | "ReferencedResourceNotProvisioned"
        | "ResourceGroupBeingDeleted"
        | "RetryableError" => ErrorKind::Throttled,
        "InternalServerError"
        | "InternalExecutionError"
        | "InternalOperationError"
        | "ServerTimeout"
        | "NetworkingInternalOperationError"
        | "GatewayTimeout"
        | "ServiceUnavailable" => ErrorKind::Unreachable,
        "NotFound" | "ResourceNotFound" | "ResourceGroupNotFound" => ErrorKind::NotFound,
        _ => return None,
    })
}

fn of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::Throttled,
        408 | 500..=599 => ErrorKind::Unreachable,
        _ => ErrorKind::Other,
    }
}

/// An error with what lies beneath it.
fn chain(error: &azure_core::Error) -> String {
    let mut text = error.to_string();
    let mut error_below = std::error::Error::source(error);
    while let Some(error) = error_below {
        text = format!("{text}: {error}");
        error_below = error.source();
    }
    text
}

/// One line of bounded length.
fn short(text: &str) -> String {
    let one_line: Vec<&str> = text.split_whitespace().collect();
    one_line.join(" ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codes_are_told_apart() {
        for (code, message, kind) in [
            ("SkuNotAvailable", "", Some(ErrorKind::Stockout)),
            ("AllocationFailed", "", Some(ErrorKind::Stockout)),
            ("ZonalAllocationFailed", "", Some(ErrorKind::Stockout)),
            (
                "OverconstrainedAllocationRequest",
                "",
                Some(ErrorKind::Stockout),
            ),
            (
                "OperationNotAllowed",
                "exceeding approved LowPriorityCores quota",
                Some(ErrorKind::Quota),
            ),
            (
                "OperationNotAllowed",
                "the provided max price is lower than the current spot price",
                Some(ErrorKind::Stockout),
            ),
            ("OperationNotAllowed", "the VM is marked for deletion", None),
            ("QuotaExceeded", "", Some(ErrorKind::Quota)),
            ("PublicIPCountLimitReached", "", Some(ErrorKind::Quota)),
            (
                "SubscriptionRequestsThrottled",
                "",
                Some(ErrorKind::Throttled),
            ),
            ("AuthorizationFailed", "", Some(ErrorKind::Denied)),
            ("ExpiredAuthenticationToken", "", Some(ErrorKind::Denied)),
            ("ResourceGroupBeingDeleted", "", Some(ErrorKind::Throttled)),
            ("InvalidParameter", "", None),
        ] {
            assert_eq!(of_code(code, message), kind, "{code} {message}");
        }
    }

    #[test]
    fn what_failed_says_why() {
        let error = json!({ "code": "DeploymentFailed", "details": [{ "code": "QuotaExceeded", "message": "a\n b" }] });
        let told = failure(&error, "create x");
        assert!(
            told.kind == ErrorKind::Quota
                && told.message.contains("create x: QuotaExceeded: a b; ask"),
            "{told}"
        );
        assert_eq!(
            failure(&json!({ "code": "AllocationFailed" }), "x").kind,
            ErrorKind::Stockout
        );
        assert_eq!(failure(&Value::Null, "x").kind, ErrorKind::Other);
    }

    #[test]
    fn who_is_denied_learns_the_way_out() {
        assert!(way_out("MissingSubscriptionRegistration: x").contains("az provider register"));
        assert!(way_out("AuthorizationFailed: x").contains("`sky guide azure`"));
        assert!(way_out("InvalidAuthenticationToken: x").contains("az login"));
    }
}
