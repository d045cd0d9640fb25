// Package mutations breaks the product on purpose, one guarantee at a time, and
// demands that the tests see it: a test that cannot turn red shows nothing.
//
// The table is held to the source by an ordinary test, so that a change of what a
// mutation replaces is noticed at once. Running them all takes more than an
// hour and is make prove-mutations; PKG=handlers chooses those that a package's tests
// see, SLICE=2/5 the second fifth of them.
package mutations
