//! What workers tell the lifecycle, through a channel with a bound.
//!
//! The control loop reads it between two reloads, and a reload may compile for minutes while plugins fail
//! thousands of times. A worker never waits for it: what only serves the status is left out when
//! much waits already, so that there is always room for what changes the plugin table.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::Event;

/// Events that may wait. Half of it is for evidence, of which only the last one of a plugin is
/// shown; a quarter is kept for exchanges of generations, of which each plugin has one at a time.
const MAX_WAITING: usize = 4096;

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
        Event::Proven(_) | Event::Reverted { .. } => bound,
    };
    match events.len() < share {
        true => events.try_send(event).is_ok(),
        false => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Origin};
    use crate::pipeline::worker::Place;

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
