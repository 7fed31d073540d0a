//! The security groups that let us in: one for each region and state, that admits our own address
//! at the SSH port. It costs nothing, and is removed with the last machine of the state there.
//!
//! ```text
//! STATE/aws/groups/REGION NAME     a group to remove when no machine uses it any more
//! ```

use super::super::cloud::remembered_names::{RememberedNames, name_of_state};
use super::super::cloud::{Instance, instance_tags, own_addresses};
use super::super::{ErrorKind, Owner, ProviderError};
use super::errors::{classify, code};
use super::instances::{describe, filter};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup, Tag, TagSpecification,
    UserIdGroupPair,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

const SSH: i32 = 22;
/// How long a machine that ends may hold on to its group.
const ENDING: Duration = Duration::from_secs(180);

/// The groups of a state.
pub(super) struct SecurityGroups {
    /// Groups that are to be removed one day, each by its region and its name.
    noted: RememberedNames,
    /// The ids of the groups that let us in, by region and name.
    open: Mutex<HashMap<(String, String), String>>,
    here: OnceCell<Vec<String>>,
    /// Held while one is made.
    making: tokio::sync::Mutex<()>,
}

impl SecurityGroups {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self {
            noted: RememberedNames::at(folder),
            open: Mutex::default(),
            here: OnceCell::new(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// The group of an owner, which lets us in; `anew`: what is known of it is wrong.
    pub(super) async fn group(
        &self,
        client: &Client,
        region: &str,
        owner: &Owner,
        anew: bool,
    ) -> Result<String, ProviderError> {
        let name = name_of_state(&owner.lineage);
        let group_key = (region.to_owned(), name.clone());
        let _alone = self.making.lock().await;
        let known_group = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&group_key)
            .cloned();
        if let Some(id) = known_group.filter(|_| !anew) {
            return Ok(id);
        }
        // First what it will be removed by.
        self.remember(region, &name)?;
        let mut found_group = named(client, region, &name).await?;
        if found_group.is_none() {
            make(client, region, &name, owner).await?;
            let begun_at = Instant::now();
            while found_group.is_none() {
                found_group = named(client, region, &name).await?;
                if found_group.is_none() && begun_at.elapsed() > Duration::from_secs(30) {
                    let message = format!(
                        "aws {region}: the security group {name} was made and is in no list yet"
                    );
                    return Err(ProviderError::new(ErrorKind::Unreachable, message));
                }
                if found_group.is_none() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
        let group = found_group.unwrap_or_else(|| SecurityGroup::builder().build());
        let id = self.let_in(client, region, &group).await?;
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group_key, id.clone());
        Ok(id)
    }

    /// Lets the machines of a group talk to one another.
    pub(super) async fn join(
        &self,
        client: &Client,
        region: &str,
        id: &str,
    ) -> Result<(), ProviderError> {
        let join_call = client
            .authorize_security_group_ingress()
            .group_id(id)
            .ip_permissions(from_within(id));
        match join_call.send().await {
            Err(error) if code(&error) != "InvalidPermission.Duplicate" => Err(classify(
                &error,
                region,
                &format!("open the security group {id} to its own machines"),
            )),
            _ => Ok(()),
        }
    }

    /// Opens the groups of an instance to us that are ours to open.
    pub(super) async fn admit(
        &self,
        client: &Client,
        region: &str,
        instance: &Instance,
    ) -> Result<(), ProviderError> {
        let group_key = instance
            .tags
            .get(instance_tags::LINEAGE)
            .map(|lineage| (region.to_owned(), name_of_state(lineage)));
        let known_of = |key| {
            self.open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(key)
        };
        if group_key.as_ref().is_some_and(known_of) {
            return Ok(());
        }
        let _alone = self.making.lock().await;
        let instance_answer = client
            .describe_instances()
            .instance_ids(&instance.id)
            .send()
            .await;
        let instance_answer = instance_answer
            .map_err(|error| classify(&error, region, &format!("look at {}", instance.id)))?;
        let instances = instance_answer
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances());
        let groups = instances.flat_map(|instance| instance.security_groups());
        let ids: Vec<String> = groups
            .filter_map(|group| group.group_id().map(str::to_owned))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let groups_call = client.describe_security_groups().set_group_ids(Some(ids));
        let groups_answer = groups_call
            .filters(filter("tag-key", &[instance_tags::LINEAGE]))
            .send()
            .await;
        let groups_answer =
            groups_answer.map_err(|error| classify(&error, region, "look up security groups"))?;
        for group in groups_answer.security_groups() {
            let id = self.let_in(client, region, group).await?;
            if let Some(name) = group.group_name() {
                let group_key = (region.to_owned(), name.to_owned());
                self.open
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(group_key, id);
            }
        }
        Ok(())
    }

