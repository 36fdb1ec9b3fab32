// Package group is the coordinator of classic consumer groups: membership, rebalances and
// committed offsets.
//
// Groups are spread over the partitions of __consumer_offsets by a hash of their name; one shard
// serves each partition that this node leads. A shard is a state machine over that partition's
// log, written in Kafka's own record format. What the log says (committed offsets, the members
// and assignments of each group's last complete generation) changes only when a record has
// been committed, in log order, by the code that also replays the log after an election.
// What is lost with a leader (who is waiting, deadlines, rebalances under way) is kept beside it.
//
// Each shard has one mutex. Requests that must wait leave their response with the shard and
// are answered by events: another member's request, a deadline, a commit.
package group
