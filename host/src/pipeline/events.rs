//! What workers tell the lifecycle, through a channel with a bound.
//!
//! The control loop reads it between two reloads, and a reload may compile for minutes while plugins fail
//! thousands of times. A worker never waits for it: what only serves the status is left out when
//! much waits already, so that there is always room for what changes the plugin table.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::{Digest, Origin};

/// Events that may wait. Half of it is for evidence, of which only the last one of a plugin is
/// shown; a quarter is kept for exchanges of generations and ends of threads, of which each plugin has one at
/// a time.
const MAX_WAITING: usize = 4096;

/// Something the lifecycle has to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first call of a new generation succeeded: it serves for good.
    Proven(Origin),
    /// The first call of a new generation failed; the former one serves again.
    Reverted {
        /// The refused generation.
        refused: Origin,
        /// The generation that serves again.
        serves: Digest,
        /// Why.
        reason: String,
        /// Whether the cause passes by itself: the agent could not serve the call.
        passes: bool,
    },
    /// The circuit opened (with the pause) or closed, or the rest is over that follows a thread's end.
    Circuit {
        /// Whose.
        origin: Origin,
        /// After how many failures in a row and for how long it rests; none when work flows again.
        open: Option<(u32, Duration)>,
    },
    /// The plugin's thread panicked and is about to end; its lane is closed.
    Ended {
        /// Whose.
        plugin: String,
        /// The panic's message.
        reason: String,
    },
    /// A record, a file or a group broke the plugin.
    Blamed {
        /// The plugin that failed on it.
        origin: Origin,
        /// What it failed on.
        place: Place,
        /// How the call failed.
        reason: String,
    },
}

/// What a plugin failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The source; empty for a group of rules.
    pub source: String,
    /// The stream, the file's path, or the group's name.
    pub stream: String,
    /// Where the record starts in the stream, in bytes; zero for files and groups.
    pub offset: u64,
    /// Of the record or of the file; of the group's name.
    pub digest: Digest,
}

/// Makes the channel.
pub fn events() -> (Sender<Event>, Receiver<Event>) {
    bounded(MAX_WAITING)
}

/// Tells an event if there is room for one of its kind, and says whether it was told. Never waits.
pub fn tell(events: &Sender<Event>, event: Event) -> bool {
    let bound = events.capacity().unwrap_or(usize::MAX);
    let share = match event {
        Event::Blamed { .. } => bound / 2,
        Event::Circuit { .. } => bound / 4 * 3,
        Event::Proven(_) | Event::Reverted { .. } | Event::Ended { .. } => bound,
    };
    match events.len() < share {
        true => events.try_send(event).is_ok(),
        false => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_that_nobody_hears_leaves_room_for_what_changes_the_table() {
        let (sender, receiver) = events();
        let digest = Digest::of(b"a");
        let origin = Origin { plugin: "a".into(), generation: digest };
        let place = Place { source: String::new(), stream: String::new(), offset: 0, digest };
        let blamed = || Event::Blamed { origin: origin.clone(), place: place.clone(), reason: String::new() };
        let told = (0..2 * MAX_WAITING).filter(|_| tell(&sender, blamed())).count();
        assert_eq!(told, MAX_WAITING / 2);
        assert!(tell(&sender, Event::Circuit { origin: origin.clone(), open: None }));
        assert!(tell(&sender, Event::Proven(origin.clone())));
        assert_eq!(receiver.try_iter().last(), Some(Event::Proven(origin)));
    }
}
