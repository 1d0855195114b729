-- Statements of the timeline: saving, the card, pages, the audit.

-- name: interactions_save
-- One batch of the writer; see conf/sql/003-timeline.sql for the arrays.
SELECT created, contact, contact_created
FROM interactions_save($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
	$6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
	$13::bool[], $14::text[], $15::bool[], $16::int[], $17::text[], $18::bigint[],
	$19::bigint[], $20::bigint[], $21::text[], $22::text[], $23::text[], $24::text[],
	$25::bigint[], $26::bigint[], $27::bigint[], $28::uuid[], $29::bool[], $30::uuid[],
	$31::int[], $32::uuid[], $33::text[], $34::text[], $35::text[], $36::text[],
	$37::text[], $38::bigint[], $39::bigint[], $40::bigint[],
	$41::int[], $42::text[], $43::bigint[])
ORDER BY unit

-- name: interactions_save_told
-- The same with the events of the savings, which webhooks want; see 022-webhooks.sql.
SELECT created, contact, contact_created
FROM interactions_save_told($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
	$6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
	$13::bool[], $14::text[], $15::bool[], $16::int[], $17::text[], $18::bigint[],
	$19::bigint[], $20::bigint[], $21::text[], $22::text[], $23::text[], $24::text[],
	$25::bigint[], $26::bigint[], $27::bigint[], $28::uuid[], $29::bool[], $30::uuid[],
	$31::int[], $32::uuid[], $33::text[], $34::text[], $35::text[], $36::text[],
	$37::text[], $38::bigint[], $39::bigint[], $40::bigint[],
	$41::int[], $42::text[], $43::bigint[],
	$44::int[], $45::bool[], $46::uuid[], $47::bigint[], $48::bool[], $49::bool[],
	$50::text[], $51::text[])
ORDER BY unit

-- name: checkpoints_save
SELECT checkpoints_save($1::int[], $2::text[], $3::bigint[])

-- name: checkpoint_reset
-- Back to where a spool stands whose numbers began anew below it.
UPDATE spool_checkpoint SET seq = $3::bigint, at = now()
WHERE tenant_id = $1::int AND channel = $2::text

-- name: store_maintain
SELECT store_maintain()

-- name: quarantine_add
INSERT INTO quarantine AS q (tenant_id, id, interaction_id, channel, kind, sqlstate, error,
	payload)
VALUES ($1::int, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::text)
ON CONFLICT (tenant_id, id) DO UPDATE
SET at = now(), sqlstate = excluded.sqlstate, error = excluded.error, tries = q.tries + 1

-- name: quarantine_list
SELECT id, json_build_object('id', id, 'at', time_text(at), 'interaction', interaction_id,
	'channel', channel, 'kind', kind, 'sqlstate', sqlstate, 'error', error,
	'tries', tries, 'payload', payload)
FROM quarantine
WHERE tenant_id = $1::int AND ($2::uuid IS NULL OR id < $2::uuid)
ORDER BY id DESC LIMIT $3::int

-- name: quarantine_fetch
-- Oldest first, as they came; a bounded number at a time.
SELECT id, payload FROM quarantine
WHERE tenant_id = $1::int AND ($2::uuid IS NULL OR id = $2::uuid)
ORDER BY id LIMIT 1000

-- name: quarantine_remove
DELETE FROM quarantine WHERE tenant_id = $1::int AND id = $2::uuid

-- name: card
-- Who holds an address, and the first page of the timeline, if it is one contact that has
-- never been merged and was seen there lately: nearly always. Rows:
--   c  the contact; two of them: ask card_shared
--   m  a merged one, or one who had the number long ago: ask card_shared
--   i  an address of it
--   o  the organisation it belongs to
--   w  its wishes, if it has any: one look by the key; preferred, denied, do-not-contact
--   r  an entry of its timeline, from the covering index alone, newest first
WITH one AS MATERIALIZED (
	SELECT c.id, i.trust, c.name, c.language, c.timezone, c.vip, c.roles, c.attributes,
		c.organisation, c.merged_into IS NULL AND NOT EXISTS (SELECT FROM contact m
			WHERE m.tenant_id = $1::int AND m.merged_into = c.id)
		AND NOT (i.last_seen < now() - interval '1 day' AND identity_is_old(i.kind,
			i.trust, i.last_seen, now(), (SELECT make_interval(days =>
			nullif(identity_age_days, 0)) FROM tenant WHERE id = $1::int))) AS simple
	FROM identity i JOIN contact c ON c.tenant_id = $1::int AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind = $2::text AND i.value = $3::text
	LIMIT 2)
(SELECT CASE WHEN simple THEN 'c' ELSE 'm' END AS tag, id, trust::int AS n, name AS a,
	language AS b, timezone AS c, vip::text AS d, to_json(roles)::text AS e,
	attributes::text AS f
	FROM one)
UNION ALL
(SELECT 'i', NULL, identity_trust(i.kind, i.trust, i.source, i.last_seen, now(),
		(SELECT make_interval(days => nullif(identity_age_days, 0))
			FROM tenant WHERE id = $1::int)) AS n,
		i.kind, i.value, NULL, NULL, NULL, NULL
	FROM one JOIN identity i ON i.tenant_id = $1::int AND i.contact_id = one.id
	WHERE one.simple
	ORDER BY n DESC, i.kind, i.value LIMIT 50)
