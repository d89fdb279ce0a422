//! The memory of the control plane: queue, waiting polls, commands in flight, records, faults. One lock, held briefly.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::command::Expected;
use super::faults::{Fault, On};
use super::plane::Options;
use super::records::{Log, PollRecord, ResponseRecord, Seen};

/// How many answered commands are remembered, to tell a second answer from an unknown one.
const REMEMBERED: usize = 20_000;

/// A command waiting to be polled.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The element of `commands`.
    pub text: String,
    /// Its request id, when readable.
    pub request_id: Option<String>,
    /// Its canonical channel, when it names a valid one.
    pub channel: Option<String>,
}

/// A command the lab waits for answers to.
pub struct Pending {
    /// What the answers must look like.
    pub expected: Expected,
    /// When it was first delivered.
    pub delivered: Option<Instant>,
    /// Where answers go, for a call that came through the hosted endpoint.
    pub sink: Option<mpsc::UnboundedSender<ResponseRecord>>,
    /// Whether its terminal answer came.
    pub done: bool,
}

struct Waiter {
    number: u64,
    limit: usize,
    channels: Vec<String>,
    give: oneshot::Sender<Vec<Queued>>,
}

/// What the lock guards.
pub struct Inner {
    queue: VecDeque<Queued>,
    waiters: VecDeque<Waiter>,
    done: VecDeque<String>,
    faults: Vec<Fault>,
    most_waiters: usize,
    /// Keys that are accepted besides the one of the options.
    pub more_keys: Vec<String>,
    /// Commands by request id.
    pub pending: HashMap<String, Pending>,
    /// Every poll.
    pub polls: Log<PollRecord>,
    /// Every response POST whose body could be read.
    pub responses: Log<ResponseRecord>,
    /// Every metadata fetch.
    pub metadata: Log<Seen>,
    /// The counters of the listener for agents.
    pub server: Option<std::sync::Arc<super::server::Shared>>,
    /// Every departure from the contract.
    pub violations: Vec<String>,
}

/// The whole state.
pub struct State {
    /// How the control plane was started.
    pub options: Options,
    inner: Mutex<Inner>,
    changed: Notify,
    numbers: AtomicU64,
}

impl Inner {
    /// Gives queued commands to waiting polls, the longest waiting first.
    fn feed(&mut self) {
        let mut at = 0;
        while at < self.waiters.len() && !self.queue.is_empty() {
            let waiter = &self.waiters[at];
            let taken = take(&mut self.queue, waiter.limit, &waiter.channels);
            if taken.is_empty() {
                at += 1;
            } else if let Some(waiter) = self.waiters.remove(at)
                && let Err(back) = waiter.give.send(taken)
            {
                self.put_back(back);
            }
        }
    }

    fn put_back(&mut self, commands: Vec<Queued>) {
        for command in commands.into_iter().rev() {
            self.queue.push_front(command);
        }
    }

    /// Appends a violation; the list stops growing at 1,000.
    pub fn violation(&mut self, why: impl Into<String>) {
        if self.violations.len() < 1_000 {
            self.violations.push(why.into());
        }
    }

    /// Commands waiting to be polled.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The most polls that ever waited at the same time.
    pub fn most_waiters(&self) -> usize {
        self.most_waiters
    }

    /// Marks the terminal answer of a command.
    pub fn finish(&mut self, request_id: &str) {
        if let Some(pending) = self.pending.get_mut(request_id) {
            pending.done = true;
            pending.sink = None;
            self.done.push_back(request_id.to_owned());
            if self.done.len() > REMEMBERED
                && let Some(old) = self.done.pop_front()
            {
                self.pending.remove(&old);
            }
        }
    }
}

fn take(queue: &mut VecDeque<Queued>, limit: usize, channels: &[String]) -> Vec<Queued> {
    let wanted = |c: &Queued| match &c.channel {
        Some(channel) => channels.is_empty() || channels.contains(channel),
        None => true,
    };
    let mut taken = Vec::new();
    let mut at = 0;
    while taken.len() < limit && at < queue.len() {
        if queue.get(at).is_some_and(wanted) {
            taken.extend(queue.remove(at));
        } else {
            at += 1;
        }
    }
    taken
}

