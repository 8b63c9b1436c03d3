//! The test kit: a virtual clock, a virtual network and the contract property test.
