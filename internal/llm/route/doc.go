// Package route decides which deployment of a model a call goes to, and how often a
// call may be tried. It knows neither HTTP nor prompts: a caller picks, calls, and tells
// how it ended.
//
// A deployment is available while its circuit breaker lets calls through, the provider
// has not asked to be left alone, and fewer calls are under way than it has been seen to
// bear. Among those available the model's routing chooses. Attempts beyond a request's
// first share one budget, so that a provider in trouble is not called more for being in
// trouble.
//
// Nothing here waits, sleeps or reads a clock: callers pass the time in.
package route
