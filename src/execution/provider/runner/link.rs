//! The connections to one machine: as few as do, opened when they are needed.

use super::super::{ErrorKind, ProviderError};
use super::agent::Agent;
use super::session::{Answer, Exchanged, Session, Streams, of_host};
use super::shell_access::ShellAccess;
use crate::model::hosts::SshTarget;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most connections to one machine at a time: each serves one request at a time.
const MOST: usize = 4;
/// How long a request waits for a connection before another one is opened. Most requests take
/// some milliseconds; those that move data may take hours.
const WAIT: Duration = Duration::from_millis(500);

/// A machine that can be asked.
pub struct Link {
    /// How the machine is reached by SSH.
    pub reach: SshTarget,
    /// How the machine is reached in place of `ssh`.
    access: Option<Box<dyn ShellAccess>>,
    agent: Agent,
    connections: Mutex<Connections>,
    /// One is idle, or fewer are open.
    changed: Notify,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Session>,
    /// How many are open, with those that are at work or being opened.
    open: usize,
}

/// A connection that is at work; if it is dropped before its answer came, it is of no more use.
struct Taken<'a> {
    link: &'a Link,
    session: Option<Session>,
    /// Whether the connection is idle again, and still counted.
    returned: bool,
}

impl Link {
    /// A machine that is not yet talked to.
    pub fn new(reach: SshTarget) -> Arc<Self> {
        Self::with(reach, Agent::of_machine())
    }

    /// A machine that is not yet talked to, with another agent than that of machines which run the
    /// commands.
    pub(in crate::execution::provider) fn with(reach: SshTarget, agent: Agent) -> Arc<Self> {
        Arc::new(Self {
            reach,
            access: None,
            agent,
            connections: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A machine that is reached by this access. Of its reach, the name and the root mean
    /// something.
    #[cfg(feature = "kubernetes")]
    pub(in crate::execution::provider) fn by(
        access: Box<dyn ShellAccess>,
        reach: SshTarget,
    ) -> Arc<Self> {
        let agent = Agent::of_machine();
        Arc::new(Self {
            reach,
            access: Some(access),
            agent,
            connections: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Whether what runs there sees the environment of a container's image, which people have
    /// chosen for it.
    pub(super) fn is_container(&self) -> bool {
        self.access.is_some()
    }

    /// Whether its agent knows of buckets.
    pub(super) fn knows_buckets(&self) -> bool {
        self.agent.knows_buckets()
    }

    /// Makes a request. An error names the machine; one of kind `Unreachable` leaves open whether
    /// it was carried out.
    pub(super) async fn ask(
        &self,
        name: &str,
        arguments: &[&str],
        streams: Streams,
    ) -> Result<Answer, ProviderError> {
        let mut taken_session = self.take().await?;
        let Some(session) = &mut taken_session.session else {
            return Err(self.reach.refusal("", None));
        };
        match session.exchange(name, arguments, streams).await {
            Ok(Exchanged::Answered(answer)) => {
                taken_session.put_back();
                Ok(answer)
            }
            Ok(Exchanged::Failed(error)) => {
                taken_session.put_back();
                Err(of_host(&self.reach.name, &error))
            }
            Err(error) => Err(session.lost(&self.reach, &error).await),
        }
    }

    /// Makes a request that needs no streams, for the lines of its answer.
    pub async fn lines(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> Result<Vec<String>, ProviderError> {
        self.ask(name, arguments, Streams::default())
            .await
            .map(|answer| answer.lines)
    }

    /// Makes a request whose answer is one line.
    pub async fn line(&self, name: &str, arguments: &[&str]) -> Result<String, ProviderError> {
        let answer_lines = self.lines(name, arguments).await?;
        answer_lines.into_iter().next().ok_or_else(|| {
            let message = format!("host {}: its answer is empty", self.reach.name);
            ProviderError::new(ErrorKind::Other, message)
        })
    }

    async fn take(&self) -> Result<Taken<'_>, ProviderError> {
        let mut waited = false;
        loop {
            let found_session = {
                let mut connections = self.lock();
                match connections.idle.pop() {
                    Some(session) => Some(Some(session)),
                    None if connections.open == 0 || (waited && connections.open < MOST) => {
                        connections.open += 1;
                        Some(None)
                    }
                    None => None,
                }
            };
            match found_session {
                Some(Some(mut session)) => match session.lives() {
                    true => {
                        return Ok(Taken {
                            link: self,
                            session: Some(session),
                            returned: false,
                        });
                    }
                    false => self.lock().open -= 1,
                },
                Some(None) => {
                    let mut taken_session = Taken {
                        link: self,
                        session: None,
                        returned: false,
                    };
                    taken_session.session = Some(
                        Session::open(&self.reach, self.access.as_deref(), &self.agent).await?,
                    );
                    return Ok(taken_session);
                }
                None => {
                    waited = tokio::time::timeout(WAIT, self.changed.notified())
                        .await
                        .is_err()
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    fn put_back(mut self) {
        if let Some(session) = self.session.take() {
            self.returned = true;
            self.link.lock().idle.push(session);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.returned {
            self.link.lock().open -= 1;
        }
        self.link.changed.notify_one();
    }
}