    /// Makes a group's rules what they have to be; its id.
    async fn let_in(
        &self,
        client: &Client,
        region: &str,
        group: &SecurityGroup,
    ) -> Result<String, ProviderError> {
        let Some(id) = group.group_id().map(str::to_owned) else {
            let message = format!("aws {region}: a security group has no id");
            return Err(ProviderError::new(ErrorKind::Other, message));
        };
        let own_addresses = self.here.get_or_try_init(own_addresses::addresses).await?;
        let (missing, strange) = compare(&id, group.ip_permissions(), own_addresses);
        for range in missing {
            let open_call = client
                .authorize_security_group_ingress()
                .group_id(&id)
                .ip_permissions(permission(range));
            match open_call.send().await {
                Err(error) if code(&error) != "InvalidPermission.Duplicate" => {
                    return Err(classify(
                        &error,
                        region,
                        &format!("open the security group {id}"),
                    ));
                }
                _ => {}
            }
        }
        if !strange.is_empty() {
            let close_call = client
                .revoke_security_group_ingress()
                .group_id(&id)
                .set_ip_permissions(Some(strange));
            match close_call.send().await {
                Err(error) if code(&error) != "InvalidPermission.NotFound" => {
                    return Err(classify(
                        &error,
                        region,
                        &format!("close the security group {id}"),
                    ));
                }
                _ => {}
            }
        }
        Ok(id)
    }

    /// Notes a group that is to be removed one day.
    pub(super) fn remember(&self, region: &str, name: &str) -> Result<(), ProviderError> {
        self.noted.remember(&format!("{region} {name}"))
    }

    /// Region and name of what was noted.
    pub(super) fn remembered(&self) -> Result<Vec<(String, String)>, ProviderError> {
        let split = |text: &String| {
            text.split_once(' ')
                .map(|(region, name)| (region.to_owned(), name.to_owned()))
        };
        Ok(self.noted.all()?.iter().filter_map(split).collect())
    }

    /// Removes a group unless a machine uses it. Those that are ending hold on to it for a while.
    pub(super) async fn remove(
        &self,
        client: &Client,
        region: &str,
        name: &str,
    ) -> Result<(), ProviderError> {
        let _alone = self.making.lock().await;
        let begun_at = Instant::now();
        while let Some(id) = named(client, region, name)
            .await?
            .and_then(|group| group.group_id().map(str::to_owned))
        {
            let states = filter(
                "instance-state-name",
                &["pending", "running", "stopping", "stopped"],
            );
            let users = describe(
                client,
                region,
                vec![filter("instance.group-id", &[&id]), states],
            )
            .await?;
            if !users.is_empty() {
                return Ok(());
            }
            match client.delete_security_group().group_id(&id).send().await {
                Ok(_) => break,
                Err(error)
                    if matches!(code(&error), "DependencyViolation" | "InvalidGroup.InUse") =>
                {
                    // It costs nothing, and whoever deletes next tries again.
                    if begun_at.elapsed() > ENDING {
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
                Err(error) if code(&error) == "InvalidGroup.NotFound" => break,
                Err(error) => {
                    return Err(classify(
                        &error,
                        region,
                        &format!("remove the security group {name}"),
                    ));
                }
            }
        }
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(region.to_owned(), name.to_owned()));
        self.noted.forget(&format!("{region} {name}"))
    }
}

async fn named(
    client: &Client,
    region: &str,
    name: &str,
) -> Result<Option<SecurityGroup>, ProviderError> {
    let groups_call = client.describe_security_groups();
    // Whoever takes the name for a group of their own does not get it tagged like this.
    let groups_answer = groups_call
        .filters(filter("group-name", &[name]))
        .filters(filter("tag-key", &[instance_tags::LINEAGE]))
        .send()
        .await;
    let groups_answer =
        groups_answer.map_err(|error| classify(&error, region, "look up security groups"))?;
    Ok(groups_answer.security_groups().first().cloned())
}

async fn make(
    client: &Client,
    region: &str,
    name: &str,
    owner: &Owner,
) -> Result<(), ProviderError> {
    let tags = [
        (instance_tags::LINEAGE, &owner.lineage),
        (instance_tags::JOB, &owner.job),
    ];
    let tags = tags.map(|(name, value)| Tag::builder().key(name).value(value).build());
    let tagged_group = TagSpecification::builder()
        .resource_type(ResourceType::SecurityGroup)
        .set_tags(Some(tags.into()));
    let create_call = client
        .create_security_group()
        .group_name(name)
        .tag_specifications(tagged_group.build());
    match create_call
        .description("Lets sky reach its machines over SSH")
        .send()
        .await
    {
        Err(error) if code(&error) != "InvalidGroup.Duplicate" => Err(classify(
            &error,
            region,
            &format!("make the security group {name}"),
        )),
        _ => Ok(()),
    }
}

fn permission(range: &str) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(SSH)
        .to_port(SSH);
    match range.contains(':') {
        true => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range).build())
            .build(),
        false => permission
            .ip_ranges(IpRange::builder().cidr_ip(range).build())
            .build(),
    }
}

