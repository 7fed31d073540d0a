//! The firewall rules that let us in: one for each state, by a tag that its instances carry. It admits
//! our own address at the SSH port, costs nothing, and is removed with the last machine of the state.
//!
//! ```text
//! STATE/gcp/rules/NAME     a rule to remove when no machine uses it any more
//! ```

use super::super::cloud::caller;
use super::super::{ErrorKind, ProviderError};
use super::access::{Api, answered};
use crate::util::{file, hash};
use google_cloud_compute_v1::model::Firewall;
use google_cloud_compute_v1::model::firewall::{Allowed, Direction};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::{Mutex, OnceCell};

const SSH: &str = "22";

/// The rules of a state folder.
pub(super) struct Rules {
    folder: PathBuf,
    here: OnceCell<Vec<String>>,
    /// Those that let us in; held while one is made.
    open: Mutex<BTreeSet<String>>,
}

/// The name of a state's rule, and of the tag that it is for.
pub(super) fn name(lineage: &str) -> String {
    let digest = hash::digest(lineage.as_bytes());
    format!("sky-{}", digest.chars().skip("sha256:".len()).take(16).collect::<String>())
}

/// The network of instances and rules.
pub(super) fn network() -> String {
    format!("global/networks/{}", network_name())
}

/// Its name.
pub(super) fn network_name() -> String {
    let given = std::env::var("SKY_GCP_NETWORK").ok().filter(|name| !name.is_empty());
    given.unwrap_or_else(|| "default".to_owned())
}

impl Rules {
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, here: OnceCell::new(), open: Mutex::default() }
    }

    /// Notes a rule that is to be removed one day, before it is made.
    pub fn remember(&self, name: &str) -> Result<(), ProviderError> {
        file::create_folders(&self.folder)?;
        Ok(file::write_atomic(&self.folder.join(name), b"")?)
    }

    pub fn remembered(&self) -> Result<Vec<String>, ProviderError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file::named(&self.folder, "read", error).into()),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("sky-")).collect();
        names.sort();
        Ok(names)
    }

    /// Opens the rule of a state to us, and to nobody else.
    pub async fn admit(&self, api: &Api, lineage: &str) -> Result<(), ProviderError> {
        let name = name(lineage);
        let mut open = self.open.lock().await;
        if open.contains(&name) {
            return Ok(());
        }
        self.remember(&name)?;
        let here = self.here.get_or_try_init(addresses).await?;
        let about = format!("open the firewall by the rule {name}");
        let call = api.firewalls.get().set_project(&api.project).set_firewall(&name);
        let known = match answered(call.send(), &about).await {
            Ok(known) => Some(known),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let wanted = rule(&name, here);
        let begun = match known {
            None => answered(api.firewalls.insert().set_project(&api.project).set_body(wanted).send(), &about).await,
            Some(known) if fits(&known, &wanted) => {
                open.insert(name);
                return Ok(());
            }
            Some(_) => {
                let call = api.firewalls.patch().set_project(&api.project).set_firewall(&name);
                answered(call.set_body(wanted).send(), &about).await
            }
        };
        let done = match begun {
            Ok(operation) => api.done(operation, None, &about).await,
            Err(error) => Err(error),
        };
        match done {
            // Somebody else was faster, with another address perhaps: to be looked at again.
            Err(error) if error.message.contains("already exists") => {
                return Err(ProviderError { kind: ErrorKind::Throttled, ..error });
            }
            done => done?,
        }
        open.insert(name);
        Ok(())
    }

    /// Removes a rule, and what is known of it. Fine if it is gone.
    pub async fn remove(&self, api: &Api, name: &str) -> Result<(), ProviderError> {
        let mut open = self.open.lock().await;
        open.remove(name);
        let about = format!("remove the firewall rule {name}");
        let call = api.firewalls.delete().set_project(&api.project).set_firewall(name);
        let removed = match answered(call.send(), &about).await {
            Ok(operation) => api.done(operation, None, &about).await,
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(file::remove(&self.folder.join(name))?)
    }
}

fn rule(name: &str, sources: &[String]) -> Firewall {
    Firewall::new()
        .set_name(name)
        .set_description("sky: lets in at the SSH port whoever applies the plan")
        .set_network(network())
        .set_direction(Direction::Ingress)
        .set_allowed([Allowed::new().set_ip_protocol("tcp").set_ports([SSH])])
        .set_source_ranges(sources)
        .set_target_tags([name])
}

/// Whether a rule lets in whom it should, and nobody else.
fn fits(known: &Firewall, wanted: &Firewall) -> bool {
    let set = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    set(&known.source_ranges) == set(&wanted.source_ranges)
        && known.target_tags == wanted.target_tags
        && known.allowed.len() == 1
        && known.allowed[0].ip_protocol == wanted.allowed[0].ip_protocol
        && known.allowed[0].ports == wanted.allowed[0].ports
        && known.disabled != Some(true)
}

/// Those of this machine that a rule takes: one cannot have both kinds of addresses.
async fn addresses() -> Result<Vec<String>, ProviderError> {
    let mut here = caller::addresses().await?;
    here.retain(|address| !address.contains(':'));
    if here.is_empty() {
        let message = "gcp: machines there have IPv4 addresses: set SKY_SSH_FROM to the IPv4 address of this machine";
        return Err(ProviderError::new(ErrorKind::Other, message));
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_let_in_others_do_not_fit() {
        let wanted = rule("sky-1", &["1.2.3.4/32".to_owned()]);
        assert!(fits(&wanted, &wanted));
        assert!(!fits(&rule("sky-1", &["0.0.0.0/0".to_owned()]), &wanted));
        assert!(!fits(&rule("sky-1", &["1.2.3.4/32".to_owned(), "5.6.7.8/32".to_owned()]), &wanted));
        let more = Allowed::new().set_ip_protocol("tcp").set_ports(["22", "80"]);
        assert!(!fits(&wanted.clone().set_allowed([more]), &wanted));
        assert!(!fits(&wanted.clone().set_disabled(true), &wanted));
    }
}
