package postgres

// MigrateWith lets a test bring migrations of its own.
var MigrateWith = migrate
