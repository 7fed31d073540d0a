//! Machines over SSH, with a real server.
