package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Rows are rows for a table in COPY's binary format
// (https://www.postgresql.org/docs/current/sql-copy.html), written value by value: what
// comes by the thousand a second is neither boxed nor reflected upon. The values of a row
// are in the order of the columns and of exactly their types; Postgres refuses others.
type Rows struct {
	table   string
	columns []string
	data    []byte
	count   int64
}

// copyHeader is the format's signature, no flags and no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// epochMicro is where Postgres begins to count: the year 2000, in Unix microseconds.
const epochMicro = 946684800_000_000

// NewRows begins with no rows; room is how many bytes they may take, about.
func NewRows(table string, room int, columns ...string) *Rows {
	r := &Rows{table: table, columns: columns, data: make([]byte, 0, len(copyHeader)+room)}
	r.data = append(r.data, copyHeader...)
	return r
}

// Next begins a row.
func (r *Rows) Next() {
	r.count++
	r.data = binary.BigEndian.AppendUint16(r.data, uint16(len(r.columns)))
}

// Null is the absence of a value.
func (r *Rows) Null() { r.data = append(r.data, 0xff, 0xff, 0xff, 0xff) }

// Bigint is a value of that type, as Integer, Smallint, Boolean, Text, Bytea and Timestamptz are.
func (r *Rows) Bigint(n int64) { r.data = binary.BigEndian.AppendUint64(r.size(8), uint64(n)) }

// Integer is four bytes wide.
func (r *Rows) Integer(n int32) { r.data = binary.BigEndian.AppendUint32(r.size(4), uint32(n)) }

// Smallint is two bytes wide.
func (r *Rows) Smallint(n int16) { r.data = binary.BigEndian.AppendUint16(r.size(2), uint16(n)) }

// Boolean is a byte.
func (r *Rows) Boolean(is bool) {
	r.size(1)
	if is {
		r.data = append(r.data, 1)
	} else {
		r.data = append(r.data, 0)
	}
}

// Text is UTF-8 without a zero byte, else Postgres refuses it.
func (r *Rows) Text(s string) { r.data = append(r.size(len(s)), s...) }

// Bytea is any bytes.
func (r *Rows) Bytea(b []byte) { r.data = append(r.size(len(b)), b...) }

// Timestamptz is exact to the microsecond.
func (r *Rows) Timestamptz(t time.Time) { r.Bigint(t.UnixMicro() - epochMicro) }

func (r *Rows) size(n int) []byte {
	r.data = binary.BigEndian.AppendUint32(r.data, uint32(n))
	return r.data
}

// Copy sends the rows, all of them or none. Without rows it sends nothing.
func (r *Rows) Copy(ctx context.Context, conn *pgx.Conn) error {
	if r.count == 0 {
		return nil
	}
	names := make([]string, len(r.columns))
	for i, column := range r.columns {
		names[i] = pgx.Identifier{column}.Sanitize()
	}
	table := pgx.Identifier{r.table}
	var tag pgconn.CommandTag
	var err error
	if tracer, traced := conn.Config().Tracer.(pgx.CopyFromTracer); traced {
		ctx = tracer.TraceCopyFromStart(ctx, conn, pgx.TraceCopyFromStartData{TableName: table, ColumnNames: r.columns})
		defer func() { tracer.TraceCopyFromEnd(ctx, conn, pgx.TraceCopyFromEndData{CommandTag: tag, Err: err}) }()
	}
	r.data = append(r.data, 0xff, 0xff) // the end
	tag, err = conn.PgConn().CopyFrom(ctx, bytes.NewReader(r.data),
		"copy "+table.Sanitize()+" ("+strings.Join(names, ", ")+") from stdin binary")
	if err == nil && tag.RowsAffected() != r.count {
		err = fmt.Errorf("%d of %d rows", tag.RowsAffected(), r.count)
	}
	if err != nil {
		return fmt.Errorf("copy to %s: %w", r.table, err)
	}
	return nil
}
