-- Leases: see daemon/io/lease.h. All times are the database's clock.

-- name: lease_take
-- Renews what is ours, takes what nobody renewed for five seconds (unless $5: a holder that
-- could not is waited for) or what a holder known to be dead ($4) left or gave back, else
-- tells whose it is.
WITH taken AS (
	INSERT INTO lease AS l (tenant_id, name, holder, renewed_at)
	VALUES ($1::int, $2::text, $3::text, clock_timestamp())
	ON CONFLICT (tenant_id, name) DO UPDATE
	SET holder = excluded.holder, renewed_at = excluded.renewed_at,
		fence = l.fence + (l.holder <> excluded.holder)::int
	WHERE l.holder = excluded.holder
		OR (l.renewed_at < clock_timestamp() - interval '5 seconds' AND NOT $5::bool)
		OR l.renewed_at = '-infinity'
		OR l.holder = $4::text
	RETURNING holder, fence)
SELECT holder, fence FROM taken
UNION ALL
SELECT holder, fence FROM lease
WHERE tenant_id = $1::int AND name = $2::text AND NOT EXISTS (SELECT FROM taken)

-- name: lease_give_back
UPDATE lease SET renewed_at = '-infinity'
WHERE tenant_id = $1::int AND name = $2::text AND holder = $3::text
