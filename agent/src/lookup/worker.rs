//! The lookup thread's work. Each query gets a reply from files at once, and another one when the
//! runtime's API has answered or its records have appeared.
mod cri_queue;
mod retries;
mod sources;

use std::{
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
};

use fragwatch_core::model::identity::{Identity, Query, Reply};
use tokio::sync::{Notify, mpsc::Receiver};

use crate::lookup::worker::{
    cri_queue::{CriQueue, CriResult},
    retries::{Retries, Retry},
};

pub(super) use self::sources::Sources;

/// The source's name in warnings.
const CRI: &str = "the runtime's CRI";

pub(super) struct Worker {
    sources: Sources,
    replies: SyncSender<Reply>,
    notify: Arc<Notify>,
    retries: Retries,
    cri: CriQueue,
}

impl Worker {
    pub(super) fn new(root: PathBuf, replies: SyncSender<Reply>, notify: Arc<Notify>) -> Self {
        Self {
            cri: CriQueue::new(root.clone()),
            sources: Sources::new(root),
            replies,
            notify,
            retries: Retries::new(),
        }
    }

    /// Answers queries until the channel is closed.
    pub(super) async fn run(mut self, mut queries: Receiver<Query>) {
        // A first lookup brings code and buffers into memory before memory is short.
        let no_id = "0".repeat(64);
        self.sources.look_up(&Query::Container { pod_uid: Some(no_id.clone()), id: no_id });
        loop {
            for (query, identities) in self.cri.start_calls() {
                self.reply(query, identities);
            }
            tokio::select! {
                // In this order, because a report waits for the first reply to a query.
                biased;
                query = queries.recv() => match query {
                    Some(query) => self.answer(query),
                    None => return,
                },
                Some(result) = self.cri.next_result() => self.take_cri_result(result),
                () = self.retries.due() => self.retry(),
            }
        }
    }

    /// The first reply to a query, from files.
    fn answer(&mut self, query: Query) {
        let identities = self.sources.look_up(&query);
        let is_named = identities.iter().any(|found| found.pod.is_some() || found.name.is_some());
        if !is_named {
            self.cri.push(&query, &identities);
        }
        let is_incomplete = match query {
            // Some runtimes write a record only after the container was created.
            Query::Container { .. } => identities.iter().all(|found| found.runtime.is_none()),
            Query::Pod { .. } => false,
            Query::Netns { .. } | Query::Starting { .. } => true,
        };
        if is_incomplete {
            self.schedule(&query, 0);
        }
        self.reply(query, identities);
    }

    /// Schedules a retry; the query that it displaces gets its last reply.
    fn schedule(&mut self, query: &Query, tries: usize) {
        if let Some(displaced) = self.retries.push(query, tries) {
            self.reply(displaced, Vec::new());
        }
    }

    /// Looks again for the records that are due.
    fn retry(&mut self) {
        let due = self.retries.take_due();
        let created_ms = |retry: &Retry| match retry.query {
            Query::Netns { made_ms, .. } => Some(made_ms),
            _ => None,
        };
        // One scan of the records serves all network namespaces.
        let owners = due.iter().filter_map(created_ms).min();
        let owners = owners.map(|since| self.sources.netns_owners(since)).unwrap_or_default();
        for Retry { query, tries, .. } in due {
            let identities: Vec<Identity> = match query {
                Query::Netns { inode, made_ms } => {
                    owners.find(inode, made_ms).cloned().into_iter().collect()
                }
                _ => self.sources.look_up(&query),
            };
            if identities.is_empty() && retries::may_retry(&query, tries) {
                self.schedule(&query, tries);
            } else {
                self.reply(query, identities);
            }
        }
    }

    fn take_cri_result(&mut self, result: CriResult) {
        let CriResult { query, mut identities, response } = result;
        match response {
            Ok(found) => identities.extend(found),
            Err(error) => self.sources.warn(CRI, &error),
        }
        self.reply(query, identities);
    }

    /// Sends a reply. It is the last one unless a retry or a call for the query is outstanding.
    fn reply(&self, query: Query, identities: Vec<Identity>) {
        let last = !self.retries.contains(&query) && !self.cri.contains(&query);
        // If the channel is full, the reader has stopped; it needs no reply any more.
        if self.replies.try_send(Reply { query, identities, last }).is_ok() {
            self.notify.notify_one();
        }
    }
}
