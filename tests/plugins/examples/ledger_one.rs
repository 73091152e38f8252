//! Version 1 of the ledger.

type Ledger = picket_test_plugins::Ledger<1>;

picket_sdk::register!(Ledger: Analyzer);
