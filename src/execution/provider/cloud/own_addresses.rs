//! Under which addresses clouds see this machine, so that nobody else is let in.

use super::super::{ErrorKind, ProviderError};
use crate::util::{environment, variables};
use std::net::IpAddr;
use std::time::Duration;

/// Says which address it is asked from; Amazon's.
const ECHO: &str = "https://checkip.amazonaws.com/";

/// Networks in the notation of CIDR: those of `$SKY_SSH_FROM`, with commas, or the one address that
/// the world sees this machine under.
pub fn given(text: &str) -> Result<Vec<String>, ProviderError> {
    text.split(',').map(|text| range(text.trim())).collect()
}

/// The addresses of this machine.
pub async fn addresses() -> Result<Vec<String>, ProviderError> {
    if let Some(text) =
        environment::text(variables::SKY_SSH_FROM).filter(|text| !text.trim().is_empty())
    {
        return given(&text);
    }
    let unknown_address = |why: &str| {
        let message = format!(
            "{ECHO} does not say which address this machine is seen under ({why}): set SKY_SSH_FROM to it"
        );
        ProviderError::new(ErrorKind::Unreachable, message)
    };
    let ask = async {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()?;
        client
            .get(ECHO)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await
    };
    let echo_answer = ask
        .await
        .map_err(|error: reqwest::Error| unknown_address(&error.to_string()))?;
    echo_answer
        .trim()
        .parse::<IpAddr>()
        .map_err(|_| unknown_address("its answer is not an address"))?;
    given(echo_answer.trim())
}

/// The addresses of this machine that are IPv4, for the firewalls of a cloud that lets machines in
/// by these alone.
#[cfg(any(feature = "azure", feature = "gcp"))]
pub async fn ipv4_addresses(cloud: &str) -> Result<Vec<String>, ProviderError> {
    let mut own_addresses = addresses().await?;
    own_addresses.retain(|address| !address.contains(':'));
    if own_addresses.is_empty() {
        let message = format!(
            "{cloud}: machines there have IPv4 addresses: set SKY_SSH_FROM to the IPv4 address of this machine"
        );
        return Err(ProviderError::new(ErrorKind::Other, message));
    }
    Ok(own_addresses)
}

/// An address or a network.
fn range(text: &str) -> Result<String, ProviderError> {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let read_range = || {
        let address: IpAddr = address.parse().ok()?;
        let most_bits = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most_bits), |bits| bits.parse::<u8>().ok())?;
        (bits <= most_bits).then(|| format!("{address}/{bits}"))
    };
    read_range().ok_or_else(|| {
        let message = format!(
            "SKY_SSH_FROM: `{}` is not an address and no network: write 203.0.113.7 or 203.0.113.0/24",
            text.escape_debug()
        );
        ProviderError::new(ErrorKind::Other, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read() {
        assert_eq!(
            given("203.0.113.7, 198.51.100.0/24,2001:db8::1").unwrap(),
            ["203.0.113.7/32", "198.51.100.0/24", "2001:db8::1/128"]
        );
        for wrong in ["here", "1.2.3.4/33", "1.2.3.4/", ""] {
            let message = given(wrong).unwrap_err().message;
            assert!(message.contains("SKY_SSH_FROM"), "{message}");
        }
    }
}
