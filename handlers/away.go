package handlers

import (
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Classes of Postgres' error codes that mean "not now" (Postgres, appendix A).
const (
	classConnection = "08"
	classResources  = "53"
	classOperator   = "57"
	classSystem     = "58"
	onlyReads       = "25006"
)

// isAway tells whether a store could not be asked, or said that it cannot answer now:
// what was asked for is still worth doing a moment later.
func isAway(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		switch answer.Code[:2] {
		case classConnection, classResources, classOperator, classSystem:
			return true
		}
		return answer.Code == onlyReads
	}
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network)
}
