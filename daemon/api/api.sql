-- Keys of the API. The key itself is never stored: only its BLAKE2b hash, in hex.

-- name: api_key_find
-- tenant: a key tells whose it is; its hash is unique
SELECT k.tenant_id, k.name, k.role, array_to_json(k.contact_roles),
  array_to_json(k.attributes)
FROM api_key k
WHERE k.hash = decode($1::text, 'hex') AND k.revoked_at IS NULL

-- name: api_key_used
-- tenant: as above
UPDATE api_key SET last_used_at = now()
WHERE hash = decode($1::text, 'hex')
  AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')

-- name: api_key_create
SELECT state, status, response
FROM api_key_create($1::int, $2::text, $3::text, $4::uuid, $5::text, $6::text,
  decode($7::text, 'hex'), $8::text[], $9::text[], $10::text[], $11::text, $12::text,
  $13::text, $14::text, decode($15::text, 'hex'))

-- name: api_key_list
SELECT json_build_object('items', coalesce(json_agg(api_key_json(k) ORDER BY id),
  '[]'::json), 'next', null)
FROM api_key k WHERE tenant_id = $1::int AND revoked_at IS NULL

-- name: api_key_patch
SELECT state, response
FROM api_key_patch($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text[])

-- name: api_key_revoke
SELECT api_key_revoke($1::int, $2::text, $3::text, $4::uuid)

-- name: credential_holds
-- A key that may see something else by now ($2, $3) does not either.
-- tenant: as above
SELECT EXISTS (SELECT FROM api_key
    WHERE hash = decode($1::text, 'hex') AND revoked_at IS NULL
      AND contact_roles IS NOT DISTINCT FROM $2::text[]
      AND attributes IS NOT DISTINCT FROM $3::text[])
  OR EXISTS (SELECT FROM agent_token
    WHERE hash = decode($1::text, 'hex') AND revoked_at IS NULL AND expires_at > now())
