-- Statements of the phone systems: gaps, and what their own records fill in.

-- name: channel_heard_get
SELECT time_to_us(at) FROM channel_heard WHERE tenant_id = $1::int AND channel = $2::text

-- name: channel_heard_set
INSERT INTO channel_heard AS h (tenant_id, channel, at)
VALUES ($1::int, $2::text, us_to_time($3::bigint))
ON CONFLICT (tenant_id, channel) DO UPDATE SET at = greatest(h.at, excluded.at)

-- name: gap_save
-- Told if something was missed; that nobody listened and nothing happened is no news.
WITH saved AS MATERIALIZED (
	SELECT gap_save($1::int, $2::text, $3::uuid, $4::bigint, $5::bigint, $6::text,
		$7::jsonb, $8::int, $9::int, $10::text, $11::uuid[], $12::text[])::text AS gap)
SELECT gap, CASE WHEN $13::uuid IS NOT NULL AND $8::int > 0 THEN
	events_keep(ARRAY[$1::int], ARRAY[$13::uuid], ARRAY['channel.gap_found'],
		ARRAY[$14::bigint], ARRAY[gap], ARRAY['{}']) END
FROM saved

-- name: gap_filled
WITH saved AS MATERIALIZED (
	SELECT gap_filled($1::int, $2::text, $3::uuid, $4::text, $5::int, $6::int,
		$7::uuid[])::text AS gap)
SELECT gap, CASE WHEN $8::uuid IS NOT NULL AND $5::int + $6::int > 0 AND gap IS NOT NULL THEN
	events_keep(ARRAY[$1::int], ARRAY[$8::uuid], ARRAY['channel.gap_filled'],
		ARRAY[$9::bigint], ARRAY[gap], ARRAY['{}']) END
FROM saved

-- name: gap_waiting
-- Gaps that were left waiting for the history by a daemon that ended.
SELECT id, time_to_us(began_at), time_to_us(ended_at) FROM gap
WHERE tenant_id = $1::int AND channel = $2::text AND history = 'waiting'
	AND ended_at > now() - interval '7 days'
ORDER BY began_at LIMIT 20

-- name: gap_list
SELECT g.id, gap_json(g) FROM gap g
WHERE tenant_id = $1::int AND channel = $2::text AND ($3::uuid IS NULL OR id < $3::uuid)
ORDER BY id DESC LIMIT $4::int

-- name: history_wanted
SELECT id, known FROM history_wanted($1::int, $2::uuid[])
