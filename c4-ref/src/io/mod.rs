//! The only sockets, clocks and tasks of the project.