/// Everything from the machines of a group: those of a gang talk to one another.
fn from_within(id: &str) -> IpPermission {
    let pair = UserIdGroupPair::builder().group_id(id).build();
    IpPermission::builder()
        .ip_protocol("-1")
        .user_id_group_pairs(pair)
        .build()
}

/// The ranges that the rules of a group lack, and the rules that they have too many.
fn compare<'a>(
    id: &str,
    rules: &[IpPermission],
    wanted_ranges: &'a [String],
) -> (Vec<&'a str>, Vec<IpPermission>) {
    let mut missing_ranges: Vec<&str> = wanted_ranges.iter().map(String::as_str).collect();
    let mut strange = Vec::new();
    for rule in rules {
        let is_ours = rule.ip_protocol() == Some("tcp")
            && rule.from_port() == Some(SSH)
            && rule.to_port() == Some(SSH);
        let is_known = |range: &str| is_ours && wanted_ranges.iter().any(|wanted| wanted == range);
        let mut other_rule = IpPermission::builder()
            .set_ip_protocol(rule.ip_protocol().map(str::to_owned))
            .set_from_port(rule.from_port())
            .set_to_port(rule.to_port());
        let mut some = false;
        for range in rule.ip_ranges() {
            let Some(text) = range.cidr_ip() else {
                continue;
            };
            if is_known(text) {
                missing_ranges.retain(|missing| *missing != text);
            } else {
                (other_rule, some) = (
                    other_rule.ip_ranges(IpRange::builder().cidr_ip(text).build()),
                    true,
                );
            }
        }
        for range in rule.ipv6_ranges() {
            let Some(text) = range.cidr_ipv6() else {
                continue;
            };
            if is_known(text) {
                missing_ranges.retain(|missing| *missing != text);
            } else {
                (other_rule, some) = (
                    other_rule.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(text).build()),
                    true,
                );
            }
        }
        let other_pairs: Vec<UserIdGroupPair> = rule
            .user_id_group_pairs()
            .iter()
            .filter(|pair| pair.group_id() != Some(id))
            .cloned()
            .collect();
        if !other_pairs.is_empty() || !rule.prefix_list_ids().is_empty() {
            let lists = rule.prefix_list_ids();
            other_rule = other_rule.set_user_id_group_pairs(Some(other_pairs));
            other_rule =
                other_rule.set_prefix_list_ids((!lists.is_empty()).then(|| lists.to_vec()));
            some = true;
        }
        if some {
            strange.push(other_rule.build());
        }
    }
    (missing_ranges, strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_let_in_is_us_alone() {
        let here = vec!["1.2.3.4/32".to_owned()];
        assert_eq!(
            compare("sg-1", &[permission("1.2.3.4/32")], &here),
            (vec![], vec![])
        );
        let (missing, strange) = compare(
            "sg-1",
            &[permission("5.6.7.8/32"), permission("::/0")],
            &here,
        );
        assert_eq!(
            (missing, strange),
            (
                vec!["1.2.3.4/32"],
                vec![permission("5.6.7.8/32"), permission("::/0")]
            )
        );
        let other = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(80)
            .to_port(80);
        let other = other
            .ip_ranges(IpRange::builder().cidr_ip("1.2.3.4/32").build())
            .build();
        let (missing, strange) = compare("sg-1", std::slice::from_ref(&other), &here);
        assert_eq!((missing, strange), (vec!["1.2.3.4/32"], vec![other]));
        // A gang is among itself, and nobody else's group is.
        let (_, strange) = compare("sg-1", &[from_within("sg-1"), from_within("sg-2")], &here);
        assert_eq!(strange, vec![from_within("sg-2")]);
    }
}
