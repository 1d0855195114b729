-- Statements about wishes; what decides something is in conf/sql/031-wishes.sql.

-- name: preferences_get
SELECT preferences_json($1::int, r.root, $2::uuid)
FROM contact_root($1::int, $2::uuid) r(root) WHERE r.root IS NOT NULL

-- name: gate_contact
SELECT g || jsonb_build_object('sent', CASE WHEN $3::bigint < $4::bigint
	THEN gate_history($1::int, $2::uuid, us_to_time($3::bigint), us_to_time($4::bigint))
	ELSE '[]' END)
FROM gate_contact($1::int, $2::uuid) g WHERE g IS NOT NULL

-- name: preferences_put
SELECT state, json, events
FROM preferences_put($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text[],
	$7::uuid, $8::bigint, $9::text)

-- name: consent_list
-- Newest first, of all members; a decision that was written for several of them once.
WITH member AS MATERIALIZED (
	SELECT array(SELECT contact_members($1::int, contact_root($1::int, $2::uuid))) AS ids)
SELECT d.seq, consent_json($1::int, d.seq)
FROM (SELECT e.seq FROM member, unnest(member.ids) m(id) CROSS JOIN LATERAL (
		SELECT d.seq FROM consent_detail d
		WHERE d.contact_id = m.id AND d.tenant_id = $1::int
			AND ($3::bigint IS NULL OR d.seq < $3::bigint)
			AND NOT EXISTS (SELECT FROM consent_detail o
				WHERE o.act = d.act AND o.tenant_id = $1::int AND o.seq > d.seq
					AND o.contact_id = ANY (member.ids) OFFSET 0)
		ORDER BY d.seq DESC LIMIT $4::int) e
	ORDER BY e.seq DESC LIMIT $4::int) d
ORDER BY d.seq DESC

-- name: consent_contact
SELECT contact_root($1::int, $2::uuid)

-- name: consent_record
SELECT state, status, json, events
FROM consent_record($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text, $7::text,
	$8::text, $9::text, decode($10::text, 'hex'), $11::uuid, $12::bigint)

-- name: consent_confirm
SELECT state, json, events
FROM consent_confirm($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::text, $7::text,
	$8::jsonb, $9::uuid, $10::bigint)

-- name: consent_stop
SELECT json, events
FROM consent_stop($1::int, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bool,
	$8::text, $9::jsonb, $10::uuid, $11::bigint)

-- name: consent_seal_due
SELECT consent_seal_due($1::int)

-- name: suppression_page
SELECT place, item
FROM suppression_page($1::int, $2::text, $3::text, $4::text, $5::text,
	ARRAY(SELECT json_array_elements_text(convert_from(decode($6::text, 'hex'),
		'UTF8')::json)), $7::int)

-- name: suppression_first
SELECT place, item
FROM suppression_page($1::int, $2::text, $3::text, $4::text, $5::text, NULL, $6::int)

-- name: suppression_lists
SELECT json_build_object('items', coalesce(json_agg(json_build_object('name', name,
	'rows', rows, 'source', source, 'replaced_at', time_text(replaced_at),
	'importing', coalesce(importing_at > now() - interval '2 minutes', false))
	ORDER BY name), '[]'), 'next', NULL)
FROM suppression_list WHERE tenant_id = $1::int

-- name: suppression_add
SELECT state, status, json
FROM suppression_add($1::int, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text,
	$8::text, $9::text, $10::text, $11::text, decode($12::text, 'hex'))

-- name: suppression_remove
SELECT suppression_remove($1::int, $2::text, $3::text, $4::text, $5::text, $6::text)

-- name: suppression_list_remove
SELECT suppression_list_remove($1::int, $2::text, $3::text, $4::text)

-- name: suppression_import_begin
SELECT state, list, generation
FROM suppression_import_begin($1::int, $2::text, $3::text, $4::bool)

-- name: suppression_import_rows
SELECT suppression_import_rows($1::int, $2::int, $3::bigint, $4::text[], $5::text[])

-- name: suppression_import_end
SELECT suppression_import_end($1::int, $2::text, $3::text, $4::int, $5::bigint, $6::text,
	$7::bigint)

-- name: suppression_import_abort
SELECT suppression_import_abort($1::int, $2::int, $3::bigint)

-- name: suppression_sweep
SELECT suppression_sweep($1::int)
