//! File work that ends when nobody waits for it any more, and that moves no more bytes than it may.

use super::simulation;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What file work is held to: whether it is still wanted, and how many bytes it may take in.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    stopped: Arc<AtomicBool>,
    /// Bytes that it may take in; none: as many as there are.
    most: Option<u64>,
}

impl Bounds {
    /// These bounds with a limit of bytes, or without one.
    pub fn within(&self, most_bytes: Option<u64>) -> Self {
        Self {
            most: most_bytes,
            ..self.clone()
        }
    }

    /// Bytes that the work may take in; none: as many as there are.
    pub fn most(&self) -> Option<u64> {
        self.most
    }

    /// Ends the work that is held to these bounds.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// An error of kind [`io::ErrorKind::Interrupted`] if the work is not wanted any more, and one
    /// of kind [`io::ErrorKind::FileTooLarge`] if `taken` is more than it may take in.
    pub fn check(&self, bytes_taken: u64) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
        }
        match self.most {
            Some(most) if bytes_taken > most => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than the {most} bytes it may have"),
            )),
            _ => Ok(()),
        }
    }
}

/// Stops the work when it is dropped.
struct StopOnDrop(Bounds);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs file work off the event loop. When the future is dropped before its end, the work is told
/// by its [`Bounds`].
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Bounds) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let bounds = Bounds::default();
    if simulation::is_on() {
        return work(&bounds);
    }
    let _stop = StopOnDrop(bounds.clone());
    tokio::task::spawn_blocking(move || work(&bounds))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn work_that_nobody_waits_for_ends() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let endless = blocking(move |bounds| {
                while bounds.check(0).is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                ended
                    .send(bounds.check(0).unwrap_err().kind())
                    .map_err(io::Error::other)
            });
            assert!(
                tokio::time::timeout(Duration::from_millis(20), endless)
                    .await
                    .is_err()
            );
        });
        assert_eq!(
            end.recv_timeout(Duration::from_secs(10)),
            Ok(io::ErrorKind::Interrupted)
        );
        let bounds = Bounds::default().within(Some(3));
        assert!(bounds.check(3).is_ok());
        assert_eq!(
            bounds.check(4).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
