//! Machines of a cloud that needs no network.

use super::super::super::check::{Finding, Need};
use super::super::super::{Owner, Provider};
use super::*;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// What was asked for, by its node: the zone.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A cloud whose instances cannot be logged into: they have no address, and some have powered
/// themselves off.
#[derive(Default)]
struct Fake {
    instances: Mutex<Vec<Instance>>,
    /// Instances that cannot be deleted.
    stuck: Vec<String>,
    /// The zone that a machine is made in which may be in any; none: nothing is made.
    zone: Option<&'static str>,
    /// What was asked for, by its node: the zone.
    asked: Asked,
}

#[async_trait]
impl Cloud for Fake {
    fn name(&self) -> &'static str {
        "aws"
    }
    async fn ready(&self) -> Result<(), ProviderError> {
        Ok(())
    }
    async fn check(&self, _: &[Need]) -> Vec<Finding> {
        Vec::new()
    }
    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError> {
        let node = wanted
            .tags
            .get(instance_tags::NODE)
            .cloned()
            .unwrap_or_default();
        self.asked.lock().unwrap().push((node, wanted.zone.clone()));
        let Some(zone) = self.zone else {
            return Err(ProviderError::new(
                ErrorKind::Stockout,
                "nothing is made here",
            ));
        };
        let made = instance("i", "", "l", Life::Alive);
        let tags = wanted
            .tags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Ok(Instance {
            zone: Some(wanted.zone.clone().unwrap_or(zone.to_owned())),
            tags,
            ..made
        })
    }
    async fn find(
        &self,
        token: &str,
        _: Option<&PlaceName>,
    ) -> Result<Vec<Instance>, ProviderError> {
        let carries = |instance: &&Instance| {
            instance
                .tags
                .get(instance_tags::TOKEN)
                .is_some_and(|known| known == token)
        };
        Ok(self
            .instances
            .lock()
            .unwrap()
            .iter()
            .filter(carries)
            .cloned()
            .collect())
    }
    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        Ok(self.instances.lock().unwrap().clone())
    }
    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        Ok(self
            .instances
            .lock()
            .unwrap()
            .iter()
            .find(|instance| instance.id == id)
            .cloned())
    }
    async fn tag(
        &self,
        _: &Instance,
        _: &BTreeMap<&'static str, String>,
    ) -> Result<(), ProviderError> {
        Ok(())
    }
    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        if self.stuck.contains(&instance.id) {
            return Err(ProviderError::new(
                ErrorKind::Denied,
                format!("{} may not be deleted", instance.id),
            ));
        }
        self.instances
            .lock()
            .unwrap()
            .retain(|other| other.id != instance.id);
        Ok(())
    }
}

fn instance(id: &str, token: &str, lineage: &str, life: Life) -> Instance {
    let tags = [
        (instance_tags::TOKEN, token),
        (instance_tags::STAGE, "train"),
        (instance_tags::ATTEMPT, "1"),
        (instance_tags::LINEAGE, lineage),
        (instance_tags::JOB, "j"),
    ];
    Instance {
        id: id.to_owned(),
        place: PlaceName {
            cloud: "aws".into(),
            region: "us-east-1".into(),
        },
        instance_type: "m1.small".into(),
        life,
        address: None,
        inside: None,
        zone: None,
        tags: tags
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

fn token(letter: &str) -> Token {
    Token {
        id: letter.repeat(32),
        stage: "train".into(),
        attempt: 1,
    }
}

#[tokio::test]
async fn the_others_of_a_gang_are_asked_for_in_the_zone_of_the_first() {
    let root = tempfile::tempdir().unwrap();
    let asked = Asked::default();
    let cloud = Fake {
        zone: Some("us-east-1c"),
        asked: asked.clone(),
        ..Fake::default()
    };
    let spec = MachineSpec {
        owner: Owner {
            job: "j".into(),
            lineage: "l".into(),
        },
        plan: String::new(),
        lease: Duration::from_secs(600),
        place: PlaceName {
            cloud: "aws".into(),
            region: "us-east-1".into(),
        },
        instance_type: "m1.small".into(),
        accelerator: None,
        nodes: 3,
        purchase: Purchase::OnDemand,
        tee: None,
        rate: crate::model::Rate(0),
        disk: crate::model::Bytes(0),
    };
    Machines::new(cloud, root.path())
        .create(&token("e"), &spec)
        .await
        .unwrap();
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    let zone = Some("us-east-1c".to_owned());
    assert_eq!(
        asked,
        [
            ("0".to_owned(), None),
            ("1".to_owned(), zone.clone()),
            ("2".to_owned(), zone)
        ]
    );
}

#[tokio::test]
async fn a_machine_is_deleted_without_a_way_into_it() {
    let root = tempfile::tempdir().unwrap();
    let instances = [
        instance("i-alive", &token("a").id, "l", Life::Alive),
        instance("i-off", &token("b").id, "l", Life::Stopped),
        instance("i-stuck", &token("c").id, "l", Life::Alive),
    ];
    let cloud = Fake {
        instances: Mutex::new(instances.to_vec()),
        stuck: vec!["i-stuck".into()],
        ..Fake::default()
    };
    let machines = Machines::new(cloud, root.path());
    // What has powered itself off costs money: it is seen.
    assert_eq!(machines.survey(None).await.machines.len(), 3);
    assert_eq!(
        machines.delete(&token("c")).await.unwrap_err().kind,
        ErrorKind::Denied
    );
    machines.delete(&token("a")).await.unwrap();
    machines.delete(&token("b")).await.unwrap();
    machines.delete(&token("b")).await.unwrap();
    let left: Vec<String> = machines
        .survey(None)
        .await
        .machines
        .into_iter()
        .map(|machine| machine.id)
        .collect();
    assert_eq!(left, ["i-stuck"]);
}

#[tokio::test]
async fn a_deleted_machine_takes_no_folder_of_another_with_it() {
    let root = tempfile::tempdir().unwrap();
    let ours = root.path().join("stages/train/1/log");
    std::fs::create_dir_all(ours.parent().unwrap()).unwrap();
    std::fs::write(&ours, "what our own stage of that name has printed").unwrap();
    let theirs = instance("i-theirs", &token("d").id, "another", Life::Alive);
    let cloud = Fake {
        instances: Mutex::new(vec![theirs]),
        ..Fake::default()
    };
    let machines = Machines::new(cloud, root.path());
    machines.delete(&token("d")).await.unwrap();
    assert!(machines.survey(None).await.machines.is_empty());
    assert!(ours.exists());
}
