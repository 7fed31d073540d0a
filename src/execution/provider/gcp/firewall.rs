//! The firewall rules that let us in: one for each state, by a tag that its instances carry and
//! that is called as the rule is ([`name_of_state`]). It admits our own address at the SSH port,
//! costs nothing, and is removed with the last machine of the state.
//!
//! ```text
//! STATE/gcp/rules/NAME     a rule to remove when no machine uses it any more
//! ```

use super::super::cloud::own_addresses;
use super::super::cloud::remembered_names::{RememberedNames, name_of_state};
use super::super::{ErrorKind, GCP, ProviderError, ended_or_gone};
use super::api_client::{Api, answered};
use crate::util::{environment, variables};
use google_cloud_compute_v1::model::Firewall;
use google_cloud_compute_v1::model::firewall::{Allowed, Direction};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::{Mutex, OnceCell};

const SSH: &str = "22";

/// The rules of a state folder.
pub(super) struct FirewallRules {
    /// Rules that are to be removed one day.
    noted: RememberedNames,
    here: OnceCell<Vec<String>>,
    /// The rules that let us in; the lock is held while one is made.
    open: Mutex<BTreeSet<String>>,
}

/// The network of instances and rules.
pub(super) fn network() -> String {
    format!("global/networks/{}", network_name())
}

/// The name of the network of instances and rules.
pub(super) fn network_name() -> String {
    let given_network = environment::text(variables::SKY_GCP_NETWORK);
    given_network.unwrap_or_else(|| "default".to_owned())
}

impl FirewallRules {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self {
            noted: RememberedNames::at(folder),
            here: OnceCell::new(),
            open: Mutex::default(),
        }
    }

    /// Notes a rule that is to be removed one day, before it is made.
    pub(super) fn remember(&self, name: &str) -> Result<(), ProviderError> {
        self.noted.remember(name)
    }

    /// The rules that were noted.
    pub(super) fn remembered(&self) -> Result<Vec<String>, ProviderError> {
        let mut names = self.noted.all()?;
        names.retain(|name| name.starts_with("sky-"));
        Ok(names)
    }

    /// Opens the rule of a state to us, and to nobody else.
    pub(super) async fn admit(&self, api: &Api, lineage: &str) -> Result<(), ProviderError> {
        let name = name_of_state(lineage);
        let mut open_rules = self.open.lock().await;
        if open_rules.contains(&name) {
            return Ok(());
        }
        self.remember(&name)?;
        let own_address = self
            .here
            .get_or_try_init(|| own_addresses::ipv4_addresses(GCP))
            .await?;
        let about_rule = format!("open the firewall by the rule {name}");
        let get_call = api
            .firewalls
            .get()
            .set_project(&api.project)
            .set_firewall(&name);
        let known_rule = match answered(get_call.send(), &about_rule).await {
            Ok(known) => Some(known),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let wanted_rule = rule(&name, own_address);
        let rule_answer = match known_rule {
            None => {
                answered(
                    api.firewalls
                        .insert()
                        .set_project(&api.project)
                        .set_body(wanted_rule)
                        .send(),
                    &about_rule,
                )
                .await
            }
            Some(known) if fits(&known, &wanted_rule) => {
                open_rules.insert(name);
                return Ok(());
            }
            Some(_) => {
                let patch_call = api
                    .firewalls
                    .patch()
                    .set_project(&api.project)
                    .set_firewall(&name);
                answered(patch_call.set_body(wanted_rule).send(), &about_rule).await
            }
        };
        let rule_result = match rule_answer {
            Ok(operation) => api.done(operation, None, &about_rule).await,
            Err(error) => Err(error),
        };
        match rule_result {
            // Somebody else was faster, with another address perhaps: to be looked at again.
            Err(error) if error.message.contains("already exists") => {
                return Err(ProviderError {
                    kind: ErrorKind::Throttled,
                    ..error
                });
            }
            done => done?,
        }
        open_rules.insert(name);
        Ok(())
    }

    /// Removes a rule, and what is known of it. Fine if it is gone.
    pub(super) async fn remove(&self, api: &Api, name: &str) -> Result<(), ProviderError> {
        let mut open_rules = self.open.lock().await;
        open_rules.remove(name);
        let about_removal = format!("remove the firewall rule {name}");
        let delete_call = api
            .firewalls
            .delete()
            .set_project(&api.project)
            .set_firewall(name);
        let removed = match answered(delete_call.send(), &about_removal).await {
            Ok(operation) => api.done(operation, None, &about_removal).await,
            Err(error) => Err(error),
        };
        ended_or_gone(removed)?;
        self.noted.forget(name)
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
fn fits(known_rule: &Firewall, wanted_rule: &Firewall) -> bool {
    let text_set = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    text_set(&known_rule.source_ranges) == text_set(&wanted_rule.source_ranges)
        && known_rule.target_tags == wanted_rule.target_tags
        && known_rule.allowed.len() == 1
        && known_rule.allowed[0].ip_protocol == wanted_rule.allowed[0].ip_protocol
        && known_rule.allowed[0].ports == wanted_rule.allowed[0].ports
        && known_rule.disabled != Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_let_in_others_do_not_fit() {
        let wanted = rule("sky-1", &["1.2.3.4/32".to_owned()]);
        assert!(fits(&wanted, &wanted));
        assert!(!fits(&rule("sky-1", &["0.0.0.0/0".to_owned()]), &wanted));
        assert!(!fits(
            &rule("sky-1", &["1.2.3.4/32".to_owned(), "5.6.7.8/32".to_owned()]),
            &wanted
        ));
        let more = Allowed::new()
            .set_ip_protocol("tcp")
            .set_ports(["22", "80"]);
        assert!(!fits(&wanted.clone().set_allowed([more]), &wanted));
        assert!(!fits(&wanted.clone().set_disabled(true), &wanted));
    }
}
