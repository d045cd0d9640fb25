-- Run by every kikuai migrate, in one transaction, after the migrations: what must be
-- true of a database again and again. Instances that come together wait for each other.
select pg_advisory_xact_lock(hashtext('kikuai afterwards'));

select ledger_partitions();
