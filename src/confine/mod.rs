//! What each process may do, and the steps that take everything else away. Used by broker, worker and launch at their
//! start, and by the `confinement` command.
//!
//! The steps cannot be undone, so they have an order, and each takes a proof that only the step before it gives:
//! [`Single`] → [`Unprivileged`] → [`Fenced`] → [`Sealed`]. Nothing here has a way to leave a step out.

pub mod seccomp;
