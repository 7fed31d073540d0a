//! What AWS's errors mean. The codes are those of
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use super::super::{ErrorKind, ProviderError};
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt::Debug;

/// The error of a call at a region; `about` says what it was to do.
pub(super) fn classify<E, R>(error: &SdkError<E, R>, region: &str, about: &str) -> ProviderError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: Debug,
{
    let (kind, words) = match error.as_service_error() {
        Some(said) => {
            let code = said.code().unwrap_or_default();
            let message = said.message().unwrap_or_default();
            // What follows is a code for the account's administrators, of a thousand letters.
            let message = message
                .split_once("Encoded authorization failure")
                .map_or(message, |(message, _)| message)
                .trim();
            let kind = if code.is_empty() {
                ErrorKind::Unreachable
            } else {
                kind(code)
            };
            (kind, format!("{code}: {message}"))
        }
        None => {
            let error_chain = DisplayErrorContext(error).to_string();
            let error_words = error_chain
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(300)
                .collect::<String>();
            let kind = match error {
                SdkError::ConstructionFailure(_) => ErrorKind::Other,
                _ if error_words.contains("credential") => ErrorKind::Denied,
                _ => ErrorKind::Unreachable,
            };
            (kind, error_words)
        }
    };
    let message = format!("aws {region}: cannot {about}: {words}");
    match kind {
        ErrorKind::Denied => ProviderError::new(kind, format!("{message}; {}", way_out(&words))),
        ErrorKind::Quota => {
            let way = "ask for more under Service Quotas, or plan with another type or place";
            ProviderError::new(kind, format!("{message}; {way}"))
        }
        _ => ProviderError::new(kind, message),
    }
}

/// The code of an error that AWS gave.
pub(super) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or_default()
}

/// Credentials are missing.
pub(super) fn denied(why: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Denied, format!("aws: {why}; {}", way_out("")))
}

fn way_out(words: &str) -> &'static str {
    if words.contains("UnauthorizedOperation") || words.contains("AccessDenied") {
        "`sky guide aws` lists the permissions that sky needs"
    } else if words.contains("DefaultVpc") || words.contains("VPCIdNotSpecified") {
        "make a default VPC there: `aws ec2 create-default-vpc --region REGION`"
    } else if words.contains("Expired") || words.contains("expired") {
        "sign in again, as with `aws sso login`"
    } else {
        "sign in with `aws configure` or `aws sso login`, and name the profile by AWS_PROFILE, or set AWS_ACCESS_KEY_ID \
         and AWS_SECRET_ACCESS_KEY"
    }
}

/// What a code means.
fn kind(code: &str) -> ErrorKind {
    match code {
        "InsufficientInstanceCapacity"
        | "InsufficientCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "InsufficientAddressCapacity"
        | "InsufficientVolumeCapacity"
        | "UnfulfillableCapacity"
        | "SpotMaxPriceTooLow"
        | "Unsupported"
        | "InvalidInstanceType"
        | "IdempotentInstanceTerminated" => ErrorKind::Stockout,
        "VcpuLimitExceeded"
        | "InstanceLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "VolumeLimitExceeded"
        | "MaxIOPSLimitExceeded"
        | "NetworkInterfaceLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "ResourceLimitExceeded" => ErrorKind::Quota,
        "UnauthorizedOperation"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "Blocked"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "OptInRequired"
        | "PendingVerification"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "DefaultVpcDoesNotExist"
        | "VPCIdNotSpecified" => ErrorKind::Denied,
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "EC2ThrottledException" => ErrorKind::Throttled,
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "Unavailable"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "RequestTimeoutException" => ErrorKind::Unreachable,
        _ if code.ends_with(".NotFound") || code.ends_with(".Malformed") => ErrorKind::NotFound,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        let kinds = [
            ("InsufficientInstanceCapacity", ErrorKind::Stockout),
            ("VcpuLimitExceeded", ErrorKind::Quota),
            ("MaxSpotInstanceCountExceeded", ErrorKind::Quota),
            ("UnauthorizedOperation", ErrorKind::Denied),
            ("RequestLimitExceeded", ErrorKind::Throttled),
            ("InternalError", ErrorKind::Unreachable),
            ("InvalidInstanceID.NotFound", ErrorKind::NotFound),
            ("InvalidParameterValue", ErrorKind::Other),
            ("IdempotentParameterMismatch", ErrorKind::Other),
        ];
        for (code, wanted) in kinds {
            assert_eq!(kind(code), wanted, "{code}");
        }
    }

    #[test]
    fn who_is_denied_learns_the_way_out() {
        assert!(way_out("UnauthorizedOperation: no").contains("permissions"));
        assert!(way_out("RequestExpired: x").contains("aws sso login"));
        assert!(
            denied("there are no credentials")
                .message
                .contains("AWS_PROFILE")
        );
    }
}
