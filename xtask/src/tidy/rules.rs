//! The rules as data, each with its reason. Whoever changes one changes the architecture:
//! say so in ARCHITECTURE.md.

/// Only some files may name a path.
pub(super) struct Fence {
    /// The path, from the crate on.
    pub path: &'static str,
    /// Where it may be named: beginnings of file paths from the root.
    pub only_in: &'static [&'static str],
    /// Whether tests may name it anywhere.
    pub tests_may: bool,
    /// Why.
    pub reason: &'static str,
}

/// Some files may not name some paths.
pub(super) struct Wall {
    /// Beginning of the path of the files that may not.
    pub from: &'static str,
    /// The paths that they may not name.
    pub not: &'static [&'static str],
    /// What they may name all the same.
    pub except: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// Who alone may name what.
pub(super) const FENCES: &[Fence] = &[
    Fence {
        path: "wasmtime",
        only_in: &["host/sandbox/"],
        tests_may: false,
        reason: "the sandbox's promise is kept in one crate, and only that crate is reviewed for it",
    },
    Fence {
        path: "wasmtime_wasi",
        only_in: &["host/sandbox/"],
        tests_may: false,
        reason: "what a guest may import is decided in one crate",
    },
    Fence {
        path: "sled",
        only_in: &["host/src/state"],
        tests_may: false,
        reason: "one module knows what sled's flush does not do, and it can be replaced there",
    },
    Fence {
        path: "anyhow",
        only_in: &[
            "host/src/main.rs",
            "host/src/cli",
            "host/src/agent",
            "xtask/",
            "bench/",
            "fuzz/",
            "tests/",
        ],
        tests_may: true,
        reason: "below the edge errors are small enums that code can act on",
    },
    Fence {
        path: "axum",
        only_in: &["host/src/api"],
        tests_may: false,
        reason: "HTTP server types stay in `api`",
    },
    Fence {
        path: "hyper::server",
        only_in: &["host/src/api"],
        tests_may: true,
        reason: "HTTP server types stay in `api`",
    },
    Fence {
        path: "hyper_util::server",
        only_in: &["host/src/api"],
        tests_may: true,
        reason: "HTTP server types stay in `api`",
    },
    Fence {
        path: "picket::cli",
        only_in: &["host/src/main.rs", "host/src/cli"],
        tests_may: false,
        reason: "the command line is an edge: nothing calls back into it",
    },
    Fence {
        path: "picket::agent",
        only_in: &["host/src/cli", "host/src/agent"],
        tests_may: true,
        reason: "the agent composes everything, so nothing it composes may know it",
    },
    Fence {
        path: "picket::config",
        only_in: &["host/src/config", "host/src/cli", "host/src/agent"],
        tests_may: true,
        reason: "`config` composes the subsystems' own Config types; below it each knows only its own",
    },
    Fence {
        path: "picket_journal::Journal",
        only_in: &["host/src/pipeline/commit", "host/src/lanes", "host/src/agent", "host/journal/"],
        tests_may: true,
        reason: "commits have one writer, to whom the agent hands the journal, and each lane has one; everybody else reads tails",
    },
    Fence {
        path: "clap::Args",
        only_in: &["host/src/cli", "host/src/main.rs", "xtask/", "bench/", "fuzz/"],
        tests_may: false,
        reason: "arguments are parsed at the edge",
    },
    Fence {
        path: "clap::Parser",
        only_in: &["host/src/cli", "host/src/main.rs", "xtask/", "bench/", "fuzz/"],
        tests_may: false,
        reason: "arguments are parsed at the edge",
    },
    Fence {
        path: "clap::Subcommand",
        only_in: &["host/src/cli", "host/src/main.rs", "xtask/", "bench/", "fuzz/"],
        tests_may: false,
        reason: "arguments are parsed at the edge",
    },
];

