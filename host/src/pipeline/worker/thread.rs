//! The thread around a worker. A panic in it, which is a bug of the agent or of a library and never the
//! plugin's doing, is told to the lifecycle before the thread ends.
//!
//! Decides nothing about what follows.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Sender;

use super::{Event, Start, Worker, events};
use crate::telemetry;

/// Starts a worker on a thread of its own. The handle tells whether it panicked.
pub fn spawn(start: Start) -> io::Result<JoinHandle<()>> {
    let (plugin, events) = (start.generation.origin.plugin.clone(), start.shared.events.clone());
    let worker = Worker::new(start);
    Builder::new().name(format!("plugin {plugin}")).spawn(move || watched(plugin, &events, || worker.run()))
}

/// Runs what a thread does; when it panics, tells so and goes on panicking. The worker and its lane are gone
/// by then.
fn watched(plugin: String, events: &Sender<Event>, run: impl FnOnce()) {
    // Nothing that the panic has left half done is looked at again: the worker was dropped on the way here.
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { return };
    tell(plugin, events, panic.as_ref());
    resume_unwind(panic);
}

fn tell(plugin: String, events: &Sender<Event>, panic: &(dyn Any + Send)) {
    let ended = Event::Ended { plugin: plugin.clone(), reason: telemetry::panic_message(panic).to_owned() };
    if !events::tell(events, ended) {
        tracing::error!(
            plugin,
            "The plugin's thread panicked and nobody can be told; the plugin serves again when the agent is \
             started again. Please report this."
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_thread_that_panics_is_told_of_with_its_message_after_all_of_it_is_gone() {
        let (sender, receiver) = events::events();
        let (kept, gone) = crossbeam_channel::bounded::<()>(1);
        let thread = std::thread::spawn(move || {
            watched("p".into(), &sender, move || {
                let _kept = kept;
                panic!("number {}", 7);
            });
        });
        let told = receiver.recv().unwrap();
        assert_eq!(told, Event::Ended { plugin: "p".into(), reason: "number 7".into() });
        assert_eq!(gone.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        assert!(thread.join().is_err(), "who joins it hears of the panic too");
    }

    #[test]
    fn a_thread_that_ends_by_itself_tells_nothing() {
        let (sender, receiver) = events::events();
        watched("p".into(), &sender, || {});
        drop(sender);
        assert_eq!(receiver.try_iter().count(), 0);
    }
}
