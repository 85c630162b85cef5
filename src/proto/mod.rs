//! Mail protocols as conversations without sockets.
