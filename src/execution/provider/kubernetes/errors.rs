//! What a cluster's answers mean.

use super::super::{ErrorKind, ProviderError};
use kube::Error;
use kube::client::UpgradeConnectionError;

/// What a failed call of the cluster of that name means.
pub(super) fn read(cluster: &str, error: &Error) -> ProviderError {
    let (kind, words) = match error {
        Error::Api(status) => by_status(status.code, &status.message),
        Error::Auth(_) | Error::InferConfig(_) | Error::InferKubeconfig(_) => (
            ErrorKind::Denied,
            format!(
                "there are no credentials that can be used: {}",
                chain(error)
            ),
        ),
        // The way there is made of layers, and what gives credentials is one of them.
        Error::Service(inside) if inside.downcast_ref::<kube::client::AuthError>().is_some() => (
            ErrorKind::Denied,
            format!(
                "there are no credentials that can be used: {}",
                chain(error)
            ),
        ),
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => match chain(error) {
            words if words.contains("certificate") => (
                ErrorKind::Denied,
                format!("it does not prove to be the cluster of the kubeconfig: {words}"),
            ),
            words => (
                ErrorKind::Unreachable,
                format!("it does not answer: {words}"),
            ),
        },
        Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => {
            by_status(code.as_u16(), "exec")
        }
        Error::UpgradeConnection(_) => (
            ErrorKind::Other,
            format!("it or a proxy before it does not speak WebSocket, which exec needs: {error}"),
        ),
        error => (ErrorKind::Other, chain(error)),
    };
    ProviderError::new(kind, format!("cluster {cluster}: {words}"))
}

/// What an HTTP answer with that code means; `message` is the API server's.
fn by_status(code: u16, message: &str) -> (ErrorKind, String) {
    let message = words(message);
    match code {
        401 => (
            ErrorKind::Denied,
            format!("it does not take our credentials: {message}"),
        ),
        403 => (refusal(&message), message),
        404 => (ErrorKind::NotFound, message),
        // Somebody has changed the same at the same time.
        409 | 429 => (ErrorKind::Throttled, message),
        500 if message.contains("timed out") || message.contains("leader changed") => {
            (ErrorKind::Unreachable, message)
        }
        502..=504 => (ErrorKind::Unreachable, message),
        _ => (ErrorKind::Other, message),
    }
}

/// Why something is forbidden: rights or policies, or because there is enough of it.
pub(super) fn refusal(message: &str) -> ErrorKind {
    if message.contains("exceeded quota") || message.contains("maximum ") {
        ErrorKind::Quota
    } else {
        ErrorKind::Denied
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next_error = error.source();
    while let Some(cause) = next_error {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next_error = cause.source();
    }
    words(&text)
}

/// On one line, and not for ever.
pub(super) fn words(text: &str) -> String {
    let one_line: Vec<&str> = text.split_whitespace().collect();
    one_line.join(" ").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let answers = [
            (401, "Unauthorized", ErrorKind::Denied),
            (
                403,
                "jobs.batch is forbidden: User \"me\" cannot patch resource \"jobs\"",
                ErrorKind::Denied,
            ),
            (
                403,
                "jobs.batch \"x\" is forbidden: exceeded quota: few, requested: count/jobs.batch=1",
                ErrorKind::Quota,
            ),
            (
                403,
                "pods \"x\" is forbidden: maximum cpu usage per Pod is 2, but limit is 4",
                ErrorKind::Quota,
            ),
            (404, "jobs.batch \"x\" not found", ErrorKind::NotFound),
            (409, "the object has been modified", ErrorKind::Throttled),
            (422, "Job.batch \"x\" is invalid", ErrorKind::Other),
            (429, "too many requests", ErrorKind::Throttled),
            (500, "etcdserver: request timed out", ErrorKind::Unreachable),
            (500, "panic", ErrorKind::Other),
            (
                503,
                "the server is currently unable to handle the request",
                ErrorKind::Unreachable,
            ),
        ];
        for (code, message, kind) in answers {
            let status = kube::core::Status::failure(message, "")
                .with_code(code)
                .boxed();
            let error = read("lab", &Error::Api(status));
            assert_eq!(error.kind, kind, "{code} {message}");
            assert!(
                error.message.starts_with("cluster lab: ") && error.message.contains(message),
                "{error}"
            );
        }
    }
}
