// Package outbox keeps messages that nobody waits for until they are sent: notices, and
// broadcasts to many. A message is put there in Postgres, if need be inside the
// transaction of what it tells, under a name that makes it single; couriers of any
// number of instances claim what is due, send it and note what became of it.
//
// It is at least once: who dies between sending and noting leaves a claim that runs out,
// and the message is sent again. At most [Slots] messages of a courier are between the
// two at a time, which bounds what a crash can repeat.
package outbox
