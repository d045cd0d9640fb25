// Package postgres opens the bounded pool, runs transactions that may have to
// be repeated, and brings a database to the newest schema. It knows nothing of
// what the tables mean: their owners do.
package postgres
