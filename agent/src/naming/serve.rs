//! The thread's work: each question is answered from files at once, and again when the runtime's API has
//! answered, or its records have come.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    future, io,
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc::Receiver},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    cri::{self, CriError},
    docker, pod_logs, starting, state,
};
use crate::container::{
    is_id,
    known::{Answer, Known, Question},
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
/// That nobody knew a name stays true for this long.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Questions remembered for that.
const MAX_UNKNOWN: usize = 1024;

pub(super) struct Server {
    root: PathBuf,
    answers: SyncSender<Answer>,
    bell: Arc<Notify>,
    /// Sources whose failure was told.
    told: HashSet<&'static str>,
    /// Since when nobody knew.
    unknown: HashMap<Question, Instant>,
    open: VecDeque<Open>,
    cri_waiting: VecDeque<Question>,
    cri_rests_until: Option<Instant>,
}

/// A question to be looked at again.
struct Open {
    question: Question,
    at: Instant,
    tries: usize,
}

impl Open {
    fn new(question: &Question) -> Self {
        Self { question: question.clone(), at: Instant::now() + delay(question, 0), tries: 1 }
    }
}

type CriAnswers = JoinSet<(Question, Result<Vec<Known>, CriError>)>;

impl Server {
    pub(super) fn new(root: PathBuf, answers: SyncSender<Answer>, bell: Arc<Notify>) -> Self {
        Self {
            root,
            answers,
            bell,
            told: HashSet::new(),
            unknown: HashMap::new(),
            open: VecDeque::new(),
            cri_waiting: VecDeque::new(),
            cri_rests_until: None,
        }
    }

    /// Answers until nobody asks any more.
    pub(super) async fn run(mut self, mut questions: Receiver<Question>) {
        let mut asked = CriAnswers::new();
        loop {
            self.ask_cri(&mut asked);
            let next = self.open.iter().map(|open| open.at).min();
            tokio::select! {
                question = questions.recv() => match question {
                    Some(question) => self.take(question),
                    None => return,
                },
                () = at(next) => self.look_again(),
                Some(answered) = asked.join_next(), if !asked.is_empty() => {
                    // It was not cancelled, and no task of ours panics; if one did, it stays unanswered.
                    if let Ok((question, answer)) = answered {
                        self.take_cri(question, answer);
                    }
                }
            }
        }
    }

    fn take(&mut self, question: Question) {
        let now = Instant::now();
        if self.unknown.get(&question).is_some_and(|since| now - *since < UNKNOWN_FOR) {
            self.answer(question, Vec::new(), true);
            return;
        }
        let known = self.look(&question);
        match &question {
            Question::Container { .. } | Question::Pod { .. } => {
                let named = known.iter().any(|known| known.pod.is_some() || known.name.is_some());
                let asks = !named && self.may_ask_cri();
                // Some runtimes leave a record only when the container is there.
                let waits = !asks
                    && matches!(question, Question::Container { .. })
                    && known.iter().all(|known| known.runtime.is_none());
                if asks {
                    self.cri_waiting.push_back(question.clone());
                }
                if waits {
                    self.keep_open(Open::new(&question));
                }
                self.answer(question, known, !asks && !waits);
            }
            Question::Netns { .. } | Question::Starting { .. } => {
                let last = matches!(question, Question::Netns { .. }) && !known.is_empty();
                if !last {
                    self.keep_open(Open::new(&question));
                }
                self.answer(question, known, last);
            }
        }
    }

    fn keep_open(&mut self, open: Open) {
        if self.open.len() == MAX_OPEN
            && let Some(oldest) = self.open.pop_front()
        {
            self.answer(oldest.question, Vec::new(), true);
        }
        self.open.push_back(open);
    }

    /// Looks for records that may have come since.
    fn look_again(&mut self) {
        let now = Instant::now();
        let (due, later) = self.open.drain(..).partition(|open| open.at <= now);
        self.open = later;
        let due: VecDeque<Open> = due;
        for open in due {
            let known = self.look(&open.question);
            let wants_more = match open.question {
                Question::Netns { .. } => known.is_empty() && open.tries < AGAIN.len(),
                _ => false,
            };
            if wants_more {
                let at = now + delay(&open.question, open.tries);
                self.open.push_back(Open { at, tries: open.tries + 1, ..open });
            } else {
                self.answer(open.question, known, true);
            }
        }
    }

    /// What files tell.
    fn look(&mut self, question: &Question) -> Vec<Known> {
        let mut known = Vec::new();
        match question {
            Question::Container { id, pod_uid } => {
                if is_id(id) {
                    let found = state::container(&self.root, id);
                    known.extend(self.or_tell("the runtime's state", found).unwrap_or_default());
                    let found = docker::container(&self.root, id);
                    known.extend(self.or_tell("Docker's configuration", found).flatten());
                }
                if let Some(uid) = pod_uid {
                    let found = pod_logs::pod(&self.root, uid);
                    known.extend(self.or_tell("/var/log/pods", found).flatten());
                }
            }
            Question::Pod { uid } => {
                let found = pod_logs::pod(&self.root, uid);
                known.extend(self.or_tell("/var/log/pods", found).flatten());
            }
            Question::Netns { inode, made_ms } => {
                let found = state::of_netns(&self.root, *inode, *made_ms);
                known.extend(self.or_tell("the runtime's state", found).flatten());
            }
            Question::Starting { comm, at_ms } => {
                let found = starting::candidates(&self.root, comm, *at_ms);
                known.extend(self.or_tell("the runtime's log", found).unwrap_or_default());
            }
        }
        known
    }

    /// Says once of each source that it can't be read.
    fn or_tell<T>(&mut self, source: &'static str, found: io::Result<T>) -> Option<T> {
        found.map_err(|error| self.tell(source, &error)).ok()
    }

    fn tell(&mut self, source: &'static str, error: &dyn std::error::Error) {
        let error = crate::units::printable(&error.to_string());
        if self.told.insert(source) {
            log::warn!(
                "containers' names could not be read from {source}: {error}; what only that knows is \
                 not told, and this not said again"
            );
        } else {
            log::debug!("containers' names could not be read from {source}: {error}");
        }
    }

    fn may_ask_cri(&self) -> bool {
        self.cri_rests_until.is_none_or(|until| Instant::now() >= until)
            && self.cri_waiting.len() < MAX_CRI_WAITING
            && cri::socket(&self.root).is_some()
    }

    /// Asks the API what waits, as far as there is room.
    fn ask_cri(&mut self, asked: &mut CriAnswers) {
        while asked.len() < MAX_CRI
            && let Some(question) = self.cri_waiting.pop_front()
        {
            match cri::socket(&self.root)
                .filter(|_| self.cri_rests_until.is_none_or(|until| Instant::now() >= until))
            {
                Some((socket, runtime)) => {
                    asked.spawn(async move {
                        let answer = cri::ask(socket, runtime, question.clone()).await;
                        (question, answer)
                    });
                }
                None => self.answer(question, Vec::new(), true),
            }
        }
    }

    fn take_cri(&mut self, question: Question, answer: Result<Vec<Known>, CriError>) {
        let known = answer.unwrap_or_else(|error| {
            self.cri_rests_until = Some(Instant::now() + CRI_REST);
            self.tell("the runtime's CRI", &error);
            Vec::new()
        });
        if known.is_empty() {
            if self.unknown.len() >= MAX_UNKNOWN {
                self.unknown.clear();
            }
            self.unknown.insert(question.clone(), Instant::now());
        }
        self.answer(question, known, true);
    }

    fn answer(&self, question: Question, known: Vec<Known>, last: bool) {
        // Full: whoever asked has stopped reading, and what it asked is old by then.
        if self.answers.try_send(Answer { question, known, last }).is_ok() {
            self.bell.notify_one();
        }
    }
}

/// Until a question is looked at once more.
fn delay(question: &Question, tries: usize) -> Duration {
    match question {
        Question::Netns { .. } => AGAIN[tries.min(AGAIN.len() - 1)],
        _ => ONCE_AGAIN,
    }
}

async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => future::pending().await,
    }
}