UNION ALL
(SELECT 'o', o.id, NULL, o.name, NULL, NULL, NULL, to_json(o.roles)::text, NULL
	FROM one JOIN contact g ON g.tenant_id = $1::int AND g.id = one.organisation
	JOIN contact o ON o.tenant_id = $1::int AND o.id = coalesce(g.merged_into, g.id)
	WHERE one.simple AND o.id <> one.id)
UNION ALL
(SELECT 'w', NULL, NULL, to_json(p.preferred)::text, d.denied::text,
		d.silent::text, NULL, NULL, NULL
	FROM one CROSS JOIN LATERAL (
		SELECT preferred FROM preference
		WHERE tenant_id = $1::int AND contact_id = one.id OFFSET 0) p
	CROSS JOIN LATERAL (
		SELECT coalesce(json_agg(json_strip_nulls(json_build_object('kind', w.kind,
				'purpose', w.purpose, 'identity',
				identity_json(w.address_kind, w.address_value)::json))
				ORDER BY w.kind, w.purpose, w.address_kind, w.address_value)
				FILTER (WHERE w.kind <> '*'), '[]') AS denied,
			coalesce(bool_or(w.kind = '*'), false) AS silent
		FROM (SELECT * FROM wish
			WHERE tenant_id = $1::int AND contact_id = one.id AND own = 'denied'
			ORDER BY kind, purpose, address_kind, address_value LIMIT 51) w) d
	WHERE one.simple)
UNION ALL
(SELECT 'r', t.id, NULL, t.kind, t.direction, t.agent, t.summary, t.disposition, t.channel
	FROM one CROSS JOIN LATERAL (
		SELECT id, kind, direction, agent, summary, disposition, channel
		FROM timeline
		WHERE tenant_id = $1::int AND contact_id = one.id
		ORDER BY id DESC LIMIT 11) t
	WHERE one.simple AND ($4::uuid IS NULL OR t.id <> $4::uuid)
	ORDER BY t.id DESC LIMIT 10)

-- name: card_shared
-- The same for an address that several contacts hold, or merged ones. Rows as there, but:
--   c  a holder (resolved; at most 10, the most trusted first), or the one
--   h  who had the number, before it was silent for so long that it may be another's now;
--      $5 is the event's trust: to a mere claim he is the holder
WITH known AS MATERIALIZED (
	SELECT coalesce(c.merged_into, c.id) AS root, max(identity_trust(i.kind, i.trust,
			i.source, i.last_seen, now(), (SELECT identity_age($1::int)))) AS trust,
		min(i.first_seen) AS first_seen, $5::int > 0 AND bool_and(identity_is_old(i.kind,
			i.trust, i.last_seen, now(), (SELECT identity_age($1::int)))
			AND NOT identity_is_recorded(i.source)) AS old
	FROM identity i
	JOIN contact c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind = $2::text AND i.value = $3::text
	GROUP BY 1),
held AS MATERIALIZED (SELECT root, trust, first_seen FROM known WHERE NOT old),
counted AS MATERIALIZED (
	SELECT count(*) FILTER (WHERE trust >= 1) AS strong, count(*) AS total FROM held),
one AS MATERIALIZED (
	SELECT h.root, h.trust FROM held h, counted n
	WHERE (n.strong = 1 AND h.trust >= 1) OR n.total = 1),
member AS MATERIALIZED (
	SELECT m.id FROM one, contact_members($1::int, one.root) m(id)),
shown AS (
	SELECT h.root, h.trust, h.first_seen FROM held h, counted n
	WHERE NOT EXISTS (SELECT FROM one) AND (n.strong = 0 OR h.trust >= 1)
	UNION ALL
	SELECT root, trust, NULL FROM one)
(SELECT 'c' AS tag, c.id, s.trust::int AS n,
	coalesce(c.name, contact_member_name($1::int, c.id)) AS a, c.language AS b,
	c.timezone AS c, c.vip::text AS d, to_json(c.roles)::text AS e, c.attributes::text AS f
	FROM shown s JOIN contact c ON c.tenant_id = $1::int AND c.id = s.root
	ORDER BY s.trust DESC, s.first_seen, c.id LIMIT 10)
UNION ALL
(SELECT 'h', c.id, NULL, coalesce(c.name, contact_member_name($1::int, c.id)), c.language,
	c.timezone, c.vip::text, to_json(c.roles)::text, c.attributes::text
	FROM known k JOIN contact c ON c.tenant_id = $1::int AND c.id = k.root
	WHERE k.old AND (SELECT strong FROM counted) < 2 AND NOT EXISTS (SELECT FROM one
		WHERE contact_kept_apart($1::int, one.root, k.root))
	ORDER BY k.first_seen DESC, c.id LIMIT 5)
