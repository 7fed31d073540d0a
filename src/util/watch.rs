//! A value that one side changes and others wait for, as tokio's `watch`, but who waits is woken in
//! the order of waiting: that of tokio is random, and a simulation must be repeatable.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    held: Mutex<Held<T>>,
    moved: Notify,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    /// How often it was changed.
    version: u64,
    /// Nobody will change it any more.
    closed: bool,
}

impl<T> Shared<T> {
    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who changes the value.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Who waits for changes of the value.
#[derive(Clone, Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// A value as it was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref<T>(T);

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Nobody is left who could change the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left who could change the value")]
pub struct Closed;

/// Makes both sides of a value.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let held_value = Mutex::new(Held {
        value,
        version: 0,
        closed: false,
    });
    let shared_state = Arc::new(Shared {
        held: held_value,
        moved: Notify::new(),
    });
    (
        Sender(shared_state.clone()),
        Receiver {
            shared: shared_state,
            seen: 0,
        },
    )
}

impl<T: Copy> Sender<T> {
    /// Changes the value.
    pub fn send(&self, value: T) {
        {
            let mut held_value = self.0.held();
            held_value.value = value;
            held_value.version += 1;
        }
        self.0.moved.notify_waiters();
    }

    /// The value as it is.
    pub fn borrow(&self) -> Ref<T> {
        Ref(self.0.held().value)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.held().closed = true;
        self.0.moved.notify_waiters();
    }
}

impl<T: Copy> Receiver<T> {
    /// The value as it is.
    pub fn borrow(&self) -> Ref<T> {
        Ref(self.shared.held().value)
    }

    /// The value as it is, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let held_value = self.shared.held();
        self.seen = held_value.version;
        Ref(held_value.value)
    }

    /// Waits for a change that was not seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Before the look, so that no change between the two is missed.
            let next_move = self.shared.moved.notified();
            {
                let held_value = self.shared.held();
                if held_value.version != self.seen {
                    self.seen = held_value.version;
                    return Ok(());
                }
                if held_value.closed {
                    return Err(Closed);
                }
            }
            next_move.await;
        }
    }

    /// Waits until the value is as wanted.
    pub async fn wait_for(
        &mut self,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<T>, Closed> {
        loop {
            let current_value = self.borrow_and_update();
            if is_wanted(&current_value) {
                return Ok(current_value);
            }
            self.changed().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_the_order_of_waiting() {
        let (sender, receiver) = channel(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (mut receiver, order) = (receiver.clone(), order.clone());
                tokio::spawn(async move {
                    receiver.wait_for(|value| *value == 2).await.unwrap();
                    order.lock().unwrap().push(number);
                    receiver.changed().await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send(1);
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty());
        sender.send(2);
        tokio::task::yield_now().await;
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(*receiver.borrow(), 2);
        drop(sender);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(Closed));
        }
    }
}
