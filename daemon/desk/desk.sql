-- Agents and their tokens. Changes go through the functions of conf/sql/011-desk.sql.

-- name: agent_version
-- tenant: all are held in memory, each under its own
SELECT count(*) || ':' || coalesce(sum(hashtextextended(
    tenant_id || ':' || id || ':' || updated_at, 0)), 0)
FROM agent

-- name: agent_load
-- tenant: as above
SELECT tenant_id, id, array_to_json(interfaces), array_to_json(contact_roles),
  array_to_json(attributes)
FROM agent ORDER BY tenant_id, id

-- name: agent_list
SELECT id, agent_json(a) FROM agent a
WHERE tenant_id = $1::int ORDER BY id COLLATE "C"

-- name: agent_get
SELECT agent_json(a) FROM agent a
WHERE tenant_id = $1::int AND id = $2::text

-- name: agent_create
SELECT state, status, response
FROM agent_create($1::int, $2::text, $3::text, $4::text, $5::text, $6::text[],
  $7::text[], $8::jsonb, $9::jsonb, $10::text[], $11::text, $12::text, $13::text,
  $14::text, decode($15::text, 'hex'), $16::text)

-- name: agent_patch
SELECT state, response
FROM agent_patch($1::int, $2::text, $3::text, $4::text, $5::text, $6::text[],
  $7::text[], $8::jsonb, $9::jsonb, $10::text[], $11::boolean)

-- name: agent_token_create
SELECT state, status, response
FROM agent_token_create($1::int, $2::text, $3::text, $4::uuid, $5::text,
  decode($6::text, 'hex'), make_interval(secs => $7::bigint), $8::text, $9::text,
  $10::text, $11::text, decode($12::text, 'hex'))

-- name: agent_token_find
-- tenant: a token tells whose it is; its hash is unique
SELECT tenant_id, agent_id, time_to_us(expires_at)
FROM agent_token
WHERE hash = decode($1::text, 'hex') AND revoked_at IS NULL AND expires_at > now()

-- name: agent_token_used
-- tenant: as above
UPDATE agent_token SET last_used_at = now()
WHERE hash = decode($1::text, 'hex')
  AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')

-- name: agent_token_list
SELECT json_build_object('items', coalesce(json_agg(json_build_object(
    'id', id, 'agent', agent_id, 'created_at', time_text(created_at),
    'created_by', created_by, 'expires_at', time_text(expires_at),
    'last_used_at', time_text(last_used_at)) ORDER BY id), '[]'::json), 'next', null)
FROM agent_token
WHERE tenant_id = $1::int AND agent_id = $2::text AND revoked_at IS NULL
  AND expires_at > now()

-- name: agent_token_revoke
SELECT agent_token_revoke($1::int, $2::text, $3::text, $4::text, $5::uuid)

-- name: agent_state_load
-- tenant: all are held in memory, each under its own
SELECT tenant_id, agent_id, chosen, time_to_us(chosen_at), reason, source, set_by,
  time_to_us(wrapup_at), time_to_us(wrapup_until), wrapup_source, wrapup_by,
  time_to_us(cleared_at)
FROM agent_state ORDER BY tenant_id

-- name: agent_state_save
SELECT agent_state_save(ROW($1::int, $2::text, $3::text,
  us_to_time(nullif($4::bigint, 0)), $5::text, $6::text, $7::text,
  us_to_time(nullif($8::bigint, 0)), us_to_time(nullif($9::bigint, 0)), $10::text,
  $11::text, us_to_time(nullif($12::bigint, 0)), now())::agent_state)
