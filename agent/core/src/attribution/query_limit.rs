//! How much is looked up: the thread that does it serves all containers of the node, and reads files and sockets for
//! each query.
use std::{collections::HashMap, num::NonZeroUsize};

use lru::LruCache;

use crate::model::identity::Query;

/// A query is not sent again within this time, though its reply may have been empty.
const AGAIN_NS: u64 = 1_000_000_000;
/// Queries that are remembered for that.
const MAX_SENT: NonZeroUsize = NonZeroUsize::new(512).expect("it is above 0");
/// Queries in a second about creations of one user other than root.
const MAX_OF_USER: u32 = 10;
/// Users other than root with queries in a second.
const MAX_USERS: usize = 64;

/// Limits queries by what was sent, and when.
pub(crate) struct QueryLimit {
    sent: LruCache<Query, u64>,
    /// When the present second began, and what each user has sent in it.
    second_ns: u64,
    users: HashMap<u32, u32>,
}

impl Default for QueryLimit {
    fn default() -> Self {
        Self { sent: LruCache::new(MAX_SENT), second_ns: 0, users: HashMap::new() }
    }
}

impl QueryLimit {
    /// Whether a query about a creation of this user may be sent now; counts it as sent then.
    pub(crate) fn admit(&mut self, query: &Query, user: Option<u32>, now_ns: u64) -> bool {
        let recently = |sent_ns: &u64| now_ns.saturating_sub(*sent_ns) < AGAIN_NS;
        if self.sent.peek(query).is_some_and(recently) || !self.has_left(user, now_ns) {
            return false;
        }
        self.sent.put(query.clone(), now_ns);
        true
    }

    fn has_left(&mut self, user: Option<u32>, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.second_ns) >= AGAIN_NS {
            self.second_ns = now_ns;
            self.users.clear();
        }
        let Some(user) = user.filter(|user| *user != 0) else { return true };
        if self.users.len() >= MAX_USERS && !self.users.contains_key(&user) {
            return false;
        }
        let sent = self.users.entry(user).or_default();
        *sent += 1;
        *sent <= MAX_OF_USER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn of(number: u32) -> Query {
        Query::Pod { uid: number.to_string() }
    }

    #[test]
    fn a_query_is_sent_once_in_a_second() {
        let mut limit = QueryLimit::default();
        assert!(limit.admit(&of(1), Some(0), 5 * SECOND));
        assert!(!limit.admit(&of(1), Some(0), 6 * SECOND - 1));
        assert!(limit.admit(&of(1), Some(0), 6 * SECOND), "failed lookups are tried again");
    }

    #[test]
    fn a_user_leaves_the_others_their_queries() {
        let mut limit = QueryLimit::default();
        let sent = |limit: &mut QueryLimit, user, from: u32| {
            (from..from + 1000).filter(|n| limit.admit(&of(*n), user, 5 * SECOND)).count()
        };
        assert_eq!(sent(&mut limit, Some(1000), 0), MAX_OF_USER as usize);
        assert_eq!(sent(&mut limit, Some(1001), 1000), MAX_OF_USER as usize);
        assert_eq!(sent(&mut limit, Some(0), 2000), 1000);
        assert_eq!(sent(&mut limit, None, 3000), 1000, "whose it is was not seen");
        for user in 2000..9000 {
            limit.admit(&of(user), Some(user), 5 * SECOND);
        }
        assert_eq!(limit.users.len(), MAX_USERS);
        assert!(limit.admit(&of(9000), Some(1000), 6 * SECOND));
    }
}