UNION ALL
(SELECT 'i', NULL, max(identity_trust(i.kind, i.trust, i.source, i.last_seen, now(),
		(SELECT identity_age($1::int)))) AS n, i.kind, i.value, NULL, NULL, NULL, NULL
	FROM member m JOIN identity i ON i.tenant_id = $1::int AND i.contact_id = m.id
	GROUP BY i.kind, i.value ORDER BY n DESC, i.kind, i.value LIMIT 50)
UNION ALL
(SELECT 'o', o.id, NULL, o.name, NULL, NULL, NULL, to_json(o.roles)::text, NULL
	FROM one JOIN contact c ON c.tenant_id = $1::int AND c.id = one.root
	JOIN contact g ON g.tenant_id = $1::int AND g.id = c.organisation
	JOIN contact o ON o.tenant_id = $1::int AND o.id = coalesce(g.merged_into, g.id)
	WHERE o.id <> c.id)
UNION ALL
(SELECT 'w', NULL, NULL, w.preferred, w.denied, w.do_not_contact::text, NULL, NULL, NULL
	FROM one CROSS JOIN LATERAL wishes_card($1::int, one.root) w)
UNION ALL
(SELECT 'r', t.id, NULL, t.kind, t.direction, t.agent, t.summary, t.disposition, t.channel
	FROM member m CROSS JOIN LATERAL (
		SELECT id, kind, direction, agent, summary, disposition, channel
		FROM timeline
		WHERE tenant_id = $1::int AND contact_id = m.id
		ORDER BY id DESC LIMIT 11) t
	WHERE $4::uuid IS NULL OR t.id <> $4::uuid
	ORDER BY t.id DESC LIMIT 10)

-- name: interaction_get
-- Of what has no contact, nothing is shown to who is limited to some ($3: roles).
SELECT interaction_full_json(i) FROM interaction i
WHERE tenant_id = $1::int AND id = $2::uuid
	AND contact_in_sight($1::int, i.contact_id, $3::text[])

-- name: interaction_create
SELECT state, status, json, CASE WHEN state = 'created' AND $18::uuid IS NOT NULL THEN
	events_keep(ARRAY[$1::int], ARRAY[$18::uuid], ARRAY['interaction.created'],
		ARRAY[$19::bigint], ARRAY[json], ARRAY['{}']) END
FROM interaction_create($1::int, $2::text, $3::text, $4::uuid,
	CASE WHEN contact_in_sight($1::int, $5::uuid, $20::text[]) THEN $5::uuid END,
	$6::text, $7::text,
	$8::bigint, $9::text, $10::text, $11::jsonb, $12::text[],
	$13::text, $14::text, $15::text, $16::text, decode($17::text, 'hex'))

-- name: timeline_contact
SELECT CASE WHEN contact_in_sight($1::int, $2::uuid, $3::text[])
	THEN contact_root($1::int, $2::uuid) END

-- name: timeline_page
-- Ids from the covering index of each member, then the rows they stand for.
SELECT p.id, interaction_json(i)
FROM (SELECT t.id FROM contact_members($1::int, contact_root($1::int, $2::uuid)) m(id)
	CROSS JOIN LATERAL (
		SELECT id FROM timeline
		WHERE tenant_id = $1::int AND contact_id = m.id AND id < $3::uuid
			AND ($4::text IS NULL OR kind = $4::text)
		ORDER BY id DESC LIMIT $5::int) t
	ORDER BY t.id DESC LIMIT $5::int) p
CROSS JOIN LATERAL (
	SELECT * FROM interaction WHERE tenant_id = $1::int AND id = p.id) i
ORDER BY p.id DESC

-- name: timeline_people_page
-- The same with the people of an organisation, those in sight ($6: roles).
SELECT p.id, interaction_json(i)
FROM (SELECT t.id FROM contact_and_people($1::int, contact_root($1::int, $2::uuid),
		$6::text[]) m(id)
	CROSS JOIN LATERAL (
		SELECT id FROM timeline
		WHERE tenant_id = $1::int AND contact_id = m.id AND id < $3::uuid
			AND ($4::text IS NULL OR kind = $4::text)
		ORDER BY id DESC LIMIT $5::int) t
	ORDER BY t.id DESC LIMIT $5::int) p
CROSS JOIN LATERAL (
	SELECT * FROM interaction WHERE tenant_id = $1::int AND id = p.id) i
ORDER BY p.id DESC

-- name: audit_list
SELECT id, json_build_object('id', id, 'at', time_text(at), 'actor', actor, 'role', role,
	'action', action, 'object', json_build_object('kind', object_kind, 'id', object_id),
	'fields', fields)
FROM audit
WHERE tenant_id = $1::int AND ($2::bigint IS NULL OR id < $2::bigint)
	AND ($3::text IS NULL OR object_kind = $3::text)
	AND ($4::text IS NULL OR object_id = $4::text)
	AND ($6::text IS NULL OR actor = $6::text)
	AND ($7::text IS NULL OR action = $7::text
		OR action LIKE replace(replace($7::text, '_', '\_'), '*', '%'))
	AND ($8::bigint IS NULL OR at >= us_to_time($8::bigint))
	AND ($9::bigint IS NULL OR at < us_to_time($9::bigint))
ORDER BY id DESC LIMIT $5::int
