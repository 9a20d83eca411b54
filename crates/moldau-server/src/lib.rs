//! Sockets, framing and the hot requests; everything else goes through `ControlPlane`.
