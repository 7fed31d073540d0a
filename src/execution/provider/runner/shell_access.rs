//! A program that runs on a machine, as the runner sees it: three streams and an end, however the
//! machine is reached.

use super::super::ProviderError;
use async_trait::async_trait;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Child;

/// How long a program may take to end whose streams have.
const END: Duration = Duration::from_secs(1);

/// A program that was begun.
pub(in crate::execution::provider) struct ShellStreams {
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    pub errors: Box<dyn AsyncRead + Send + Unpin>,
    pub program: Box<dyn RunningShell>,
}

/// The end of a program. Dropped, it is ended, or its input is.
#[async_trait]
pub(in crate::execution::provider) trait RunningShell: Send {
    /// Whether it may still answer, as far as one can tell.
    fn lives(&mut self) -> bool;

    /// The exit code of the program, and what is said of its end besides what it said itself. None:
    /// it had to be ended.
    async fn end(&mut self) -> (Option<i32>, String);
}

/// How a machine is reached that `ssh` does not lead to.
#[async_trait]
pub(in crate::execution::provider) trait ShellAccess:
    Send + Sync
{
    /// Runs `program` there, by `/bin/sh`. It holds nothing that people wrote.
    async fn run(&self, program: &str) -> Result<ShellStreams, ProviderError>;

    /// Why the program did not begin, by what it said and how it ended.
    fn refusal(&self, said: &str, code: Option<i32>) -> ProviderError;
}

/// `ssh`, or a shell on this machine.
#[async_trait]
impl RunningShell for Child {
    fn lives(&mut self) -> bool {
        matches!(self.try_wait(), Ok(None))
    }

    async fn end(&mut self) -> (Option<i32>, String) {
        let end_of_shell = tokio::time::timeout(END, self.wait()).await;
        let code = end_of_shell
            .ok()
            .and_then(Result::ok)
            .and_then(|status| status.code());
        if code.is_none() {
            let _ = self.start_kill();
        }
        (code, String::new())
    }
}
