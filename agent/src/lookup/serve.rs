//! The thread's work: each query is answered from files at once, and again when the runtime's API has
//! answered, or its records have come.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    future, io,
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use fragwatch_core::model::{
    container::is_id,
    identity::{Identity, Query, Reply},
};
use tokio::{
    sync::{Notify, mpsc::Receiver},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::lookup::{
    cri::{self, CriError},
    docker,
    files::Found,
    pod_logs, starting, state,
};

/// Questions to the API that are under way at a time, and those that wait to be.
const MAX_CRI: usize = 4;
const MAX_CRI_WAITING: usize = 64;
/// After a failure the API is left alone for this long.
const CRI_REST: Duration = Duration::from_secs(10);
/// Questions whose record is still to come; the oldest is given up for another.
const MAX_OPEN: usize = 64;
/// When a runtime's record is looked for again, after the one before.
const AGAIN: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// When its log is, which it writes to a moment later, and what it keeps of a container itself.
const ONCE_AGAIN: Duration = Duration::from_secs(1);
/// Looks at the same time of what is due within it.
const TICK: Duration = Duration::from_millis(250);
/// That the API does not know a name stays true for this long.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Questions remembered for that.
const MAX_UNKNOWN: usize = 1024;

/// What people call it.
const STATE: &str = "the runtime's state";

pub(super) struct Server {
    root: PathBuf,
    replies: SyncSender<Reply>,
    bell: Arc<Notify>,
    began: Instant,
    /// Sources whose failure was told.
    told: HashSet<&'static str>,
    /// What the API does not know, and since when.
    unknown: HashMap<Query, Instant>,
    open: VecDeque<Open>,
    /// What files told of them goes with the API's reply.
    cri_waiting: VecDeque<(Query, Vec<Identity>)>,
    cri_asked: HashSet<Query>,
    cri_rests_until: Option<Instant>,
}

/// A query to be looked at again.
struct Open {
    query: Query,
    at: Instant,
    tries: usize,
}

/// A query, what files told of it, and what the API says.
type CriAnswers = JoinSet<(Query, Vec<Identity>, Result<Vec<Identity>, CriError>)>;

impl Server {
    pub(super) fn new(root: PathBuf, replies: SyncSender<Reply>, bell: Arc<Notify>) -> Self {
        Self {
            root,
            replies,
            bell,
            began: Instant::now(),
            told: HashSet::new(),
            unknown: HashMap::new(),
            open: VecDeque::new(),
            cri_waiting: VecDeque::new(),
            cri_asked: HashSet::new(),
            cri_rests_until: None,
        }
    }

    /// Answers until nobody asks any more.
    pub(super) async fn run(mut self, mut queries: Receiver<Query>) {
        // Once now, for nobody: what it takes is there then when memory is short.
        let nobody = "0".repeat(64);
        self.look(&Query::Container { pod_uid: Some(nobody.clone()), id: nobody });
        let mut asked = CriAnswers::new();
        loop {
            self.ask_cri(&mut asked);
            let next = self.open.iter().map(|open| open.at).min();
            tokio::select! {
                // In this order: who asks now waits for it.
                biased;
                query = queries.recv() => match query {
                    Some(query) => self.take(query),
                    None => return,
                },
                Some(answered) = asked.join_next(), if !asked.is_empty() => {
                    // It was not cancelled, and no task of ours panics; if one did, it stays unanswered.
                    if let Ok((query, known, reply)) = answered {
                        self.take_cri(query, known, reply);
                    }
                }
                () = at(next) => self.look_again(),
            }
        }
    }

    fn take(&mut self, query: Query) {
        let known = self.look(&query);
        let asks = self.may_ask_cri(&query)
            && !known.iter().any(|known| known.pod.is_some() || known.name.is_some());
        let waits = match query {
            // Some runtimes leave a record only when the container is there.
            Query::Container { .. } => known.iter().all(|known| known.runtime.is_none()),
            Query::Pod { .. } => false,
            Query::Netns { .. } | Query::Starting { .. } => true,
        };
        if asks {
            self.cri_waiting.push_back((query.clone(), known.clone()));
            self.cri_asked.insert(query.clone());
        }
        if waits {
            self.keep_open(&query, 0);
        }
        self.reply(query, known);
    }

    fn keep_open(&mut self, query: &Query, tries: usize) {
        if self.open.len() == MAX_OPEN
            && let Some(oldest) = self.open.pop_front()
        {
            self.reply(oldest.query, Vec::new());
        }
        let delay = match query {
            Query::Netns { .. } => AGAIN[tries.min(AGAIN.len() - 1)],
            _ => ONCE_AGAIN,
        };
        // All that is due in the same tick is found in one look.
        let due = (self.began.elapsed() + delay).as_millis().div_ceil(TICK.as_millis());
        let at = self.began + TICK * u32::try_from(due).unwrap_or(u32::MAX);
        self.open.push_back(Open { query: query.clone(), at, tries: tries + 1 });
    }

    /// Looks for records that may have come since.
    fn look_again(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<Open>, Vec<Open>) =
            self.open.drain(..).partition(|open| open.at <= now);
        self.open = later.into();
        let made = |open: &Open| match open.query {
            Query::Netns { made_ms, .. } => Some(made_ms),
            _ => None,
        };
        let owners = match due.iter().filter_map(made).min() {
            Some(since) => {
                let (owners, unread) = state::owners(&self.root, since);
                self.tell_unread(STATE, unread.as_ref());
                owners
            }
            None => Vec::new(),
        };
        for Open { query, tries, .. } in due {
            let known: Vec<Identity> = match query {
                Query::Netns { inode, made_ms } => {
                    state::owner_of(&owners, inode, made_ms).cloned().into_iter().collect()
                }
                _ => self.look(&query),
            };
            let is_netns = matches!(query, Query::Netns { .. });
            if is_netns && known.is_empty() && tries < AGAIN.len() {
                self.keep_open(&query, tries);
            } else {
                self.reply(query, known);
            }
        }
    }

    /// What files tell now.
    pub(super) fn look(&mut self, query: &Query) -> Vec<Identity> {
        match query {
            Query::Container { id, pod_uid } => {
                let mut known = Vec::new();
                if is_id(id) {
                    let found = state::container(&self.root, id, pod_uid.as_deref());
                    known = self.or_tell(STATE, found);
                    let mut found = Found::default();
                    let of_docker = docker::container(&self.root, id, pod_uid.as_deref());
                    let of_docker = found.read(of_docker).flatten();
                    found.known.extend(of_docker);
                    known.extend(self.or_tell("Docker's configuration", found));
                }
                if let Some(uid) = pod_uid {
                    known.extend(self.look_for_pod(uid));
                }
                known
            }
            Query::Pod { uid } => self.look_for_pod(uid),
            // Its record comes later than anybody asks.
            Query::Netns { .. } => Vec::new(),
            Query::Starting { comm, at_ms } => {
                let found = starting::candidates(&self.root, comm, *at_ms);
                self.or_tell("the runtime's log", found)
            }
        }
    }

    fn look_for_pod(&mut self, uid: &str) -> Vec<Identity> {
        let mut found = Found::default();
        let pod = pod_logs::pod(&self.root, uid);
        let pod = found.read(pod).flatten();
        found.known.extend(pod);
        self.or_tell("/var/log/pods", found)
    }

    /// What was found; says once of each source that not all of it can be read.
    fn or_tell(&mut self, source: &'static str, found: Found) -> Vec<Identity> {
        self.tell_unread(source, found.unread.as_ref());
        found.known
    }

    fn tell_unread(&mut self, source: &'static str, unread: Option<&io::Error>) {
        if let Some(error) = unread {
            self.tell(source, error);
        }
    }

    fn tell(&mut self, source: &'static str, error: &dyn std::error::Error) {
        let error = fragwatch_core::units::printable(&error.to_string());
        if self.told.insert(source) {
            log::warn!(
                "containers' names could not be read from {source}: {error}; what only that knows is \
                 not told, and this not said again"
            );
        } else {
            log::debug!("containers' names could not be read from {source}: {error}");
        }
    }

    /// Sources of which was told that they can't be read.
    #[cfg(test)]
    pub(super) fn told(&self) -> Vec<&'static str> {
        self.told.iter().copied().collect()
    }

    fn may_ask_cri(&self, query: &Query) -> bool {
        let asked = matches!(query, Query::Container { .. } | Query::Pod { .. });
        asked
            && !self.cri_rests()
            && !self.cri_asked.contains(query)
            && self.cri_waiting.len() < MAX_CRI_WAITING
            && self.unknown.get(query).is_none_or(|since| since.elapsed() >= UNKNOWN_FOR)
            && !cri::sockets(&self.root).is_empty()
    }

    fn cri_rests(&self) -> bool {
        self.cri_rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Asks the API what waits, as far as there is room.
    fn ask_cri(&mut self, asked: &mut CriAnswers) {
        while asked.len() < MAX_CRI
            && let Some((query, known)) = self.cri_waiting.pop_front()
        {
            if self.cri_rests() {
                self.cri_asked.remove(&query);
                self.reply(query, known);
                continue;
            }
            let sockets = cri::sockets(&self.root);
            asked.spawn(async move {
                let reply = cri::ask(sockets, &query).await;
                (query, known, reply)
            });
        }
    }

    fn take_cri(
        &mut self,
        query: Query,
        mut known: Vec<Identity>,
        reply: Result<Vec<Identity>, CriError>,
    ) {
        self.cri_asked.remove(&query);
        match reply {
            Ok(told) if told.is_empty() => {
                if self.unknown.len() >= MAX_UNKNOWN {
                    self.unknown.clear();
                }
                self.unknown.insert(query.clone(), Instant::now());
            }
            Ok(told) => known.extend(told),
            Err(error) => {
                self.cri_rests_until = Some(Instant::now() + CRI_REST);
                self.tell("the runtime's CRI", &error);
            }
        }
        self.reply(query, known);
    }

    /// Answers; it is the last reply if nothing that is under way can add to it.
    fn reply(&self, query: Query, known: Vec<Identity>) {
        let waits = self.open.iter().any(|open| open.query == query);
        let last = !waits && !self.cri_asked.contains(&query);
        // Full: whoever asked has stopped reading, and what it asked is old by then.
        if self.replies.try_send(Reply { query, identities: known, last }).is_ok() {
            self.bell.notify_one();
        }
    }
}

async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => future::pending().await,
    }
}
