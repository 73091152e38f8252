//! The macro that makes a component of a plugin.

/// Registers a plugin for the kinds it implements: `register!(MyPlugin: Analyzer)`, or
/// `register!(MyPlugin: Analyzer + Scanner)`. Once in a crate, at its root.
///
/// On wasm targets it exports the kinds; elsewhere it only checks that the traits are there, so that
/// `cargo test` runs natively.
#[macro_export]
macro_rules! register {
    // `+` cannot be a separator, so the first kind stands apart.
    ($plugin:ty: $first:ident $(+ $more:ident)*) => {
        $crate::register!(@all $plugin: $first $($more)*);
    };
    (@all $plugin:ty: $($kind:ident)+) => {
        const _: () = {
            $({
                const fn implements<P: $crate::$kind>() {}
                implements::<$plugin>();
            })+
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<
                    ::std::option::Option<$crate::export::Instance<$plugin>>
                > = const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            struct Registered;

            impl $crate::export::Component for Registered {
                type Plugin = $plugin;
                const VERSION: &'static str = ::std::env!("CARGO_PKG_VERSION");
                fn slot() -> &'static ::std::thread::LocalKey<
                    ::std::cell::RefCell<::std::option::Option<$crate::export::Instance<$plugin>>>
                > {
                    &INSTANCE
                }
            }

            type Exported = $crate::export::Glue<Registered>;
            $crate::bindings::base::export!(Exported with_types_in $crate::bindings::base);
            $($crate::export_kind!(Exported: $kind);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_kind {
    ($component:ident: Analyzer) => {
        $crate::bindings::analyzer_kind::export!($component with_types_in $crate::bindings::analyzer_kind);
    };
    ($component:ident: Scanner) => {
        $crate::bindings::scanner_kind::export!($component with_types_in $crate::bindings::scanner_kind);
    };
    ($component:ident: Unpacker) => {
        $crate::bindings::unpacker_kind::export!($component with_types_in $crate::bindings::unpacker_kind);
    };
    ($component:ident: AlertRule) => {
        $crate::bindings::alert_rule_kind::export!($component with_types_in $crate::bindings::alert_rule_kind);
    };
    ($component:ident: Query) => {
        $crate::bindings::query_kind::export!($component with_types_in $crate::bindings::query_kind);
    };
    ($component:ident: $kind:ident) => {
        ::std::compile_error!("a plugin's kinds are Analyzer, Scanner, Unpacker, AlertRule and Query");
    };
}
