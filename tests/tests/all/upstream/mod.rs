//! The real agent before the real receivers: what reaches them, what an outage, a crash, a full disk and damage
//! cost, and what is told meanwhile.

mod backlog;
mod damage;
mod disk;
mod killed;
mod outage;
mod receivers;
mod refused;
mod secured;
mod visible;

/// At the end of a forwarder over HTTP: no proxy, whatever the environment says, and short waits.
pub(crate) const QUICK: &str = "http.proxy = \"none\"\nretry = { first = \"10ms\", most = \"200ms\" }\n";

/// And only what the meter makes, not the agent's own metrics, which come at any time.
pub(crate) const OF_METER: &str =
    "select.relabel = [{ source_labels = [\"__name__\"], regex = \"meter.*\", action = \"keep\" }]\n";
