// Package txn is the transaction coordinator (KIP-98, KIP-360, KIP-890).
//
// Transactional ids are spread over the partitions of __transaction_state by a hash of their name;
// one shard serves each partition that this node leads. A shard is a state machine over that
// partition's log, written in Kafka's own record format: what an id's producer is and what its
// transaction has come to changes only when a record has been committed, in log order, by the
// code that also replays the log after an election. So the next coordinator finishes what the
// last one had decided: a transaction that is prepared gets its markers from whoever leads.
//
// Each shard has one mutex, and one batch is on its way into the log at a time. Requests are decided
// when everything before them that concerns the same id has been applied; therefore no decision
// has to look at what another one may still become.
package txn
