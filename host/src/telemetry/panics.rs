//! Panics of threads, in the log.
//!
//! Decides nothing about what follows from one. A panic that is caught, as the store of the state does with a
//! damaged database, is logged too.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Logs panics from now on, with the thread's name and the place; with a backtrace if `RUST_BACKTRACE` asks
/// for one. Where errors are not logged, they go where they went before.
pub fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(tracing::Level::ERROR) {
            log(panic);
        } else {
            before(panic);
        }
    }));
}

/// What a panic said, for who catches it or joins its thread.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it says nothing")
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason = panic.payload_as_str().unwrap_or("it says nothing");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, reason, %backtrace, "A thread panicked. Please report this, unless what follows explains it.");
    } else {
        tracing::error!(
            thread,
            place,
            reason,
            "A thread panicked. Please report this, unless what follows explains it."
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn panics(with: impl FnOnce() + Send + 'static) -> Box<dyn Any + Send> {
        std::thread::spawn(with).join().unwrap_err()
    }

    #[test]
    fn the_message_is_found_whatever_kind_of_text_it_is() {
        for (panic, message) in [
            (panics(|| panic!("plain")), "plain"),
            (panics(|| panic!("number {}", std::process::id())), &*format!("number {}", std::process::id())),
            (panics(|| std::panic::panic_any(7)), "it says nothing"),
        ] {
            assert_eq!(panic_message(panic.as_ref()), message);
        }
    }
}
