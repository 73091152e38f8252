//! Generated from the WIT: one world at a time, so that a component exports only the kinds it
//! registers and imports only what it uses.
//!
//! The interfaces that several worlds share (`types`, `objects`) exist once, in [`imports`]; the
//! other worlds refer to it by `with`. Nothing here is written by hand, and nothing is public
//! except what the crate root re-exports by name and what `register!` has to reach.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    reason = "generated code"
)]

pub mod imports {
    //! The shared types and every capability.
    wit_bindgen::generate!({
        path: "../wit",
        world: "imports",
        additional_derives: [PartialEq],
        additional_derives_ignore: ["object"],
        generate_unused_types: true,
    });
}

pub mod base {
    //! `lifecycle`, which every component exports.
    wit_bindgen::generate!({
        path: "../wit",
        world: "base",
        with: { "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types },
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::base",
    });
}

pub mod analyzer_kind {
    //! `analyzer`.
    wit_bindgen::generate!({
        path: "../wit",
        world: "analyzer-kind",
        with: { "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types },
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::analyzer_kind",
    });
}

pub mod scanner_kind {
    //! `scanner`.
    wit_bindgen::generate!({
        path: "../wit",
        world: "scanner-kind",
        with: {
            "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types,
            "picket:plugin/objects@0.1.0": crate::bindings::imports::picket::plugin::objects,
        },
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::scanner_kind",
    });
}

pub mod unpacker_kind {
    //! `unpacker`.
    wit_bindgen::generate!({
        path: "../wit",
        world: "unpacker-kind",
        with: {
            "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types,
            "picket:plugin/objects@0.1.0": crate::bindings::imports::picket::plugin::objects,
        },
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::unpacker_kind",
    });
}

pub mod alert_rule_kind {
    //! `alert-rule`.
    wit_bindgen::generate!({
        path: "../wit",
        world: "alert-rule-kind",
        with: { "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::alert_rule_kind",
    });
}

pub mod query_kind {
    //! `query`.
    wit_bindgen::generate!({
        path: "../wit",
        world: "query-kind",
        with: { "picket:plugin/types@0.1.0": crate::bindings::imports::picket::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        default_bindings_module: "picket_sdk::bindings::query_kind",
    });
}
