//! The provider `sim`: each of its calls is one of the simulated cloud.

use super::super::{
    ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, SIM,
    Token, Worker, local,
};
use super::calls::Sim;
use super::faults::Made;
use super::machine_records::{self, EndReason, MachineRecord};
use super::worker::{SimWorker, gone};
use async_trait::async_trait;

#[async_trait]
impl Provider for Sim {
    fn name(&self) -> &'static str {
        SIM
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let create = async {
            if let Some(record) = self.find(&token.id).await? {
                return Ok(record.machine());
            }
            let record =
                MachineRecord::new(token, spec, machine_records::ended(&self.root, &token.id));
            Ok(machine_records::create(&self.root, &record)?.machine())
        };
        self.call(self.made("create", token, &spec.place.to_string()), create)
            .await
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        let place = self.place(token);
        let get_machine = async { Ok(self.find(&token.id).await?.map(|record| record.machine())) };
        self.call(self.made("get", token, &place), get_machine)
            .await
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let list_machines = async {
            let mut machines = Vec::new();
            for record in machine_records::all(&self.root)? {
                let owned = owner
                    .is_none_or(|owner| record.job == owner.job && record.lineage == owner.lineage);
                // What carries none of our tags is not ours to see.
                if owned
                    && !record.lineage.is_empty()
                    && let Some(record) = self.find(&record.token).await?
                {
                    machines.push(record.machine());
                }
            }
            machines.sort_by(|a, b| a.token.cmp(&b.token));
            Ok(machines)
        };
        self.call(
            Made {
                call: "list",
                stage: "",
                attempt: 0,
                place: "",
            },
            list_machines,
        )
        .await
    }

    async fn release(&self, token: &Token, _evidence: Evidence) -> Result<(), ProviderError> {
        let place = self.place(token);
        let release = async {
            match machine_records::read(&self.root, &token.id)? {
                Some(record) => self.end(&record, EndReason::Released).await,
                None => Ok(()),
            }
        };
        self.call(self.made("release", token, &place), release)
            .await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        let place = self.place(token);
        let delete = async {
            match machine_records::read(&self.root, &token.id)? {
                Some(record) => self.end(&record, EndReason::Released).await,
                None => Ok(()),
            }
        };
        self.call(self.made("delete", token, &place), delete).await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let place = self.place(token);
        let renew = async {
            let Some(mut record) = self.find(&token.id).await? else {
                return Err(gone(token));
            };
            record.extend(lease.left());
            local::write_lease(&machine_records::disk(&self.root, &token.id), lease.left())?;
            Ok(machine_records::write(&self.root, &record)?)
        };
        self.call(self.made("renew", token, &place), renew).await
    }

    async fn adopt(
        &self,
        id: &str,
        token: &Token,
        owner: &Owner,
    ) -> Result<Machine, ProviderError> {
        let adopt = async {
            let found_record = machine_records::all(&self.root)?
                .into_iter()
                .find(|record| record.id == id);
            let Some(mut record) = found_record else {
                return Err(ProviderError::new(
                    ErrorKind::NotFound,
                    format!("sim has no machine `{id}`"),
                ));
            };
            let former_token = std::mem::replace(&mut record.token, token.id.clone());
            (record.stage, record.attempt) = (token.stage.clone(), token.attempt);
            (record.job, record.lineage) = (owner.job.clone(), owner.lineage.clone());
            if former_token != record.token {
                machine_records::rename(&self.root, &former_token, &record.token)?;
            }
            machine_records::write(&self.root, &record)?;
            Ok(record.machine())
        };
        self.call(self.made("adopt", token, ""), adopt).await
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let place = self.place(token);
        let open_worker = async {
            if self.find(&token.id).await?.is_none()
                && machine_records::ended(&self.root, &token.id) == 0
            {
                return Err(gone(token));
            }
            let worker: Box<dyn Worker> = Box::new(SimWorker::new(self.clone(), token.clone()));
            Ok(worker)
        };
        self.call(self.made("worker", token, &place), open_worker)
            .await
    }
}
