// Package stream is how instances share work through Redis without a coordinator.
//
// Work is spread over sixteen shards ([Shard]); every key of a shard carries its hash
// tag, so the package works on Redis Cluster too. [Leases] give each shard to one
// instance at a time, and [Group] reads a shard's stream in order, so that a new owner
// starts with what the last one left unfinished.
//
// # What holds
//
//   - A shard has at most one owner. An owner is told to stop at 4/5 of the time after
//     which its lease could expire, counted from before the renewal was sent.
//   - A stale owner cannot take entries from a stream: [Group] reads through a script
//     that compares the lease first, and whatever blocks only waits and takes nothing.
//   - Every entry is read until it is acknowledged, first in the order it was added.
//
// # What does not
//
// Redis losing its data also loses the leases: for up to a tenth of the lease's life,
// until the next look at it, a shard may have two owners. A process that is frozen
// (SIGSTOP, a suspended machine) for longer than a lease notices only when it thaws;
// it reads nothing, but a handler it was in the middle of goes on until it notices.
package stream
