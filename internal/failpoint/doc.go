// Package failpoint marks the places between two durable steps, where a process
// may be killed and nothing may be lost. In an ordinary build a mark is nothing;
// built with the tag failpoint, the process ends itself with SIGKILL at the mark
// that KIKUAI_FAILPOINT names: "name", or "name:3" for the third time it is passed.
package failpoint
