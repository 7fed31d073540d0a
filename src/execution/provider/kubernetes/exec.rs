//! The way into a pod: `exec`, over the API server and a WebSocket.

use super::super::runner::{RunningShell, ShellAccess, ShellStreams};
use super::super::{ErrorKind, ProviderError};
use super::access::Site;
use super::job::CONTAINER;
use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bytes of each stream that may be on their way inside this process.
const BUFFER: usize = 64 * 1024;
/// How long a program may take to end whose streams have.
const END: Duration = Duration::from_secs(1);

/// The way into one pod.
pub(super) struct Exec {
    pub site: Arc<Site>,
    pub pod: String,
    pub image: String,
}

struct Running {
    /// Dropped, the connection ends, and with it the program's input.
    _attached: AttachedProcess,
    /// None: it was asked for.
    status: Option<JoinHandle<Option<Status>>>,
}

#[async_trait]
impl ShellAccess for Exec {
    async fn run(&self, program: &str) -> Result<ShellStreams, ProviderError> {
        let params = AttachParams {
            container: Some(CONTAINER.to_owned()),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
            max_stdin_buf_size: Some(BUFFER),
            max_stdout_buf_size: Some(BUFFER),
            max_stderr_buf_size: Some(BUFFER),
        };
        let pods = self.site.pods().await?;
        let exec = async {
            Ok(pods
                .exec(&self.pod, ["/bin/sh", "-c", program], &params)
                .await)
        };
        let mut attached = self.site.ask(exec).await?.map_err(|error| {
            let read_error = super::errors::read(&self.site.name, &error);
            match (error, read_error.kind) {
                // What the pod has come to, the cluster tells better when it is asked for it.
                (kube::Error::Api(_), ErrorKind::Other | ErrorKind::NotFound) => {
                    ProviderError::new(ErrorKind::Unreachable, read_error.message)
                }
                _ => read_error,
            }
        })?;
        let (input, output, errors, status) = (
            attached.stdin(),
            attached.stdout(),
            attached.stderr(),
            attached.take_status(),
        );
        let (Some(input), Some(output), Some(errors), Some(status)) =
            (input, output, errors, status)
        else {
            return Err(self.wrong(ErrorKind::Other, "it gave no streams"));
        };
        let program = Running {
            _attached: attached,
            status: Some(tokio::spawn(status)),
        };
        let (input, output, errors) = (Box::new(input), Box::new(output), Box::new(errors));
        Ok(ShellStreams {
            input,
            output,
            errors,
            program: Box::new(program),
        })
    }

    fn refusal(&self, said_words: &str, code: Option<i32>) -> ProviderError {
        let missing_shell =
            said_words.contains("no such file") || said_words.contains("not found in $PATH");
        if missing_shell || matches!(code, Some(126 | 127)) {
            let image_words = format!(
                "its image {} does not run /bin/sh for us ({}): take one with a POSIX shell, coreutils, tar, flock and setsid",
                self.image,
                super::errors::words(said_words)
            );
            return self.wrong(ErrorKind::Other, &image_words);
        }
        self.wrong(
            ErrorKind::Unreachable,
            &format!("it does not answer: {}", super::errors::words(said_words)),
        )
    }
}

impl Exec {
    fn wrong(&self, kind: ErrorKind, why: &str) -> ProviderError {
        ProviderError::new(
            kind,
            format!("cluster {}: pod {}: {why}", self.site.name, self.pod),
        )
    }
}

#[async_trait]
impl RunningShell for Running {
    fn lives(&mut self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| !status.is_finished())
    }

    async fn end(&mut self) -> (Option<i32>, String) {
        let Some(status) = self.status.take() else {
            return (None, String::new());
        };
        let exec_status = tokio::time::timeout(END, status)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
        exec_status.map_or((None, String::new()), |status| code(&status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(status) = &self.status {
            status.abort();
        }
    }
}

/// The exit code in the status that ends an `exec`, and what else it says.
fn code(status: &Status) -> (Option<i32>, String) {
    if status.status.as_deref() == Some("Success") {
        return (Some(0), String::new());
    }
    let causes = status
        .details
        .iter()
        .flat_map(|details| details.causes.iter().flatten());
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = codes
        .next()
        .and_then(|cause| cause.message.as_deref()?.parse().ok());
    (code, status.message.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_commands_are_read() {
        let read = |text: &str| code(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"status":"Success"}"#), (Some(0), String::new()));
        let failed = r#"{"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode",
            "details":{"causes":[{"reason":"ExitCode","message":"127"}]}}"#;
        assert_eq!(
            read(failed),
            (
                Some(127),
                "command terminated with non-zero exit code".to_owned()
            )
        );
        let missing = r#"{"status":"Failure","message":"stat /bin/sh: no such file or directory","reason":"InternalError"}"#;
        assert_eq!(
            read(missing),
            (None, "stat /bin/sh: no such file or directory".to_owned())
        );
    }

    #[test]
    fn an_image_without_a_shell_is_named() {
        let site = Arc::new(Site::new(
            "lab",
            &crate::model::hosts::KubernetesNamespace::default(),
        ));
        let way = Exec {
            site,
            pod: "sky-x".into(),
            image: "scratch".into(),
        };
        for (said, code) in [
            ("stat /bin/sh: no such file or directory", None),
            ("dd: not found", Some(127)),
        ] {
            let error = way.refusal(said, code);
            assert!(
                error.kind == ErrorKind::Other && error.message.contains("its image scratch"),
                "{error}"
            );
        }
        let error = way.refusal("error dialing backend", None);
        assert!(
            error.kind == ErrorKind::Unreachable
                && error.message.starts_with("cluster lab: pod sky-x: "),
            "{error}"
        );
    }
}
