-- Statements about webhooks. What must be one step is a function of conf/sql/022-webhooks.sql.

-- name: event_keep
SELECT events_keep(ARRAY[$1::int], ARRAY[$2::uuid], ARRAY[$3::text], ARRAY[$4::bigint],
  ARRAY[$5::text], ARRAY[$6::text])

-- name: webhook_version
-- tenant: all are held in memory, each under its own
SELECT count(*) || ':' || coalesce(sum(hashtextextended(
    tenant_id || ':' || id || ':' || updated_at, 0)), 0)
FROM webhook WHERE deleted_at IS NULL

-- name: webhook_load
-- tenant: as above
SELECT tenant_id, id, url, array_to_json(events), secret,
  CASE WHEN old_secret_until > now() THEN old_secret END, time_to_us(old_secret_until),
  enabled, state = 'failing', time_to_us(failing_since), time_to_us(updated_at)
FROM webhook WHERE deleted_at IS NULL ORDER BY tenant_id, id

-- name: webhook_release
-- tenant: every one's: nobody sends when the daemon starts
UPDATE webhook_queue SET leased = false, next_at = now() WHERE leased

-- name: webhook_due
SELECT w.tenant_id, w.id
FROM webhook w
WHERE w.enabled AND w.deleted_at IS NULL AND EXISTS (SELECT FROM webhook_queue q
  WHERE q.tenant_id = w.tenant_id AND q.webhook_id = w.id AND q.next_at <= now())

-- name: webhook_stats
-- tenant: sums over all, for the metrics
SELECT (SELECT coalesce(sum(pending), 0) FROM webhook_queue),
  (SELECT count(*) FROM webhook_delivery WHERE state = 'dead'),
  (SELECT count(*) FROM webhook WHERE enabled AND state = 'failing'),
  (SELECT time_to_us(min(o.at)) FROM webhook w, LATERAL (
    SELECT min(d.queued_at) AS at FROM webhook_delivery d
    WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.state = 'waiting') o)

-- name: webhook_claim
SELECT order_key, seq, id, type, body, tries, queued_us
FROM webhook_claim($1::int, $2::uuid, $3::int, $4::int, $5::bigint)

-- name: webhook_report
SELECT webhook_report($1::int, $2::uuid, $3::text[], $4::bigint[], $5::bigint[],
  $6::text[], $7::int[], $8::text[], $9::text, $10::bigint, $11::boolean)

-- name: webhooks_maintain
SELECT expired, removed
FROM webhooks_maintain($1::bigint, $2::bigint, $3::bigint, $4::int)

-- name: webhook_create
SELECT state, status, response
FROM webhook_create($1::int, $2::text, $3::text, $4::uuid, $5::text, $6::text[],
  $7::text, $8::boolean, $9::text, $10::text[], $11::text, $12::text, $13::text, $14::text,
  decode($15::text, 'hex'))

-- name: webhook_list
SELECT json_build_object('items', coalesce(json_agg(webhook_json(w) ORDER BY w.created_at,
  w.id), '[]'::json), 'next', null)
FROM webhook w WHERE tenant_id = $1::int AND deleted_at IS NULL

-- name: webhook_get
SELECT webhook_json(w) FROM webhook w
WHERE tenant_id = $1::int AND id = $2::uuid AND deleted_at IS NULL

-- name: webhook_target
SELECT url, secret, CASE WHEN old_secret_until > now() THEN old_secret END
FROM webhook WHERE tenant_id = $1::int AND id = $2::uuid AND deleted_at IS NULL

-- name: webhook_patch
SELECT webhook_patch($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text[],
  $7::bigint)

-- name: webhook_delete
SELECT webhook_delete($1::int, $2::text, $3::text, $4::uuid)

-- name: webhook_deliveries
SELECT d.seq, webhook_delivery_json(d) FROM webhook_delivery d
WHERE d.tenant_id = $1::int AND d.webhook_id = $2::uuid
  AND ($3::text IS NULL OR d.state = $3::text)
  AND ($4::bigint IS NULL OR d.seq < $4::bigint)
ORDER BY d.seq DESC LIMIT $5::int

-- name: webhook_dead_letters
SELECT d.seq, webhook_delivery_json(d) FROM webhook_delivery d
JOIN webhook w ON w.tenant_id = d.tenant_id AND w.id = d.webhook_id
  AND w.deleted_at IS NULL
WHERE d.tenant_id = $1::int AND d.state = 'dead'
  AND ($2::bigint IS NULL OR d.seq < $2::bigint)
ORDER BY d.seq DESC LIMIT $3::int

-- name: webhook_delivery
SELECT left(webhook_delivery_json(d)::text, -1) || ', "body" : ' || d.body || '}'
FROM webhook_delivery d
JOIN webhook w ON w.tenant_id = d.tenant_id AND w.id = d.webhook_id
  AND w.deleted_at IS NULL
WHERE d.tenant_id = $1::int AND d.webhook_id = $2::uuid AND d.id = $3::uuid

-- name: webhook_replay
SELECT webhook_replay($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::text[],
  $7::bigint, $8::bigint, $9::int)
