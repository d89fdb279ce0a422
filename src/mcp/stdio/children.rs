//! Which children a binding has, and what is known about those that it has not.

use std::sync::Arc;

use tokio::time::Instant;

use super::child::Child;
use super::settings::Timing;
use crate::ipc::msg::Era;

/// Where a call for an era goes.
#[derive(Debug)]
pub(super) enum Pick {
    /// To this child.
    Child(Arc<Child>),
    /// Ask for a child, then wait.
    Want {
        /// The last child that came.
        seen: u32,
    },
    /// One has been asked for: wait.
    Wait,
    /// Nowhere: none will come soon.
    None,
}

#[derive(Debug, Default)]
struct Place {
    child: Option<Arc<Child>>,
    /// The last child of this era, to know whom a late message is about.
    generation: Option<u32>,
    /// When one was asked for, unless the broker has answered since.
    wanted: Option<Instant>,
    /// When the broker will start the next.
    retry_at: Option<Instant>,
}

/// The children of a binding: one for each era at most, and one that has none yet.
#[derive(Debug)]
pub(super) struct Children {
    session: Place,
    stateless: Place,
    fresh: Option<Arc<Child>>,
    /// The generation of the last child that came.
    seen: u32,
    timing: Timing,
    closed: bool,
}

impl Children {
    pub(super) fn new(timing: Timing) -> Self {
        let (session, stateless) = (Place::default(), Place::default());
        Self { session, stateless, fresh: None, seen: 0, timing, closed: false }
    }

    fn place(&mut self, era: Era) -> &mut Place {
        match era {
            Era::Session => &mut self.session,
            Era::Stateless => &mut self.stateless,
        }
    }

    /// Takes a child in; returns the one that it replaces.
    pub(super) fn attach(&mut self, child: Arc<Child>, era: Option<Era>) -> Option<Arc<Child>> {
        if self.closed {
            return Some(child);
        }
        self.seen = self.seen.max(child.generation);
        let Some(era) = era else {
            // It may have come in the place of what was asked for: whoever does not get it asks again.
            self.session.wanted = None;
            self.stateless.wanted = None;
            return self.fresh.replace(child);
        };
        let generation = Some(child.generation);
        let old = std::mem::take(self.place(era));
        *self.place(era) = Place { child: Some(child), generation, wanted: None, retry_at: None };
        old.child
    }

    /// Decides where a call goes. A child without an era takes the call's.
    pub(super) fn pick(&mut self, era: Era) -> Pick {
        if self.closed {
            return Pick::None;
        }
        if let Some(child) = &self.place(era).child {
            return Pick::Child(Arc::clone(child));
        }
        if let Some(child) = self.fresh.take() {
            self.attach(Arc::clone(&child), Some(era));
            return Pick::Child(child);
        }
        let timing = self.timing;
        let place = self.place(era);
        if place.retry_at.is_some_and(|at| at.saturating_duration_since(Instant::now()) > timing.patience) {
            return Pick::None;
        }
        if place.wanted.is_some_and(|since| since.elapsed() < timing.wait) {
            return Pick::Wait;
        }
        place.wanted = Some(Instant::now());
        Pick::Want { seen: self.seen }
    }

    /// Takes out the child of this generation. `retry_at` holds for its era, or, when it had none or was never
    /// here, for every era without a child.
    pub(super) fn gone(&mut self, generation: u32, retry_at: Option<Instant>) -> Option<Arc<Child>> {
        let fresh = self.fresh.take_if(|child| child.generation == generation);
        let named = [Era::Session, Era::Stateless]
            .into_iter()
            .find(|e| self.place(*e).generation == Some(generation));
        if let Some(era) = named {
            let place = self.place(era);
            place.wanted = None;
            place.retry_at = retry_at;
            return place.child.take();
        }
        for era in [Era::Session, Era::Stateless] {
            let place = self.place(era);
            if place.child.is_none() {
                place.wanted = None;
                place.retry_at = retry_at;
            }
        }
        fresh
    }

    /// Takes a child out; `true` when it was here, so that its loss is news.
    pub(super) fn detach(&mut self, child: &Arc<Child>) -> bool {
        let same = |here: &mut Arc<Child>| Arc::ptr_eq(here, child);
        let found = [&mut self.fresh, &mut self.session.child, &mut self.stateless.child]
            .into_iter()
            .find_map(|place| place.take_if(same));
        found.is_some() && !self.closed
    }

    /// All children.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Child>> {
        [&self.fresh, &self.session.child, &self.stateless.child].into_iter().flatten()
    }

    /// No more children and calls; returns those there are.
    pub(super) fn close(&mut self) -> Vec<Arc<Child>> {
        self.closed = true;
        self.all().cloned().collect()
    }
}