/// Who may not name what.
pub(super) const WALLS: &[Wall] = &[
    Wall {
        from: "host/model/",
        not: &["picket", "picket_journal", "picket_sandbox", "picket_series", "tokio"],
        except: &[],
        reason: "the shared words depend on nothing, so that everything may depend on them",
    },
    Wall {
        from: "host/src/sources",
        not: &[
            "picket::forwarders",
            "picket::archive",
            "picket::alerts",
            "picket::lifecycle",
            "picket::state",
            "picket::api",
            "picket_sandbox",
            "picket_journal",
        ],
        except: &[],
        reason: "data moves one way: a source knows the route ahead of it and nothing behind that",
    },
    Wall {
        from: "host/src/forwarders",
        not: &[
            "picket::sources",
            "picket::lifecycle",
            "picket::alerts",
            "picket::api",
            "picket_sandbox",
            "picket::pipeline::lane",
            "picket::pipeline::route",
        ],
        except: &[],
        reason: "a forwarder drains the journal and never sees who filled it",
    },
    Wall {
        from: "host/src/lanes",
        not: &[
            "picket::sources",
            "picket::forwarders",
            "picket::archive",
            "picket::lifecycle",
            "picket::alerts",
            "picket::api",
            "picket_sandbox",
            "picket_forwarders",
        ],
        except: &[],
        reason: "lanes stand between the journal of commits and its readers and know neither end",
    },
    Wall {
        from: "host/http/",
        not: &["picket", "picket_forwarders", "picket_journal", "picket_sandbox", "picket_series"],
        except: &[],
        reason: "the HTTP client knows nothing of what is sent and read through it",
    },
    Wall {
        from: "host/pattern/",
        not: &[
            "picket",
            "picket_forwarders",
            "picket_journal",
            "picket_model",
            "picket_sandbox",
            "picket_sdk",
            "picket_series",
            "tokio",
        ],
        except: &[],
        reason: "it is compiled into plugins too, and knows expressions and not what is matched with them",
    },
    Wall {
        from: "host/relabel/",
        not: &["picket", "picket_forwarders", "picket_journal", "picket_sandbox", "picket_series", "tokio"],
        except: &[],
        reason: "rules know labels, and not what has them",
    },
    Wall {
        from: "host/scrape/",
        not: &["picket", "picket_forwarders", "picket_journal", "picket_sandbox", "picket_series"],
        except: &[],
        reason: "a scrape knows its target, and nothing of where samples go",
    },
    Wall {
        from: "host/forwarders/",
        not: &["picket", "picket_journal", "picket_sandbox", "picket_series"],
        except: &[],
        reason: "protocols know frames and receivers, and nothing of how results are kept and read",
    },
    Wall {
        from: "host/src/pipeline",
        not: &["picket::sources", "picket::forwarders", "picket::archive", "picket::api", "picket::lanes"],
        except: &[],
        reason: "the pipeline stands between sources and journal and calls neither end",
    },
    Wall {
        from: "host/src/state",
        not: &["picket::sources", "picket::forwarders", "picket::lifecycle", "picket::api", "picket_sandbox"],
        except: &[],
        reason: "state is a store; it does not know who asks",
    },
    Wall {
        from: "host/src/telemetry",
        not: &["picket"],
        except: &["picket::telemetry", "picket::model"],
        reason: "logging and metrics are set up before anything they serve",
    },
    Wall {
        from: "host/src/tap",
        not: &["picket"],
        except: &["picket::tap", "picket::model"],
        reason: "whoever hands something on may show it there, so it knows none of them",
    },
    Wall {
        from: "host/sandbox/",
        not: &["picket", "picket_journal", "picket_series"],
        except: &[],
        reason: "the sandbox can be tested and reviewed without the agent",
    },
    Wall {
        from: "host/journal/",
        not: &["picket", "picket_sandbox", "picket_series", "serde"],
        except: &[],
        reason: "the journal stores opaque frames",
    },
    Wall {
        from: "host/series/",
        not: &["picket", "picket_sandbox", "picket_journal"],
        except: &[],
        reason: "the series store knows samples and nothing of who makes them",
    },
    Wall {
        from: "host/promtest/",
        not: &["picket", "picket_model", "picket_sandbox", "picket_series", "picket_journal"],
        except: &[],
        reason: "it reads notations of others, and evaluates nothing",
    },
    Wall {
        from: "host/src/rules",
        not: &[
            "picket::sources",
            "picket::forwarders",
            "picket::lanes",
            "picket::archive",
            "picket::lifecycle",
            "picket::api",
            "picket_journal",
        ],
        except: &[],
        reason: "rules are tried without an agent, and nothing of it is committed or sent",
    },
    Wall {
        from: "plugins/",
        not: &["picket", "picket_sandbox", "picket_journal", "picket_series", "wit_bindgen"],
        except: &[],
        reason: "first-party plugins use what every plugin author has: the SDK",
    },
    Wall {
        from: "sdk/",
        not: &["picket", "picket_sandbox", "picket_journal", "picket_series"],
        except: &[],
        reason: "the SDK is the guest's side and shares only the WIT with the host",
    },
];

/// Crate roots that cannot forbid unsafe code, and why.
pub(super) const UNSAFE_ROOTS: &[(&str, &str)] = &[
    (
        "host/sandbox/src/lib.rs",
        "loading compiled code is unsafe in wasmtime; the one place is in the component cache",
    ),
    ("sdk/src/lib.rs", "the generated bindings speak the component model's binary interface"),
];

/// Half of the files have at most so many lines that are no tests.
pub(super) const MEDIAN_LINES: usize = 150;
/// Nine of ten files have at most so many.
pub(super) const NINTH_DECILE_LINES: usize = 400;
/// A longer file says at its top why, in a line that begins with this.
pub(super) const LONG_FILE_REASON: &str = "//! Long because";
/// From here on it has to.
pub(super) const LONG_FILE_LINES: usize = 700;
