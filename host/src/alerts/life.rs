//! The life of one alert, as a pure function: no clock, no storage, no identity.

use serde::{Deserialize, Serialize};

use crate::model::AlertState;

/// Where an alert is in its life.
///
/// It begins `Pending` at the first evaluation at which it holds, or at once `Firing` when its
/// rule's `for` is zero. While it holds, the time since then adds up, and when that reaches `for`
/// it is `Firing`. A pending alert that does not hold is gone as if it had never been. A firing
/// one that does not hold is resolved, unless its rule wants it to go on firing: then it lingers
/// until it has not held for that long, or holds again and is simply `Firing`.
///
/// Times are sums of lengths, never differences of wall-clock times, so that a stepped clock or
/// a restart cannot fire or resolve anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It holds, but not yet for long enough.
    Pending {
        /// For how long so far, in nanoseconds.
        held: u64,
    },
    /// It held for long enough, and holds.
    Firing,
    /// It counts as firing, but does not hold.
    Lingering {
        /// For how long so far, in nanoseconds.
        quiet: u64,
    },
}

/// What an evaluation made of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Where it is now; nowhere once it has ended.
    pub life: Option<Life>,
    /// The transition that others should hear of.
    pub event: Option<AlertState>,
}

impl Life {
    /// The first evaluation at which it holds.
    pub fn begin(hold_for: u64) -> Next {
        if hold_for == 0 {
            Next { life: Some(Self::Firing), event: Some(AlertState::Firing) }
        } else {
            Next { life: Some(Self::Pending { held: 0 }), event: Some(AlertState::Pending) }
        }
    }

    /// It holds, `elapsed` nanoseconds after the last evaluation of its rule that succeeded.
    pub fn holds(self, elapsed: u64, hold_for: u64) -> Next {
        match self {
            Self::Pending { held } => {
                let held = held.saturating_add(elapsed);
                if held >= hold_for {
                    Next { life: Some(Self::Firing), event: Some(AlertState::Firing) }
                } else {
                    Next { life: Some(Self::Pending { held }), event: None }
                }
            }
            Self::Firing | Self::Lingering { .. } => Next { life: Some(Self::Firing), event: None },
        }
    }

    /// It does not hold.
    pub fn holds_not(self, elapsed: u64, keep_firing_for: u64) -> Next {
        let quiet = match self {
            Self::Pending { .. } => return Next { life: None, event: None },
            Self::Firing => 0,
            Self::Lingering { quiet } => quiet.saturating_add(elapsed),
        };
        if quiet < keep_firing_for {
            Next { life: Some(Self::Lingering { quiet }), event: None }
        } else {
            self.end()
        }
    }

    /// Nobody knows whether it holds, because its rule could not be evaluated: it stays what it is,
    /// and the time counts.
    pub fn unknown(self, elapsed: u64) -> Next {
        let life = match self {
            Self::Pending { held } => Self::Pending { held: held.saturating_add(elapsed) },
            Self::Firing => Self::Firing,
            Self::Lingering { quiet } => Self::Lingering { quiet: quiet.saturating_add(elapsed) },
        };
        Next { life: Some(life), event: None }
    }

    /// Its rule, group or plugin is gone.
    pub fn end(self) -> Next {
        let event = match self {
            Self::Pending { .. } => None,
            Self::Firing | Self::Lingering { .. } => Some(AlertState::Resolved),
        };
        Next { life: None, event }
    }

    /// As others see it.
    pub fn state(self) -> AlertState {
        match self {
            Self::Pending { .. } => AlertState::Pending,
            Self::Firing | Self::Lingering { .. } => AlertState::Firing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evaluates once a second (`x`: it holds, `.`: it does not, `?`: an error) and shows the events
    /// (`p`ending, `f`iring, `r`esolved, `-`: none).
    fn check(hold_for: u64, keep_firing_for: u64, input: &str, expected: &str) {
        let mut life: Option<Life> = None;
        let mut shown = String::new();
        for sign in input.chars() {
            let next = match (life, sign) {
                (None, 'x') => Life::begin(hold_for),
                (None, _) => Next { life: None, event: None },
                (Some(life), 'x') => life.holds(1, hold_for),
                (Some(life), '.') => life.holds_not(1, keep_firing_for),
                (Some(life), _) => life.unknown(1),
            };
            life = next.life;
            shown.push(match next.event {
                None => '-',
                Some(AlertState::Pending) => 'p',
                Some(AlertState::Firing) => 'f',
                Some(AlertState::Resolved) => 'r',
            });
        }
        assert_eq!(shown, expected, "for {hold_for}, keep {keep_firing_for}, {input}");
    }

    #[test]
    fn an_alert_goes_pending_firing_resolved() {
        check(0, 0, ".xx.x.", "-f-rfr");
        check(2, 0, ".xxxx.", "-p-f-r");
        check(2, 0, "xx.xxx", "p--p-f");
        check(2, 0, "xx.", "p--");
        check(0, 2, "x...", "f--r");
        check(0, 2, "x..x...", "f-----r");
        check(1, 1, "xx..xx..", "pf-rpf-r");
    }

    #[test]
    fn an_error_keeps_the_state_and_its_time_counts() {
        check(3, 0, "x??x", "p--f");
        check(3, 0, "x????.", "p-----");
        check(0, 0, "x??.", "f--r");
        check(0, 3, "x.???.", "f----r");
    }
}