impl State {
    /// An empty state.
    pub fn new(options: Options) -> Self {
        let keep = options.keep;
        let inner = Inner {
            queue: VecDeque::new(),
            waiters: VecDeque::new(),
            done: VecDeque::new(),
            faults: Vec::new(),
            most_waiters: 0,
            more_keys: Vec::new(),
            pending: HashMap::new(),
            polls: Log::new(keep),
            responses: Log::new(keep),
            metadata: Log::new(keep),
            server: None,
            violations: Vec::new(),
        };
        // A control plane that is started again must not give out the ids of its last life: agents remember them.
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let first = u64::try_from(since.as_nanos()).unwrap_or(1);
        Self { options, inner: Mutex::new(inner), changed: Notify::new(), numbers: AtomicU64::new(first) }
    }

    /// The lock.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Wakes whoever waits for something to be recorded.
    pub fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// A number never given before, by this control plane or the one that ran here before it.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a command given as text; `sink` receives its answers.
    pub fn enqueue(&self, text: String, sink: Option<mpsc::UnboundedSender<ResponseRecord>>) {
        let expected = Expected::read(&text);
        let queued = Queued {
            request_id: expected.as_ref().map(|e| e.request_id.clone()),
            channel: expected.as_ref().and_then(|e| e.channel.clone()),
            text,
        };
        let mut inner = self.lock();
        if let Some(expected) = expected {
            let id = expected.request_id.clone();
            let fresh = Pending { expected, delivered: None, sink, done: false };
            inner.pending.entry(id).or_insert(fresh);
        }
        inner.queue.push_back(queued);
        inner.feed();
    }

    /// Takes the next fault for this kind of request.
    pub fn take_fault(&self, on: On) -> Option<Fault> {
        let mut inner = self.lock();
        let at = inner.faults.iter().position(|f| f.on == on || f.on == On::Any)?;
        let fault = inner.faults.get_mut(at)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if fault.times > 1 {
            fault.times -= 1;
            return Some(fault.clone());
        }
        Some(inner.faults.remove(at))
    }

    /// Adds a fault behind those already there.
    pub fn add_fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Waits for commands, at most `timeout`; an empty list means that none came. If the future is dropped, commands
    /// already given to it go back to the head of the queue.
    pub async fn poll(&self, limit: usize, channels: Vec<String>, timeout: Duration) -> Vec<Queued> {
        let (give, receiver) = oneshot::channel();
        let number = self.number();
        {
            let mut inner = self.lock();
            inner.waiters.push_back(Waiter { number, limit, channels, give });
            inner.most_waiters = inner.most_waiters.max(inner.waiters.len());
            inner.feed();
        }
        let mut seat = Seat { state: self, number, receiver };
        match tokio::time::timeout(timeout, &mut seat.receiver).await {
            Ok(Ok(commands)) => commands,
            // Whatever was given in the last moment is still taken.
            _ => seat.leave(),
        }
    }

    /// Queues commands again, in front, as if they had never been delivered.
    pub fn put_back(&self, commands: Vec<Queued>) {
        let mut inner = self.lock();
        inner.put_back(commands);
        inner.feed();
    }

    /// Waits until `found` sees what it looks for.
    pub async fn wait_for<T>(
        &self,
        timeout: Duration,
        mut found: impl FnMut(&mut Inner) -> Option<T>,
    ) -> Option<T> {
        let end = tokio::time::Instant::now() + timeout;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(it) = found(&mut self.lock()) {
                return Some(it);
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return found(&mut self.lock());
            }
        }
    }
}

struct Seat<'a> {
    state: &'a State,
    number: u64,
    receiver: oneshot::Receiver<Vec<Queued>>,
}

impl Seat<'_> {
    fn leave(&mut self) -> Vec<Queued> {
        let mut inner = self.state.lock();
        inner.waiters.retain(|w| w.number != self.number);
        self.receiver.try_recv().unwrap_or_default()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let left = self.leave();
        if !left.is_empty() {
            self.state.put_back(left);
        }
    }
}
