//! Which children a binding has, and what is known about those that it has not.

use std::sync::Arc;

use tokio::time::Instant;

use super::StdioEvent;
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
    /// On their way back to the broker, with the eras they have taken.
    parting: Vec<(Arc<Child>, Option<Era>)>,
    /// Given back after the end.
    returned: Vec<StdioEvent>,
    /// Until when another worker gives back the child that this one has asked for.
    elsewhere: Option<Instant>,
    /// The generation of the last child that came.
    seen: u32,
    timing: Timing,
    closed: bool,
}

impl Children {
    pub(super) fn new(timing: Timing) -> Self {
        let (session, stateless) = (Place::default(), Place::default());
        Self {
            session,
            stateless,
            fresh: None,
            parting: Vec::new(),
            returned: Vec::new(),
            elsewhere: None,
            seen: 0,
            timing,
            closed: false,
        }
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
        self.elsewhere = None;
        // It may have come in the place of what was asked for: whoever does not get it asks again.
        self.session.wanted = None;
        self.stateless.wanted = None;
        let Some(era) = era else {
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
            let place = self.place(era);
            (place.generation, place.child) = (Some(child.generation), Some(Arc::clone(&child)));
            (place.wanted, place.retry_at) = (None, None);
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
        let fresh = self.fresh.take_if(|child| child.generation == generation).or_else(|| {
            let at = self.parting.iter().position(|(child, _)| child.generation == generation);
            at.map(|at| self.parting.swap_remove(at).0)
        });
        let named = [Era::Session, Era::Stateless]
            .into_iter()
            .find(|e| self.place(*e).generation == Some(generation));
        if let Some(era) = named {
            let place = self.place(era);
            place.wanted = None;
            place.retry_at = retry_at;
            return place.child.take().or(fresh);
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
            .find_map(|place| place.take_if(same))
            .is_some();
        (found || self.handed(child).is_some()) && !self.closed
    }

    /// All children.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Child>> {
        let places = [&self.fresh, &self.session.child, &self.stateless.child];
        places.into_iter().flatten().chain(self.parting.iter().map(|(child, _)| child))
    }

    /// Takes a child out that is to be given back: no further call gets it.
    pub(super) fn part(&mut self, generation: u32) -> Option<Arc<Child>> {
        let same = |child: &mut Arc<Child>| child.generation == generation;
        let (child, era) = match self.fresh.take_if(same) {
            Some(child) => (child, None),
            None => [Era::Session, Era::Stateless]
                .into_iter()
                .find_map(|era| Some((self.place(era).child.take_if(same)?, Some(era))))?,
        };
        self.parting.push((Arc::clone(&child), era));
        Some(child)
    }

    /// Takes a child in again that need not be given back, unless it has been.
    pub(super) fn rejoin(&mut self, generation: u32) -> Option<Arc<Child>> {
        let at = self.parting.iter().position(|(child, _)| child.generation == generation)?;
        let (child, era) = self.parting.swap_remove(at);
        self.attach(Arc::clone(&child), era);
        Some(child)
    }

    /// A child has been given back; the era that it had taken. `None` when it was not to be.
    pub(super) fn handed(&mut self, child: &Arc<Child>) -> Option<Option<Era>> {
        let at = self.parting.iter().position(|(parting, _)| Arc::ptr_eq(parting, child))?;
        Some(self.parting.swap_remove(at).1)
    }

    /// Keeps an event for [`Children::leave`]; gives it back when this is not the end yet.
    pub(super) fn at_end(&mut self, event: StdioEvent) -> Option<StdioEvent> {
        if self.closed {
            self.returned.push(event);
            return None;
        }
        Some(event)
    }

    /// No more children and calls: all are on their way back.
    pub(super) fn close(&mut self) -> Vec<Arc<Child>> {
        self.closed = true;
        let all: Vec<u32> = self.all().map(|child| child.generation).collect();
        all.into_iter().for_each(|generation| drop(self.part(generation)));
        self.all().cloned().collect()
    }

    /// What was given back since [`Children::close`]; `None` while something still is on its way.
    pub(super) fn leave(&mut self, at_once: bool) -> Option<Vec<StdioEvent>> {
        (at_once || self.parting.is_empty()).then(|| std::mem::take(&mut self.returned))
    }

    /// Another worker has the child that was asked for.
    pub(super) fn elsewhere(&mut self, until: Option<Instant>) {
        self.elsewhere = until;
    }

    /// How long a call that came at `began` waits for a child.
    pub(super) fn patience(&self, began: Instant) -> Instant {
        let from = self.elsewhere.map_or(began, |until| until.max(began));
        from.checked_add(self.timing.wait).unwrap_or(from)
    }
}
