//! NAT tests on a received message.
