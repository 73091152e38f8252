//! A plugin's thread panicked: another one takes its place, with the same generation.
//!
//! It gets a new lane, so that sources go on at the committed checkpoints, and rests first, longer each time.
//! Whose bug it was is not asked: a plugin cannot make the thread panic, only the agent can.

use std::thread::JoinHandle;
use std::time::Instant;

use super::Lifecycle;
use super::slot::{self, Slot};
use crate::pipeline::control::Control;
use crate::pipeline::lane::{LaneSender, lane};
use crate::pipeline::work::Work;
use crate::pipeline::worker::{self, Anew, Start};

impl Lifecycle {
    /// Starts a plugin anew whose thread has ended.
    pub(super) fn ended(&mut self, plugin: &str, reason: String) {
        // An open lane has a thread: the plugin was removed and came again since.
        let Some(slot) = self.table.get_mut(plugin).filter(|slot| slot.lane.is_closed()) else { return };
        let pause = slot.ends.ended(Instant::now());
        self.deps.shared.metrics.thread_ended(plugin);
        tracing::error!(
            plugin,
            generation = slot.generation().origin.generation.short(),
            reason,
            pause_seconds = pause.as_secs_f64(),
            "The plugin's thread ended by a bug of the agent; another one goes on after a pause where results \
             were committed. Please report this."
        );
        self.start_anew(plugin, Anew { reason, pause });
        self.update_routes();
    }

    fn start_anew(&mut self, plugin: &str, anew: Anew) {
        let alerts = self.alerts(plugin);
        let Some(slot) = self.table.get_mut(plugin) else { return };
        let pause = anew.pause;
        let (sender, receiver) = lane(plugin, slot::queue(slot.section()));
        // What the former thread had kept of calls that were never committed.
        slot.surroundings.state.forget_pending();
        let thread = worker::spawn(Start {
            lane: receiver,
            shared: self.deps.shared.clone(),
            surroundings: slot.surroundings.clone(),
            generation: slot.generation().clone(),
            previous: slot.comes_back().cloned(),
            instance: None,
            patience: slot.patience,
            alerts,
            anew: Some(anew),
        });
        match thread {
            Ok(thread) => {
                slot.goes_on(sender, thread);
                self.statuses.ended(slot, pause);
            }
            Err(error) => {
                tracing::error!(
                    plugin, %error,
                    "There is no thread for the plugin; it is started like a new one as soon as there is. Raise \
                     the limit of processes."
                );
                self.table.remove(plugin);
                self.statuses.removed(plugin);
                self.engines.gone(plugin);
                self.transient = true;
            }
        }
    }
}

impl Slot {
    /// Another thread serves the same generation, through another lane.
    fn goes_on(&mut self, lane: LaneSender<Work, Control>, thread: JoinHandle<()>) {
        self.lane = lane;
        // It told of its end in its last moments, and that it panicked is known.
        let _ = std::mem::replace(&mut self.thread, thread).join();
    }
}
