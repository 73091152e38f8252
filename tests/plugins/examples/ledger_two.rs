//! Version 2 of the ledger.

type Ledger = picket_test_plugins::Ledger<2>;

picket_sdk::register!(Ledger: Analyzer);
