//! The stateless load balancer, without I/O.
